"""Following a run: read the log from a cursor, then wait for more, from any process."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from domain.errors import BadCursor, Unavailable, UnknownId
from domain.generation.entity import FinishReason, Generation
from domain.generation.log import (
    GenerationFinished,
    GenerationSnapshot,
    GenerationStore,
    LogEntry,
    Slice,
    TokenLog,
    Want,
)
from domain.generation.wakes import Wakes
from domain.generation.writer import LogWriter
from domain.message import Message
from domain.user import Viewer
from domain.world import GenerationId, MessageId, UserId, World

POLL = timedelta(seconds=1)
MOST_AT_ONCE = 500
# Of one statement: while they are made into entries, nothing else happens in the process.
MOST_ROWS = 2000
# So many entries are what a follower may have missed who keeps up, and so many are told in each round to those who do not.
FEW = 16


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
            found = await self._found({want for want, _ in batch}) if batch else {}
        except Exception as error:  # each follower owns its failure; the reader serves the others' next wants
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        for want, answer in batch:
            if not answer.done():
                answer.set_result(found[want])

    async def _found(self, wants: set[Want]) -> dict[Want, Slice | None]:
        """Who wants the same shares it; of many who come at once each gets a smaller slice, and asks again."""
        limit = max(MOST_ROWS // len(wants), 1)
        asked = [replace(want, limit=min(want.limit, limit)) for want in wants]
        return dict(zip(wants, await self._log.read(asked), strict=True))


class Replies(Protocol):
    async def messages(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Message]: ...


@dataclass(frozen=True, slots=True)
class LogPage:
    """A Slice as it is shown: what is past retention is told by a snapshot."""

    entries: tuple[LogEntry | GenerationSnapshot, ...]
    last_seq: int
    ended: bool


class Followers:
    def __init__(
        self,
        generations: GenerationStore,
        messages: Replies,
        reader: LogReader,
        wakes: Wakes,
        world: World,
    ) -> None:
        self._generations, self._messages = generations, messages
        self._reader, self._wakes, self._world = reader, wakes, world
        self._catching_up = asyncio.Semaphore(FEW)

    async def follow(
        self, viewer: Viewer, generation_id: GenerationId, after: int, *, snapshot: bool = False
    ) -> AsyncGenerator[LogEntry | GenerationSnapshot, None]:
        """Every entry after `after`, then those to come, GenerationFinished last. Raises UnknownId, BadCursor.

        `snapshot`: the reply as it is instead of what it was made of; so also for a cursor past retention.
        Holds a cursor and nothing else: a slow reader gets larger slices, later.
        """
        reply_id, cursor = await self._start(viewer, generation_id, max(after, 0), snapshot)
        with self._wakes.watching(generation_id) as woken:
            while True:
                woken.clear()
                found = None if snapshot else await self._read_patiently(Want(generation_id, cursor, MOST_AT_ONCE))
                if snapshot or (found is not None and cursor < found.kept_after):
                    shown = await self._snapshot(viewer, generation_id, reply_id)
                    if shown is None:
                        return
                    yield shown
                    cursor, snapshot = shown.seq, False
                    continue
                if found is None:
                    return
                for entry in found.entries:
                    if isinstance(entry, GenerationFinished) and entry.finish_reason is FinishReason.CANCELLED:
                        # The conversation was deleted: there is no reply left to show.
                        return
                    if len(found.entries) > 1:
                        await self._give_way(len(found.entries))
                    yield entry
                    cursor = entry.seq
                if found.ended and cursor >= found.last_seq:
                    return
                if cursor >= found.last_seq:
                    await woken.wait_at_most(POLL)

    async def page(self, viewer: Viewer, run: Generation, after: int, limit: int) -> LogPage | None:
        """For pollers: the same log by the same cursor. Raises BadCursor."""
        cursor = max(after, 0)
        found = await self._reader.read(Want(run.id, cursor, limit))
        if found is None:
            return None
        if cursor > found.last_seq:
            raise _beyond(found.last_seq)
        if cursor < found.kept_after:
            shown = await self._snapshot(viewer, run.id, run.reply_id)
            if shown is None:
                return None
            rest = [entry for entry in found.entries if entry.seq > shown.seq]
            return LogPage((shown, *rest), found.last_seq, found.ended)
        return LogPage(found.entries, found.last_seq, found.ended)

    async def _give_way(self, entries: int) -> None:
        """Who catches up never waits for anything, and everybody else would wait for him. Those who have much to catch up
        with are let on a few at a time: of thousands each round of the loop would take longer than a lease lasts."""
        if entries > FEW:
            async with self._catching_up:
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(0)

    async def _start(
        self, viewer: Viewer, generation_id: GenerationId, after: int, snapshot: bool
    ) -> tuple[MessageId, int]:
        """The reply's id and the cursor: not the run, which a follower would keep for as long as it waits."""
        found = await self._generations.generations(viewer.id, [generation_id])
        if generation_id not in found:
            raise UnknownId("There is no such generation: it never existed, was deleted, or is not yours.")
        run = found[generation_id]
        if after > run.last_seq and not snapshot:
            raise _beyond(run.last_seq)
        return run.reply_id, after

    async def _snapshot(
        self, viewer: Viewer, generation_id: GenerationId, reply_id: MessageId
    ) -> GenerationSnapshot | None:
        """As of a seq before GenerationFinished, which always follows as itself. None: the conversation was deleted."""
        generations = await self._generations.generations(viewer.id, [generation_id])
        messages = await self._messages.messages(viewer.id, [reply_id])
        if generation_id not in generations or reply_id not in messages:
            return None
        run, reply = generations[generation_id], messages[reply_id]
        # Read after the run: of the latest run the reply knows at least as much.
        through = reply.text_through_seq if reply.generation_id == run.id else run.last_seq
        ended = reply.completed_at is not None or reply.generation_id != run.id
        return GenerationSnapshot(through - 1 if ended else through, self._world.now(), run.id, reply)

    async def _read_patiently(self, want: Want) -> Slice | None:
        """An outage of the database pauses a stream; it does not end it."""
        while True:
            try:
                return await self._reader.read(want)
            except Unavailable as outage:
                await asyncio.sleep(outage.retry_after)


def _beyond(last_seq: int) -> BadCursor:
    return BadCursor(f"`after` lies beyond the log, which ends at {last_seq} now.")
