"""What time does to conversations: deleted ones are purged in small batches, remembered keys are forgotten."""

import asyncio
import logging
from datetime import timedelta

from domain.conversation.store import ConversationStore
from domain.errors import Unavailable
from domain.world import World

logger = logging.getLogger("gus.upkeep")

KEYS_REMEMBERED = timedelta(hours=48)
PERIOD = timedelta(seconds=30)
PURGED_AT_ONCE = 500


class Upkeep:
    def __init__(self, store: ConversationStore, world: World) -> None:
        self._store, self._world = store, world

    async def run(self) -> None:
        """For ever; any number of processes may do so side by side."""
        while True:
            try:
                await self.once()
            except Unavailable:
                logger.warning("storage cannot be reached; upkeep of conversations waits")
            await asyncio.sleep(PERIOD.total_seconds())

    async def once(self) -> None:
        await self._store.forget_keys(self._world.now() - KEYS_REMEMBERED)
        # Small batches: one cascade over a long conversation would make every writer wait for seconds.
        while await self._store.purge_deleted(PURGED_AT_ONCE) > 0:
            continue
