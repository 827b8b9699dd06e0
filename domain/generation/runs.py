"""All runs of this process: started here, renewed while alive, and those of dead processes brought to their end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.errors import GenerationErrorCode, ServerDraining, Unavailable
from domain.generation.entity import Ending, FinishReason, Generation, GenerationError, GenerationStatus
from domain.generation.log import Stopping, TokenLog, read_all, reasoning_of, text_of
from domain.generation.run import Order, Run, RunPolicy, finish_patiently
from domain.generation.wakes import Wakes, wait_at_most
from domain.generation.window import estimate_tokens
from domain.generation.writer import LogWriter
from domain.model import Models, Usage, UsageSource
from domain.user import Viewer
from domain.world import GenerationId, NodeId

logger = logging.getLogger("gus.runs")

SWEPT_AT_ONCE = 100
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Node:
    """This process. `grace`: how long live runs may go on when it is asked to leave."""

    id: NodeId
    lease: timedelta = timedelta(seconds=10)
    stop_poll: timedelta = timedelta(milliseconds=500)
    grace: timedelta = timedelta(seconds=10)


class Expired:
    """Which leases this process has itself seen expired for a whole lease since it last reached the database."""

    def __init__(self, lease: timedelta) -> None:
        self._lease = lease.total_seconds()
        self._since: dict[GenerationId, float] = {}

    def long_enough(self, expired: list[GenerationId]) -> list[GenerationId]:
        now = asyncio.get_running_loop().time()
        self._since = {generation_id: self._since.get(generation_id, now) for generation_id in expired}
        return [generation_id for generation_id, since in self._since.items() if now - since >= self._lease]

    def forget(self) -> None:
        self._since.clear()


class Runs:
    def __init__(
        self, log: TokenLog, writer: LogWriter, wakes: Wakes, models: Models, node: Node, policy: RunPolicy
    ) -> None:
        self._log, self._writer, self._wakes = log, writer, wakes
        self._models, self.node, self._policy = models, node, policy
        self._live: dict[GenerationId, tuple[Run, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._draining = False
        self._expired = Expired(node.lease)

    def require_open(self) -> None:
        """Raises ServerDraining."""
        if self._draining or self._tasks is None:
            raise ServerDraining

    def start(self, order: Order) -> None:
        """The run is this process's from here on; its followers hear of it through the log."""
        if self._tasks is None:
            raise ServerDraining
        generation_id = order.generation.id
        run = Run(order, self._models.server(order.model), self._log, self._writer, self._wakes, policy=self._policy)
        task = self._tasks.create_task(run.play(), name=f"run {generation_id}")
        self._live[generation_id] = run, task
        task.add_done_callback(lambda _: self._live.pop(generation_id, None))

    async def stop(self, viewer: Viewer, generation_id: GenerationId, seen_seq: int | None) -> Stopping | None:
        """None: not there, or not theirs. Whichever process has the run sees the request; here it does at once."""
        stopping = await self._log.ask_to_stop(viewer.id, generation_id, seen_seq)
        if stopping is not None and stopping.node is not None and not stopping.already:
            self._wakes.wake([stopping.node])
        return stopping

    def look_for_stops(self) -> None:
        """Some runs were asked to stop: here at once, elsewhere by the poll."""
        self._wakes.wake([self.node.id])

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """While inside, runs can be started; leaving it waits for them, at most the node's grace."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await self._end_all(await self._log.left_by(self.node.id, SWEPT_AT_ONCE), own=True)
            upkeep = [
                tasks.create_task(self._every(self.node.lease / 3, self._renew_and_sweep, wakes=NOBODY)),
                tasks.create_task(self._every(self.node.stop_poll, self._pass_on_stops, wakes=self.node.id)),
            ]
            try:
                yield
            finally:
                await self.drain()
                for task in upkeep:
                    task.cancel()

    async def drain(self) -> None:
        """Takes no more runs; those alive may end within the grace, then they end INTERRUPTED with their text."""
        self._draining = True
        tasks = [task for _, task in self._live.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=self.node.grace.total_seconds())
        for run, _ in list(self._live.values()):
            run.leave()

    async def _every(self, period: timedelta, work: Callable[[], Awaitable[None]], *, wakes: UUID) -> None:
        """Each period, and at once when the id in `wakes` is woken."""
        with self._wakes.watching(wakes) as woken:
            while True:
                woken.clear()
                try:
                    await work()
                except Unavailable:
                    self._expired.forget()
                    logger.warning("storage cannot be reached; upkeep of runs waits")
                await wait_at_most(woken, period)

    async def _renew_and_sweep(self) -> None:
        """In this order: after an outage nobody's own live runs look abandoned."""
        await self._log.renew(self.node.id, list(self._live), self.node.lease)
        await self._end_all(self._expired.long_enough(await self._log.abandoned(SWEPT_AT_ONCE)), own=False)

    async def _pass_on_stops(self) -> None:
        if not self._live:
            return
        for generation_id, request in (await self._log.stops(self.node.id)).items():
            if generation_id in self._live:
                self._live[generation_id][0].stop(request)

    async def _end_all(self, generation_ids: list[GenerationId], *, own: bool) -> None:
        for generation_id in generation_ids:
            if generation_id in self._live:
                continue
            taken = await self._log.take(generation_id, self.node.id, self.node.lease, own=own)
            if taken is not None:
                await self._interrupt(taken)

    async def _interrupt(self, generation: Generation) -> None:
        """Its process is dead. What was committed was shown, and is kept."""
        entries = await read_all(self._log, generation.id)
        text, reasoning = text_of(entries), reasoning_of(entries)
        said = text + (reasoning or "")
        usage = Usage(generation.estimated_input_tokens, estimate_tokens(said), UsageSource.PARTIAL) if said else None
        lost = GenerationError(GenerationErrorCode.SERVER_LOST, retryable=True)
        ending = Ending(GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST, text, usage, reasoning, lost)
        model = self._models.recorded(generation.model_key)
        await finish_patiently(self._log, generation, model, ending, previous=generation.last_seq)
        self._wakes.wake([generation.id])
