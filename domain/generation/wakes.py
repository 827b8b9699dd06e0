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
    generator would take 1 KB of memory more for each."""

    __slots__ = ("_is_set", "_waiter", "_watched", "_watchers")

    def __init__(self, watchers: "dict[UUID, set[Watch]]", watched: UUID) -> None:
        self._watchers, self._watched = watchers, watched
        self._is_set = False
        self._waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._watchers.setdefault(self._watched, set()).add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None


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


async def wait_at_most(woken: Watch, period: timedelta) -> None:
    """Returns when it is set, which the end of the period does too."""
    # A third of what asyncio.timeout() costs, once for each event of each follower.
    alarm = asyncio.get_running_loop().call_later(period.total_seconds(), woken.set)
    try:
        await woken.wait()
    finally:
        alarm.cancel()
