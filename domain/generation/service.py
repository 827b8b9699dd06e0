"""Asking about runs, following them, stopping them."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from domain.errors import NotFound
from domain.generation.entity import Generation
from domain.generation.follow import Followers
from domain.generation.log import (
    GenerationSnapshot,
    GenerationStore,
    LogEntry,
    Slice,
    Stopping,
    StopRequest,
    TextDelta,
    TokenLog,
    read_all,
    text_of,
)
from domain.generation.prepare import Preparation
from domain.generation.runs import Runs
from domain.text import units
from domain.user import Viewer
from domain.world import GenerationId, UserId

MOST_ACTIVE = 20
MOST_SHOWN = 64
LONGEST_TEXT_SO_FAR = 32_768


@dataclass(slots=True)
class Shown:
    text: str = ""
    end: int = -1
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Generations:
    def __init__(
        self, store: GenerationStore, log: TokenLog, followers: Followers, runs: Runs, preparation: Preparation
    ) -> None:
        self._store, self._log, self._followers, self._runs = store, log, followers, runs
        self._preparation = preparation
        # What explorers were shown last, so that the next delta is appended and not read: a cache, and no truth.
        self._shown: OrderedDict[tuple[UserId, GenerationId], Shown] = OrderedDict()

    async def by_id(self, viewer: Viewer, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]:
        return await self._store.generations(viewer.id, ids)

    async def active(self, viewer: Viewer) -> list[Generation]:
        return await self._store.unfinished(viewer.id, MOST_ACTIVE)

    def follow(
        self, viewer: Viewer, generation_id: GenerationId, after: int, *, snapshot: bool
    ) -> AsyncGenerator[LogEntry | GenerationSnapshot, None]:
        """Raises UnknownId, BadCursor."""
        return self._followers.follow(viewer, generation_id, after, snapshot=snapshot)

    async def events(self, run: Generation, after: int, limit: int) -> Slice | None:
        """Of a run that the viewer was given. Raises BadCursor."""
        return await self._followers.page(run, after, limit)

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
            if shown.end == delta.offset:
                shown.text += delta.text
            else:
                shown.text = await self._text_through(viewer, delta)
            shown.end = end
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
