"""Asking about runs, following them, stopping them."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.errors import NotFound
from domain.generation.entity import Generation
from domain.generation.follow import Followers, LogPage
from domain.generation.log import (
    GenerationFilter,
    GenerationLists,
    GenerationSnapshot,
    LogEntry,
    Stopping,
    StopRequest,
    TextDelta,
    TokenLog,
    read_all,
    text_of,
)
from domain.generation.prepare import Preparation
from domain.generation.runs import Runs
from domain.message import Message
from domain.page import Page, PageArgs
from domain.text import units
from domain.user import Viewer
from domain.world import ConversationId, GenerationId, MessageId, UserId

MOST_ACTIVE = 20
MOST_SHOWN = 64
LONGEST_TEXT_SO_FAR = 32_768
# A reply that is written, and below it pairs of question and reply: at most so many messages are unfinished on a path.
LONGEST_QUEUE = 16


class Paths(Protocol):
    async def ancestors(self, owner: UserId, newest: MessageId, *, skip: int, limit: int) -> list[Message]: ...


@dataclass(slots=True)
class Shown:
    """`seq`: of the last delta in `text`."""

    text: str = ""
    seq: int = -1
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Generations:
    def __init__(
        self,
        store: GenerationLists,
        log: TokenLog,
        followers: Followers,
        runs: Runs,
        preparation: Preparation,
        paths: Paths,
    ) -> None:
        self._store, self._log, self._followers, self._runs = store, log, followers, runs
        self._preparation, self._paths = preparation, paths
        # What explorers were shown last, so that the next delta is appended and not read: a cache, and no truth.
        self._shown: OrderedDict[tuple[UserId, GenerationId], Shown] = OrderedDict()

    async def by_id(self, viewer: Viewer, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]:
        return await self._store.generations(viewer.id, ids)

    async def of_conversation(
        self, viewer: Viewer, conversation_id: ConversationId, having: GenerationFilter, page: PageArgs
    ) -> Page[Generation]:
        return await self._store.of_conversation(viewer.id, conversation_id, having, page)

    async def of_replies(
        self, viewer: Viewer, replies: Sequence[MessageId], page: PageArgs
    ) -> dict[MessageId, Page[Generation]]:
        return await self._store.of_replies(viewer.id, replies, page)

    async def active(self, viewer: Viewer) -> list[Generation]:
        return await self._store.unfinished(viewer.id, MOST_ACTIVE)

    def follow(
        self, viewer: Viewer, generation_id: GenerationId, after: int, *, snapshot: bool
    ) -> AsyncGenerator[LogEntry | GenerationSnapshot, None]:
        """Raises UnknownId, BadCursor."""
        return self._followers.follow(viewer, generation_id, after, snapshot=snapshot)

    async def events(self, viewer: Viewer, run: Generation, after: int, limit: int) -> LogPage | None:
        """Of a run that the viewer was given. Raises BadCursor."""
        return await self._followers.page(viewer, run, after, limit)

    async def writing(self, viewer: Viewer, leaf: MessageId) -> Generation | None:
        """The run that writes the path down to `leaf`: the nearest unfinished one above it."""
        newest = await self._paths.ancestors(viewer.id, leaf, skip=0, limit=LONGEST_QUEUE)
        runs = await self._store.generations(viewer.id, [each.generation_id for each in newest if each.generation_id])
        found = (runs.get(each.generation_id) for each in newest if each.generation_id)
        return next((run for run in found if run is not None and run.ended_at is None), None)

    async def text_so_far(self, viewer: Viewer, delta: TextDelta) -> str | None:
        """The reply up to and with a delta that the viewer was given; None past LONGEST_TEXT_SO_FAR."""
        end = delta.offset + units(delta.text)
        if end > LONGEST_TEXT_SO_FAR:
            return None
        shown = self._shown.setdefault((viewer.id, delta.generation_id), Shown())
        self._shown.move_to_end((viewer.id, delta.generation_id))
        while len(self._shown) > MOST_SHOWN:
            self._shown.popitem(last=False)
        async with shown.lock:
            # Only the next entry: in between the text may have been cut.
            if shown.seq == delta.seq - 1:
                shown.text += delta.text
            else:
                shown.text = await self._text_through(viewer, delta)
            shown.seq = delta.seq
            return shown.text

    async def _text_through(self, viewer: Viewer, delta: TextDelta) -> str:
        run = (await self._store.generations(viewer.id, [delta.generation_id])).get(delta.generation_id)
        kept = await self._preparation.kept(run) if run is not None else ""
        entries = await read_all(self._log, delta.generation_id)
        return text_of([entry for entry in entries if entry.seq <= delta.seq], kept)

    async def stop(self, viewer: Viewer, generation_id: GenerationId | None, seen_seq: int | None) -> Stopping:
        """Raises NotFound."""
        stopping = await self._runs.stop(viewer, generation_id, StopRequest(seen_seq)) if generation_id else None
        if stopping is None:
            raise NotFound("generation")
        return stopping
