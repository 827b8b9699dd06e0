"""The one writer of a process: deltas of all its runs gather while a commit is in flight, and the next commit takes them all."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from domain.errors import Unavailable
from domain.generation.entity import Generation
from domain.generation.log import (
    Append,
    Appended,
    GenerationStarted,
    LogEntry,
    NewCut,
    NewEntry,
    NewNotice,
    NewStart,
    NewText,
    NoticeRaised,
    ReasoningDelta,
    Slice,
    StopRequest,
    TextDelta,
    TextTruncated,
    TokenLog,
    TruncationReason,
    Want,
)
from domain.generation.pace import Pace
from domain.generation.wakes import Wakes
from domain.text import units
from domain.world import GenerationId

MOST_GATHERED_UNITS = 65_536
LOCKED_PAUSE_SECONDS = 0.01
TAIL_ENTRIES = 256


class RunLog:
    """One run's end of the writer. `last_seq` is of what is committed, the ends of what was written."""

    def __init__(self, generation: Generation, writer: "LogWriter", on_change: Callable[[], None]) -> None:
        self.generation_id, self.attempt, self.last_seq = generation.id, generation.attempt, generation.last_seq
        self.text_end, self.reasoning_end = generation.text_offset, 0
        self.lost = False
        self.stop: StopRequest | None = None
        self.failure: Exception | None = None
        self._writer, self._on_change = writer, on_change
        self._fresh: list[NewEntry] = []
        self._fresh_units = 0
        self._in_flight: tuple[NewEntry, ...] = ()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._room.set()
        self._idle.set()
        self._tail: deque[LogEntry] = deque(maxlen=TAIL_ENTRIES)

    async def write(self, text: str, tokens: int = 1, *, reasoning: bool = False) -> None:
        """Returns when more is wanted: at once while there are few runs, else after a pause, in which the model's words
        gather where a single read takes them all. When too much has gathered here, the model has to wait."""
        await self._room.wait()
        self._gather(NewText(text, self.reasoning_end if reasoning else self.text_end, reasoning, tokens))
        self._announce()
        await self._writer.pause()

    def note(self, *entries: NewStart | NewNotice) -> None:
        """What is no text; in its place between the texts."""
        self._fresh.extend(entries)
        self._announce()

    def cut(self, length: int, reason: TruncationReason) -> None:
        self.text_end = length
        self._fresh.append(NewCut(length, reason))
        self._announce()

    async def flush(self) -> None:
        """Waits until all that was written is committed, or the run is lost."""
        await self._idle.wait()

    def append(self) -> Append | None:
        """What the next commit takes. After an unknown outcome the very same deltas again, so that seq settles it."""
        if not self._in_flight:
            self._in_flight, self._fresh, self._fresh_units = tuple(self._fresh), [], 0
        if not self._in_flight:
            return None
        return Append(self.generation_id, self.attempt, self.last_seq, self._in_flight)

    def settle(self, append: Append, answer: Appended | None) -> None:
        """`answer` None: the row was locked; the deltas go with the next commit."""
        if answer is None:
            asyncio.get_running_loop().call_later(LOCKED_PAUSE_SECONDS, self._writer.announce, self.generation_id)
            return
        if answer.attempt != self.attempt or answer.ended or answer.last_seq != append.last:
            self.give_up()
            return
        self.last_seq, self._in_flight = append.last, ()
        self._remember(append, answer.at)
        if answer.stop is not None and self.stop is None:
            self.stop = answer.stop
            self._on_change()
        self._settled()

    def give_up(self, failure: Exception | None = None) -> None:
        """Another process has the run, or (with `failure`) its deltas cannot be stored."""
        self.lost, self.failure = failure is None, failure
        self._in_flight, self._fresh, self._fresh_units = (), [], 0
        self._tail.clear()
        self._on_change()
        self._settled()

    def tail(self, want: Want) -> Slice | None:
        """The end of the log from memory: committed entries only; None when it does not reach back far enough."""
        if not self._tail or want.after < self._tail[0].seq - 1:
            return None
        wanted = min(self.last_seq - want.after, want.limit)
        start = want.after - self._tail[0].seq + 1
        entries = tuple(self._tail[index] for index in range(start, start + wanted)) if wanted > 0 else ()
        return Slice(entries, self.last_seq, ended=False)

    def _gather(self, new: NewText) -> None:
        if new.reasoning:
            self.reasoning_end = new.end
        else:
            self.text_end = new.end
        last = self._fresh[-1] if self._fresh else None
        if isinstance(last, NewText) and last.reasoning == new.reasoning:
            self._fresh[-1] = NewText(last.text + new.text, last.offset, new.reasoning, last.tokens + new.tokens)
        else:
            self._fresh.append(new)
        self._fresh_units += units(new.text)
        if self._fresh_units > MOST_GATHERED_UNITS:
            self._room.clear()

    def _remember(self, append: Append, at: datetime | None) -> None:
        """An append whose outcome was unknown has no time: who wants it reads it."""
        if at is None:
            self._tail.clear()
            return
        for seq, entry in enumerate(append.entries, append.previous + 1):
            self._tail.append(stored(entry, seq, at, self.generation_id))

    def _announce(self) -> None:
        self._idle.clear()
        self._writer.announce(self.generation_id)

    def _settled(self) -> None:
        self._room.set()
        if self._fresh:
            self._announce()
        else:
            self._idle.set()


class LogWriter:
    def __init__(self, log: TokenLog, wakes: Wakes) -> None:
        self._log, self._wakes = log, wakes
        self._runs: dict[GenerationId, RunLog] = {}
        self._waiting: dict[GenerationId, None] = {}
        self._gathered = asyncio.Event()
        self._pace = Pace()

    def open(self, generation: Generation, on_change: Callable[[], None]) -> RunLog:
        """`on_change` is called when the run is lost, cannot be stored, or is asked to stop."""
        run = self._runs[generation.id] = RunLog(generation, self, on_change)
        return run

    def close(self, run: RunLog) -> None:
        self._runs.pop(run.generation_id, None)

    def tail(self, want: Want) -> Slice | None:
        """What this process has committed a moment ago itself; None: read the log."""
        run = self._runs.get(want.generation_id)
        return run.tail(want) if run is not None else None

    def announce(self, generation_id: GenerationId) -> None:
        """Its run has something for the next commit."""
        self._waiting[generation_id] = None
        self._gathered.set()

    async def pause(self) -> None:
        """Until a run that has written something takes more from its model."""
        await self._pace.pause(len(self._runs))

    async def run(self) -> None:
        while True:
            await self._gathered.wait()
            self._gathered.clear()
            waiting, self._waiting = self._waiting, {}
            runs = [run for generation_id in waiting if (run := self._runs.get(generation_id)) is not None]
            if batch := [append for run in runs if (append := run.append()) is not None]:
                await self._commit(batch)

    async def _commit(self, batch: list[Append]) -> None:
        try:
            self._settle(batch, await self._log.append(batch))
        except Unavailable as outage:
            await asyncio.sleep(outage.retry_after)
            for append in batch:
                self.announce(append.generation_id)
        except Exception as error:  # one run's deltas that cannot be stored must not stop the others
            await self._commit_one_by_one(batch, error)

    async def _commit_one_by_one(self, batch: list[Append], error: Exception) -> None:
        if len(batch) == 1:
            if run := self._runs.get(batch[0].generation_id):
                run.give_up(error)
            return
        for append in batch:
            await self._commit([append])

    def _settle(self, batch: list[Append], answers: dict[GenerationId, Appended]) -> None:
        for append in batch:
            if run := self._runs.get(append.generation_id):
                run.settle(append, answers.get(append.generation_id))
        self._wakes.wake(answers)


def stored(entry: NewEntry, seq: int, at: datetime, generation_id: GenerationId) -> LogEntry:
    match entry:
        case NewText(text, offset, reasoning):
            return (ReasoningDelta if reasoning else TextDelta)(seq, at, generation_id, text, offset)
        case NewStart(attempt, model_key):
            return GenerationStarted(seq, at, generation_id, attempt, model_key)
        case NewNotice(notice):
            return NoticeRaised(seq, at, generation_id, notice)
        case NewCut(length, reason):
            return TextTruncated(seq, at, generation_id, length, reason)
        case _:
            assert_never(entry)
