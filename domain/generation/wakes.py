"""Wake-ups: hints that something with this id has changed. Losing one only delays; nothing is carried in them."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Self
from uuid import UUID


def _nobody(ids: Iterable[UUID]) -> None:
    return None


class Watch:
    """A flag with one waiter, raised by wake-ups while its `with` lasts. Thousands wait at once: asyncio.Event and a
    generator would take 1 KB of memory more for each.

    Its alarm is not set anew for each wait: it rings, finds that it is too early, and is set for what remains.
    """

    __slots__ = ("_alarm", "_is_set", "_loop", "_rings_at", "_waiter", "_watched", "_watchers")

    def __init__(self, watchers: "dict[UUID, set[Watch]]", watched: UUID) -> None:
        self._watchers, self._watched = watchers, watched
        self._loop = asyncio.get_running_loop()
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def __enter__(self) -> Self:
        self._watchers.setdefault(self._watched, set()).add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._silence()
        watchers = self._watchers[self._watched]
        watchers.discard(self)
        if not watchers:
            del self._watchers[self._watched]

    def set(self) -> None:
        self._is_set = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self) -> None:
        while not self._is_set:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def wait_at_most(self, period: timedelta) -> None:
        """Returns when it is set, which the end of the period does too."""
        if self._is_set:
            return
        self._rings_at = self._loop.time() + period.total_seconds()
        if self._alarm is not None and self._alarm.when() > self._rings_at:
            self._silence()
        if self._alarm is None:
            self._alarm = self._loop.call_at(self._rings_at, self._ring)
        await self.wait()

    def _ring(self) -> None:
        self._alarm = None
        if self._waiter is None:
            return
        if self._loop.time() < self._rings_at:
            self._alarm = self._loop.call_at(self._rings_at, self._ring)
        else:
            self.set()

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


class Wakes:
    """`elsewhere` passes what is told here on to other processes; what they tell comes in by `hear`."""

    def __init__(self, elsewhere: Callable[[Iterable[UUID]], None] = _nobody) -> None:
        self._elsewhere = elsewhere
        self._watchers: dict[UUID, set[Watch]] = {}

    def watching(self, watched: UUID) -> Watch:
        return Watch(self._watchers, watched)

    def wake(self, ids: Iterable[UUID]) -> None:
        """Call it after the commit."""
        ids = tuple(ids)
        self.hear(ids)
        self._elsewhere(ids)

    def hear(self, ids: Iterable[UUID]) -> None:
        for changed in ids:
            for watch in self._watchers.get(changed, ()):
                watch.set()

    def watched(self) -> int:
        return sum(map(len, self._watchers.values()))
