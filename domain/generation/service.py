"""Asking about runs, following them, stopping them."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence

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
from domain.generation.runs import Runs
from domain.text import units
from domain.user import Viewer
from domain.world import GenerationId, UserId

MOST_ACTIVE = 20
MOST_SHOWN = 64
LONGEST_TEXT_SO_FAR = 32_768


class Generations:
    def __init__(self, store: GenerationStore, log: TokenLog, followers: Followers, runs: Runs) -> None:
        self._store, self._log, self._followers, self._runs = store, log, followers, runs
        # What explorers were shown last, so that the next delta is appended and not read: a cache, and no truth.
        self._shown: OrderedDict[tuple[UserId, GenerationId], tuple[int, str]] = OrderedDict()

    async def by_id(self, viewer: Viewer, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]:
        return await self._store.generations(viewer.id, ids)

    async def active(self, viewer: Viewer) -> list[Generation]:
        return await self._store.unfinished(viewer.id, MOST_ACTIVE)

    def follow(
        self, viewer: Viewer, generation_id: GenerationId, after: int, *, snapshot: bool
    ) -> AsyncGenerator[LogEntry | GenerationSnapshot, None]:
        """Raises UnknownId, BadCursor."""
        return self._followers.follow(viewer, generation_id, after, snapshot=snapshot)

    async def events(self, viewer: Viewer, generation_id: GenerationId, after: int, limit: int) -> Slice | None:
        """Raises BadCursor."""
        return await self._followers.page(viewer, generation_id, after, limit)

    async def text_so_far(self, viewer: Viewer, delta: TextDelta) -> str | None:
        """The reply up to and with a delta that the viewer was given; None past LONGEST_TEXT_SO_FAR."""
        end = delta.offset + units(delta.text)
        if end > LONGEST_TEXT_SO_FAR:
            return None
        key = viewer.id, delta.generation_id
        shown, text = self._shown.pop(key, (-1, ""))
        if shown == delta.offset:
            text += delta.text
        else:
            entries = await read_all(self._log, delta.generation_id)
            text = text_of([entry for entry in entries if entry.seq <= delta.seq])
        self._shown[key] = end, text
        while len(self._shown) > MOST_SHOWN:
            self._shown.popitem(last=False)
        return text

    async def stop(self, viewer: Viewer, generation_id: GenerationId | None, seen_seq: int | None) -> Stopping:
        """Raises NotFound."""
        stopping = await self._runs.stop(viewer, generation_id, StopRequest(seen_seq)) if generation_id else None
        if stopping is None:
            raise NotFound("generation")
        return stopping
