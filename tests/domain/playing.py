"""Plays runs against the fake log with a real writer behind them."""

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Self

from domain.generation.log import LogEntry
from domain.generation.run import Order, Run, RunPolicy
from domain.generation.wakes import Wakes
from domain.generation.writer import LogWriter
from domain.model import LanguageModel
from tests.domain.fakes import FakeLog, an_order


class Stage:
    def __init__(self, log: FakeLog) -> None:
        self.log, self.wakes, self.paused = log, Wakes(), list[float]()
        self.writer = LogWriter(log, self.wakes)
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
        order = order or an_order()
        self.log.begin(order.generation)
        policy = RunPolicy(total=total, pause=self._pause)
        return Run(order, server, self.log, self.writer, self.wakes, policy=policy)

    async def play(self, server: LanguageModel) -> list[LogEntry]:
        order = an_order()
        await self.run(server, order).play()
        return self.log.entries[order.generation.id]

    async def _pause(self, seconds: float) -> None:
        self.paused.append(seconds)
