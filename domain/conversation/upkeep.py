"""What time does to conversations: idle ones rest, deleted ones are purged, keys and old logs are forgotten."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.conversation.events import EventStore
from domain.conversation.store import ConversationStore
from domain.errors import Unavailable
from domain.generation.log import GenerationStore
from domain.guest import Guests
from domain.world import World

logger = logging.getLogger("gus.upkeep")

KEYS_REMEMBERED = timedelta(hours=48)
PERIOD = timedelta(seconds=30)
PURGED_AT_ONCE = 500
RESTED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Retention:
    """How long logs are kept: a run's after its end, then its stored reply answers; a conversation's events.

    `idle_after`: so long without a message or the end of a reply, and a conversation is INACTIVE.
    """

    token_logs: timedelta = timedelta(hours=1)
    conversation_events: timedelta = timedelta(days=7)
    idle_after: timedelta = timedelta(days=30)


class PastCounters(Protocol):
    async def purge(self, limit: int) -> int:
        """Removes counters of windows that are long over, at most `limit` of each kind; how many."""


class Upkeep:
    def __init__(
        self,
        store: ConversationStore,
        generations: GenerationStore,
        events: EventStore,
        guests: Guests,
        counters: PastCounters,
        world: World,
        retention: Retention,
    ) -> None:
        self._counters = counters
        self._guests = guests
        self._store, self._generations, self._events = store, generations, events
        self._world, self._retention = world, retention

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
        await self._guests.forget_days()
        # Small batches: one cascade over a long conversation would make every writer wait for seconds.
        while await self._store.purge_deleted(PURGED_AT_ONCE) > 0:
            continue
        while await self._store.rest_idle(self._retention.idle_after, RESTED_AT_ONCE) > 0:
            continue
        while await self._generations.compact(self._retention.token_logs, PURGED_AT_ONCE) > 0:
            continue
        while await self._events.forget_events(self._retention.conversation_events, PURGED_AT_ONCE) > 0:
            continue
        while await self._counters.purge(PURGED_AT_ONCE) > 0:
            continue
