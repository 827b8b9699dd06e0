"""Following a run: read the log from a cursor, then wait for more, from any process."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

from domain.errors import BadCursor, Unavailable, UnknownId
from domain.generation.log import GenerationStore, LogEntry, Slice, TokenLog, Want
from domain.generation.wakes import Wakes, wait_at_most
from domain.generation.writer import LogWriter
from domain.user import Viewer
from domain.world import GenerationId

POLL = timedelta(seconds=1)
MOST_AT_ONCE = 500


class LogReader:
    """One reader for all of a process's followers: what they want while a read is in flight goes into the next one."""

    def __init__(self, log: TokenLog, writer: LogWriter) -> None:
        self._log, self._writer = log, writer
        self._waiting: list[tuple[Want, asyncio.Future[Slice | None]]] = []
        self._wanted = asyncio.Event()

    async def read(self, want: Want) -> Slice | None:
        """What this process wrote itself comes from memory, all else from the log. None: there is no such run."""
        tail = self._writer.tail(want)
        if tail is not None:
            return tail
        answer: asyncio.Future[Slice | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((want, answer))
        self._wanted.set()
        return await answer

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            batch, self._waiting = self._waiting, []
            await self._answer([(want, answer) for want, answer in batch if not answer.done()])

    async def _answer(self, batch: list[tuple[Want, asyncio.Future[Slice | None]]]) -> None:
        try:
            slices = await self._log.read([want for want, _ in batch]) if batch else []
        except Exception as error:  # each follower owns its failure; the reader serves the others' next wants
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), found in zip(batch, slices, strict=True):
            if not answer.done():
                answer.set_result(found)


class Followers:
    def __init__(self, generations: GenerationStore, reader: LogReader, wakes: Wakes) -> None:
        self._generations, self._reader, self._wakes = generations, reader, wakes

    async def follow(self, viewer: Viewer, generation_id: GenerationId, after: int) -> AsyncGenerator[LogEntry, None]:
        """Every entry after `after`, then those to come, GenerationFinished last. Raises UnknownId, BadCursor.

        Holds a cursor and nothing else: a slow reader gets larger slices, later.
        """
        cursor = max(after, 0)
        await self._check(viewer, generation_id, cursor)
        with self._wakes.watching(generation_id) as woken:
            while True:
                woken.clear()
                found = await self._read_patiently(Want(generation_id, cursor, MOST_AT_ONCE))
                if found is None:
                    return
                for entry in found.entries:
                    yield entry
                    cursor = entry.seq
                if found.ended and cursor >= found.last_seq:
                    return
                if cursor >= found.last_seq:
                    await wait_at_most(woken, POLL)

    async def page(self, viewer: Viewer, generation_id: GenerationId, after: int, limit: int) -> Slice | None:
        """For pollers: the same log by the same cursor. Raises BadCursor."""
        cursor = max(after, 0)
        if generation_id not in await self._generations.generations(viewer.id, [generation_id]):
            return None
        found = await self._reader.read(Want(generation_id, cursor, limit))
        if found is not None and cursor > found.last_seq:
            raise _beyond(found.last_seq)
        return found

    async def _check(self, viewer: Viewer, generation_id: GenerationId, cursor: int) -> None:
        found = await self._generations.generations(viewer.id, [generation_id])
        if generation_id not in found:
            raise UnknownId("There is no such generation: it never existed, was deleted, or is not yours.")
        if cursor > found[generation_id].last_seq:
            raise _beyond(found[generation_id].last_seq)

    async def _read_patiently(self, want: Want) -> Slice | None:
        """An outage of the database pauses a stream; it does not end it."""
        while True:
            try:
                return await self._reader.read(want)
            except Unavailable as outage:
                await asyncio.sleep(outage.retry_after)


def _beyond(last_seq: int) -> BadCursor:
    return BadCursor(f"`after` lies beyond the log, which ends at {last_seq} now.")
