"""The sockets and event streams that are open in this process: counted, and asked to leave."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from domain.world import UserId

QUIET = timedelta(milliseconds=250)
LONGEST_NOISE = timedelta(seconds=2)
LAST_WORDS = timedelta(seconds=2)


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

    @contextmanager
    def of(self, user: UserId) -> Iterator[None]:
        """Raises TooManyConnections."""
        self.take_place(user)
        try:
            yield
        finally:
            self.give_place_back(user)

    def take_place(self, user: UserId) -> None:
        """Raises TooManyConnections."""
        if self._per_user[user] >= self._most_per_user:
            raise TooManyConnections
        self._per_user[user] += 1

    def give_place_back(self, user: UserId) -> None:
        self._per_user[user] -= 1
        if not self._per_user[user]:
            del self._per_user[user]

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
