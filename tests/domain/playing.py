"""Plays runs against the fake log with a real writer behind them."""

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Self

from domain.generation.asking import Asking, AskPolicy
from domain.generation.circuit import Circuits
from domain.generation.log import LogEntry
from domain.generation.prepare import Order
from domain.generation.run import Run
from domain.generation.wakes import Wakes
from domain.generation.writer import LogWriter
from domain.model import LanguageModel, Models
from tests.domain.fakes import FakeChecker, FakeLog, FakeWorld, OneServer, SameOrder, a_model, an_order


class Stage:
    def __init__(self, log: FakeLog) -> None:
        self.log, self.wakes, self.paused, self.circuits = log, Wakes(), list[float](), Circuits()
        self.writer = LogWriter(log, self.wakes)
        self.awaited, self.checker = 0, FakeChecker()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writing = asyncio.create_task(self.writer.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writing is not None
        self._writing.cancel()
        await asyncio.wait([self._writing])

    def run(self, server: LanguageModel, order: Order | None = None, *, total: timedelta = timedelta(minutes=1)) -> Run:
        return self.run_over(Models([a_model()], OneServer(server)), order or an_order(), total=total)

    def run_over(self, models: Models, order: Order, *, total: timedelta = timedelta(minutes=1)) -> Run:
        self.log.begin(order.generation)
        policy = AskPolicy(pause=self._pause)
        asking = Asking(order, models, SameOrder(models), self.circuits, FakeWorld(), policy)
        return Run(
            order, asking, self.log, self.writer, self.wakes, checker=self.checker, total=total, on_awaited=self._count
        )

    async def play(self, server: LanguageModel) -> list[LogEntry]:
        order = an_order()
        await self.run(server, order).play()
        return self.log.entries[order.generation.id]

    async def _pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    def _count(self) -> None:
        self.awaited += 1
