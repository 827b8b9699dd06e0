"""All runs of this process: started here, renewed while alive; those of dead processes are started over or ended."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from domain.errors import ContextTooLarge, GenerationErrorCode, ServerDraining, Unavailable
from domain.generation.asking import Asking
from domain.generation.circuit import Circuits
from domain.generation.ending import end_patiently, tell_of_end
from domain.generation.entity import Ending, FinishReason, Generation, GenerationError, GenerationStatus
from domain.generation.log import (
    Claimed,
    Line,
    Stopping,
    StopRequest,
    TokenLog,
    read_all,
    reasoning_of,
    text_of,
    times_asked,
)
from domain.generation.prepare import BeyondLimits, Order, Preparation
from domain.generation.run import Run, RunPolicy
from domain.generation.wakes import Wakes
from domain.generation.writer import LogWriter
from domain.model import Model, ModelKey, Models, Usage, UsageSource
from domain.response_format import JsonChecker
from domain.user import Viewer
from domain.world import GenerationId, NodeId, World

T = TypeVar("T")

logger = logging.getLogger("gus.runs")

AT_ONCE = 100
NOBODY = UUID(int=0)
# Woken when somebody's turn may have come.
QUEUE = UUID(int=1)
QUEUE_POLL = timedelta(seconds=1)
# A model that no living process knows for so long has left for good; its process may just be starting again.
LONGEST_UNKNOWN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Node:
    """This process. `grace`: how long live runs may go on when it is asked to leave. `lines`: whose turn it sees to."""

    id: NodeId
    lines: tuple[Line, ...] = ()
    lease: timedelta = timedelta(seconds=10)
    stop_poll: timedelta = timedelta(milliseconds=250)
    grace: timedelta = timedelta(seconds=10)


class Contact:
    """How long this process has been in touch with the database without a break.

    Only after a whole lease of it may it believe an expired lease: after an outage all are expired, and their owners,
    which came back at the same time, need that long to renew them.
    """

    def __init__(self, lease: timedelta) -> None:
        self._lease = lease.total_seconds()
        self._since = self._last = float("-inf")

    def made(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._last > self._lease:
            self._since = now
        self._last = now

    def lost(self) -> None:
        self._last = float("-inf")

    def is_lasting(self) -> bool:
        return self._last - self._since >= self._lease


class Runs:
    def __init__(
        self,
        log: TokenLog,
        writer: LogWriter,
        wakes: Wakes,
        *,
        models: Models,
        preparation: Preparation,
        world: World,
        node: Node,
        checker: JsonChecker,
        policy: RunPolicy,
    ) -> None:
        self._log, self._writer, self._wakes = log, writer, wakes
        self._models, self._preparation, self._world = models, preparation, world
        self.node, self._checker, self._policy = node, checker, policy
        self._circuits = Circuits()
        self._live: dict[GenerationId, tuple[Run | None, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._draining = False
        self._contact = Contact(node.lease)

    def require_open(self) -> None:
        """Raises ServerDraining."""
        if self._draining or self._tasks is None:
            raise ServerDraining

    def start(self, order: Order) -> None:
        """The run is this process's from here on; its followers hear of it through the log.

        Outside of `serving` it is left to whoever finds its lease expired: it is stored, so it must not be refused.
        """
        if self._tasks is not None:
            run = self._run(order)
            self._own(order.generation.id, run, self._tasks.create_task(run.play()))

    def reline(self, lines: tuple[Line, ...]) -> None:
        """The catalogue of models has changed."""
        self.node = replace(self.node, lines=lines)

    def has_line(self, model: Model) -> bool:
        """Its server gives only so many answers at once: a run of it waits for its turn."""
        return any(model.key in line.models and line.capacity is not None for line in self.node.lines)

    def _starts_at_once(self, key: ModelKey) -> bool:
        return any(key in line.models and line.capacity is None for line in self.node.lines)

    def call_next(self) -> None:
        """A run was queued, or one ended that others waited for."""
        self._wakes.wake([QUEUE])

    async def stop(self, viewer: Viewer, generation_id: GenerationId, request: StopRequest) -> Stopping | None:
        """None: not there, or not theirs. Whichever process has the run hears of it, or finds it by its poll."""
        stopping = await self._log.ask_to_stop(viewer.id, generation_id, request)
        if stopping is not None and not stopping.already:
            # A queued run has no node: its turn comes at once, for its end.
            self._wakes.wake([stopping.node or QUEUE])
        return stopping

    def look_for_stops(self) -> None:
        """Some runs were asked to stop: here at once, elsewhere by the poll."""
        self._wakes.wake([self.node.id, QUEUE])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """While inside, runs can be started; leaving it waits for them, at most the node's grace."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await self._take_all(await self._log.left_by(self.node.id, AT_ONCE), own=True)
            upkeep = [
                tasks.create_task(self._every(self.node.lease / 3, self._renew_and_sweep, wakes=NOBODY)),
                tasks.create_task(self._every(self.node.stop_poll, self._pass_on_stops, wakes=self.node.id)),
                tasks.create_task(self._every(QUEUE_POLL, self._claim, wakes=QUEUE)),
            ]
            try:
                yield
            finally:
                await self.drain()
                for task in upkeep:
                    task.cancel()
                self._tasks = None

    async def drain(self) -> None:
        """Takes no more runs; those alive may end within the grace. Then what has delivered nothing is handed over,
        and the others end INTERRUPTED with their text."""
        self._draining = True
        if tasks := self._playing():
            await asyncio.wait(tasks, timeout=self.node.grace.total_seconds())
        for run, task in list(self._live.values()):
            if run is not None:
                run.leave()
            else:
                task.cancel()
        if tasks := self._playing():
            await asyncio.wait(tasks)

    def _playing(self) -> list[asyncio.Task[None]]:
        return [task for _, task in self._live.values()]

    def _run(self, order: Order) -> Run:
        asking = Asking(order, self._models, self._preparation, self._circuits, self._world, self._policy.asking)
        return Run(
            order,
            asking,
            self._log,
            self._writer,
            self._wakes,
            checker=self._checker,
            total=self._policy.total,
            on_awaited=self.call_next,
        )

    def _own(self, generation_id: GenerationId, run: Run | None, task: asyncio.Task[None]) -> None:
        self._live[generation_id] = run, task
        task.add_done_callback(lambda _: self._live.pop(generation_id, None))

    async def _every(self, period: timedelta, work: Callable[[], Awaitable[None]], *, wakes: UUID) -> None:
        """Each period, and at once when the id in `wakes` is woken."""
        with self._wakes.watching(wakes) as woken:
            while True:
                woken.clear()
                try:
                    await work()
                except Unavailable:
                    self._contact.lost()
                    logger.warning("storage cannot be reached; upkeep of runs waits")
                except Exception:  # the outermost owner of this task: the next period tries again
                    logger.exception("upkeep of runs failed")
                await woken.wait_at_most(period)

    async def _renew_and_sweep(self) -> None:
        """In this order: after an outage nobody's own live runs look abandoned."""
        await self._log.renew(self.node.id, list(self._live), self.node.lease)
        await self._log.know([key for line in self.node.lines for key in line.models])
        self._contact.made()
        if self._contact.is_lasting() and not self._draining:
            await self._take_all(await self._log.abandoned(AT_ONCE), own=False)
            await self._fail_forsaken()

    async def _fail_forsaken(self) -> None:
        """Whoever claims one at the same moment has written to its log, and the end finds it changed."""
        error = GenerationError(GenerationErrorCode.MODEL_UNREACHABLE, retryable=False)
        for generation in await self._log.forsaken(LONGEST_UNKNOWN, AT_ONCE):
            await self._end(generation, GenerationStatus.FAILED, FinishReason.ERROR, error)

    async def _pass_on_stops(self) -> None:
        if not self._live:
            return
        for generation_id, request in (await self._log.stops(self.node.id)).items():
            run, _ = self._live.get(generation_id, (None, None))
            if run is not None:
                run.stop(request)

    async def _claim(self) -> None:
        for line in self.node.lines:
            if not self._draining:
                for claimed in await self._log.claim(self.node.id, self.node.lease, line, AT_ONCE):
                    self._resume(claimed)

    async def _take_all(self, generation_ids: list[GenerationId], *, own: bool) -> None:
        for generation_id in generation_ids:
            if generation_id in self._live:
                continue
            taken = await self._log.take(generation_id, self.node.id, self.node.lease, own=own)
            if taken is not None and taken.generation.delivered:
                await self._interrupt(taken.generation)
            elif taken is not None and not self._starts_at_once(taken.generation.model_key):
                # Its place in the line was its dead owner's: it starts over in its turn, where its model is known.
                await self._log.give_back(taken.generation)
                self.call_next()
            elif taken is not None:
                self._resume(taken)

    def _resume(self, claimed: Claimed) -> None:
        """A run that is stored only: its order is made anew."""
        self._wakes.wake([claimed.generation.id])
        if self._tasks is not None:
            self._own(claimed.generation.id, None, self._tasks.create_task(self._prepare_and_play(claimed)))

    async def _prepare_and_play(self, claimed: Claimed) -> None:
        """Never raises: a run that fails here loses its lease, and is found by others."""
        try:
            run = await self._prepared(claimed)
        except Exception:  # the outermost owner of this task
            logger.exception("a run could not be prepared")
            return
        if run is not None:
            if claimed.generation.id in self._live:
                self._live[claimed.generation.id] = run, self._live[claimed.generation.id][1]
            await run.play()

    async def _prepared(self, claimed: Claimed) -> Run | None:
        """None: it ended before it began."""
        generation, order = claimed.generation, None
        if claimed.stop is not None:
            await self._end(generation, GenerationStatus.STOPPED, claimed.stop.reason)
            return None
        try:
            order = await _patiently(partial(self._preparation.order, generation))
        except (ContextTooLarge, BeyondLimits) as refused:
            await self._end(generation, GenerationStatus.FAILED, FinishReason.ERROR, _error(refused))
            return None
        if order is None:
            await self._end(generation, GenerationStatus.STOPPED, FinishReason.CANCELLED)
            return None
        return self._run(order)

    async def _interrupt(self, generation: Generation) -> None:
        """Its process is dead. What was committed was shown, and is kept."""
        entries = await read_all(self._log, generation.id)
        kept = await self._preparation.kept(generation)
        text, reasoning = text_of(entries, kept), reasoning_of(entries)
        asked = generation.estimated_input_tokens * times_asked(entries)
        usage = Usage(asked, generation.produced_tokens, UsageSource.PARTIAL)
        lost = GenerationError(GenerationErrorCode.SERVER_LOST, retryable=True)
        ending = Ending(GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST, text, usage, reasoning, lost)
        await self._finish(generation, ending, kept)

    async def _end(
        self,
        generation: Generation,
        status: GenerationStatus,
        reason: FinishReason,
        error: GenerationError | None = None,
    ) -> None:
        kept = await _patiently(partial(self._preparation.kept, generation))
        await self._finish(generation, Ending(status, reason, kept, error=error), kept)

    async def _finish(self, generation: Generation, ending: Ending, kept: str) -> None:
        model = self._models.recorded(generation.model_key)
        ended = await end_patiently(self._log, generation, model, ending, previous=generation.last_seq, kept=kept)
        if ended.awaited:
            self.call_next()
        tell_of_end(self._wakes, generation, ended)


def _error(refused: ContextTooLarge | BeyondLimits) -> GenerationError:
    if isinstance(refused, ContextTooLarge):
        return GenerationError(GenerationErrorCode.CONTEXT_TOO_LARGE, retryable=False)
    return GenerationError(GenerationErrorCode.QUOTA_EXCEEDED, retryable=True)


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Through an outage of the database."""
    while True:
        try:
            return await read()
        except Unavailable as outage:
            await asyncio.sleep(outage.retry_after)
