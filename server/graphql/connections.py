"""The sockets and event streams that are open in this process: counted, and asked to leave."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from typing import Generic, TypeVar

from domain.throttle import network_of
from domain.world import UserId

QUIET = timedelta(milliseconds=250)
LONGEST_NOISE = timedelta(seconds=2)
LAST_WORDS = timedelta(seconds=2)


class TooManyConnections(Exception):
    pass


Owner = TypeVar("Owner")


class Places(Generic[Owner]):
    """So many for each owner."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[Owner] = Counter()

    @contextmanager
    def of(self, owner: Owner) -> Iterator[None]:
        """Raises TooManyConnections."""
        self.take(owner)
        try:
            yield
        finally:
            self.give_back(owner)

    def take(self, owner: Owner) -> None:
        """Raises TooManyConnections."""
        if self._taken[owner] >= self._most:
            raise TooManyConnections
        self._taken[owner] += 1

    def give_back(self, owner: Owner) -> None:
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]


class Connections:
    def __init__(self, most_per_user: int, most_per_address: int) -> None:
        self.users = Places[UserId](most_per_user)
        self._addresses = Places[str](most_per_address)
        self.open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self.draining = asyncio.Event()
        self._last_event_at = float("-inf")

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Around all that `drain` has to wait for."""
        self.open += 1
        self._none_open.clear()
        try:
            yield
        finally:
            self.open -= 1
            if not self.open:
                self._none_open.set()

    def from_address(self, address: str) -> AbstractContextManager[None]:
        """Raises TooManyConnections."""
        return self._addresses.of(network_of(address))

    def notice(self) -> None:
        """To be called for each event of a subscription."""
        self._last_event_at = time.monotonic()

    async def quiet(self) -> None:
        """Returns when whoever follows what has ended was probably told so: for a moment there were no events at all.

        A client that reads slowly, and one that follows what goes on elsewhere, is not waited for: it resumes.
        """
        began = now = time.monotonic()
        while self.open and now - max(began, self._last_event_at) < QUIET.total_seconds():
            if now - began > LONGEST_NOISE.total_seconds():
                return
            await asyncio.sleep(QUIET.total_seconds() / 5)
            now = time.monotonic()

    async def drain(self) -> None:
        self.draining.set()
        # Who does not read does not get the last words either.
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS.total_seconds()):
                await self._none_open.wait()
