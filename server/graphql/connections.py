"""The sockets and event streams that are open in this process: counted, and asked to leave."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from domain.world import UserId


class TooManyConnections(Exception):
    pass


class Connections:
    def __init__(self, most_per_user: int) -> None:
        self._most_per_user = most_per_user
        self._per_user: Counter[UserId] = Counter()
        self.open = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self.draining = asyncio.Event()

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

    @contextmanager
    def of(self, user: UserId) -> Iterator[None]:
        """Raises TooManyConnections."""
        if self._per_user[user] >= self._most_per_user:
            raise TooManyConnections
        self._per_user[user] += 1
        try:
            yield
        finally:
            self._per_user[user] -= 1
            if not self._per_user[user]:
                del self._per_user[user]

    async def drain(self) -> None:
        self.draining.set()
        await self._none_open.wait()
