"""Wake-ups: hints that something with this id has changed. Losing one only delays; nothing is carried in them."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID


def _nobody(ids: Iterable[UUID]) -> None:
    return None


class Wakes:
    """`elsewhere` passes what is told here on to other processes; what they tell comes in by `hear`."""

    def __init__(self, elsewhere: Callable[[Iterable[UUID]], None] = _nobody) -> None:
        self._elsewhere = elsewhere
        self._watchers: dict[UUID, set[asyncio.Event]] = {}

    @contextmanager
    def watching(self, watched: UUID) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        watchers = self._watchers.setdefault(watched, set())
        watchers.add(event)
        try:
            yield event
        finally:
            watchers.discard(event)
            if not watchers:
                self._watchers.pop(watched, None)

    def wake(self, ids: Iterable[UUID]) -> None:
        """Call it after the commit."""
        ids = tuple(ids)
        self.hear(ids)
        self._elsewhere(ids)

    def hear(self, ids: Iterable[UUID]) -> None:
        for changed in ids:
            for event in self._watchers.get(changed, ()):
                event.set()

    def watched(self) -> int:
        return sum(map(len, self._watchers.values()))


async def wait_at_most(woken: asyncio.Event, period: timedelta) -> None:
    """Returns when it is set, which the end of the period does too."""
    # A third of what asyncio.timeout() costs, once for each event of each follower.
    alarm = asyncio.get_running_loop().call_later(period.total_seconds(), woken.set)
    try:
        await woken.wait()
    finally:
        alarm.cancel()
