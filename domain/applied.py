"""Plans that an operator has applied while the server runs: kept over the file, and taken up by every process."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.errors import Unavailable
from domain.plan import Plan, Plans

logger = logging.getLogger("gus.plans")

# What is promised is five seconds.
POLL = timedelta(seconds=1.5)


@dataclass(frozen=True, slots=True)
class Applied:
    """`document`: the text of a plans file."""

    version: int
    document: str


class PlanStore(Protocol):
    async def newest(self, after: int) -> Applied | None:
        """None: there is none after version `after`."""


class AppliedPlans:
    """`read` answers None for a document that this process cannot read: one of another release, perhaps."""

    def __init__(self, store: PlanStore, plans: Plans, read: Callable[[Applied], tuple[Plan, ...] | None]) -> None:
        self._store, self._plans, self._read = store, plans, read
        self._version = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(POLL.total_seconds())
            try:
                await self.reread()
            except Unavailable:
                logger.warning("storage cannot be reached; changes of plans wait")

    async def reread(self) -> None:
        """Raises Unavailable."""
        applied = await self._store.newest(self._version)
        if applied is None:
            return
        self._version = applied.version
        plans = self._read(applied)
        if plans is not None:
            self._plans.become(plans)
            logger.info("plans of version %s are in force", applied.version)
