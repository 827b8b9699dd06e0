"""Replies that a process had to leave, as it was told to end, are gone on with by another one, by itself."""

import logging
from datetime import timedelta

from domain.conversation.continuing import Continuations
from domain.errors import ServerDraining, Unavailable
from domain.generation.log import GenerationStore
from domain.generation.run import HANDED_OVER
from domain.generation.wakes import Wakes
from domain.model import ModelCapability, Models

logger = logging.getLogger("gus.handover")

POLL = timedelta(seconds=2)
AT_ONCE = 20
# Whoever waited for longer has gone, or has asked for it himself.
LONGEST_AGO = timedelta(minutes=10)


class Handovers:
    def __init__(
        self, generations: GenerationStore, continuations: Continuations, models: Models, wakes: Wakes
    ) -> None:
        self._generations, self._continuations = generations, continuations
        self._models, self._wakes = models, wakes

    async def run(self) -> None:
        """For ever; any number of processes may do so side by side: one of them goes on with each reply."""
        with self._wakes.watching(HANDED_OVER) as woken:
            while True:
                woken.clear()
                try:
                    await self.once()
                except ServerDraining:
                    # This process is leaving itself: another one finds them.
                    pass
                except Unavailable:
                    logger.warning("storage cannot be reached; what was handed over waits")
                await woken.wait_at_most(POLL)

    async def once(self) -> None:
        """Raises ServerDraining, Unavailable."""
        able = [model.key for model in self._models.on_offer() if ModelCapability.CONTINUE in model.capabilities]
        for left in await self._generations.handed_over(able, LONGEST_AGO, AT_ONCE):
            await self._continuations.take_up(left)
