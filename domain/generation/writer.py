"""The one writer of a process: deltas of all its runs gather while a commit is in flight, and the next commit takes them all."""

import asyncio
from collections.abc import Callable

from domain.errors import Unavailable
from domain.generation.entity import Generation
from domain.generation.log import Append, Appended, NewText, StopRequest, TokenLog
from domain.generation.wakes import Wakes
from domain.text import units
from domain.world import GenerationId

MOST_GATHERED_UNITS = 65_536
LOCKED_PAUSE_SECONDS = 0.01


class RunLog:
    """One run's end of the writer. `last_seq`, `text_end`: of what is committed, or gathered and on its way."""

    def __init__(self, generation: Generation, gathered: asyncio.Event, on_change: Callable[[], None]) -> None:
        self.generation_id, self.attempt, self.last_seq = generation.id, generation.attempt, generation.last_seq
        self.text_end, self.reasoning_end = generation.text_offset, 0
        self.lost = False
        self.stop: StopRequest | None = None
        self.failure: Exception | None = None
        self._gathered, self._on_change = gathered, on_change
        self._fresh: list[NewText] = []
        self._in_flight: tuple[NewText, ...] = ()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._room.set()
        self._idle.set()

    async def write(self, text: str, *, reasoning: bool = False) -> None:
        """Returns at once, unless too much has gathered: then the model has to wait."""
        await self._room.wait()
        offset = self.reasoning_end if reasoning else self.text_end
        self._gather(NewText(text, offset, reasoning))
        self._idle.clear()
        self._gathered.set()

    async def flush(self) -> None:
        """Waits until all that was written is committed, or the run is lost."""
        await self._idle.wait()

    def append(self) -> Append | None:
        """What the next commit takes. After an unknown outcome the very same deltas again, so that seq settles it."""
        if not self._in_flight:
            self._in_flight, self._fresh = tuple(self._fresh), []
        return Append(self.generation_id, self.attempt, self.last_seq, self._in_flight) if self._in_flight else None

    def settle(self, append: Append, answer: Appended | None) -> None:
        """`answer` None: the row was locked; the deltas go with the next commit."""
        if answer is None:
            asyncio.get_running_loop().call_later(LOCKED_PAUSE_SECONDS, self._gathered.set)
            return
        if answer.attempt != self.attempt or answer.ended or answer.last_seq != append.last:
            self.give_up()
            return
        self.last_seq, self._in_flight = append.last, ()
        if answer.stop is not None and self.stop is None:
            self.stop = answer.stop
            self._on_change()
        self._settled()

    def give_up(self, failure: Exception | None = None) -> None:
        """Another process has the run, or (with `failure`) its deltas cannot be stored."""
        self.lost, self.failure = failure is None, failure
        self._in_flight, self._fresh = (), []
        self._on_change()
        self._settled()

    def _gather(self, new: NewText) -> None:
        if new.reasoning:
            self.reasoning_end = new.end
        else:
            self.text_end = new.end
        last = self._fresh[-1] if self._fresh else None
        if last is not None and last.reasoning == new.reasoning:
            self._fresh[-1] = NewText(last.text + new.text, last.offset, new.reasoning)
        else:
            self._fresh.append(new)
        if sum(units(delta.text) for delta in self._fresh) > MOST_GATHERED_UNITS:
            self._room.clear()

    def _settled(self) -> None:
        self._room.set()
        if self._fresh:
            self._gathered.set()
        else:
            self._idle.set()


class LogWriter:
    def __init__(self, log: TokenLog, wakes: Wakes) -> None:
        self._log, self._wakes = log, wakes
        self._runs: dict[GenerationId, RunLog] = {}
        self._gathered = asyncio.Event()

    def open(self, generation: Generation, on_change: Callable[[], None]) -> RunLog:
        """`on_change` is called when the run is lost, cannot be stored, or is asked to stop."""
        run = self._runs[generation.id] = RunLog(generation, self._gathered, on_change)
        return run

    def close(self, run: RunLog) -> None:
        self._runs.pop(run.generation_id, None)

    async def run(self) -> None:
        while True:
            await self._gathered.wait()
            self._gathered.clear()
            batch = [append for run in self._runs.values() if (append := run.append())]
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: list[Append]) -> None:
        try:
            self._settle(batch, await self._log.append(batch))
        except Unavailable as outage:
            self._gathered.set()
            await asyncio.sleep(outage.retry_after)
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
