"""Whoever keeps the process busy takes turns, one at a time, so that everybody else is answered in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LONGEST_TURN_SECONDS = 0.001
AT_ONCE = 1
# An answer takes about 8 us for each field that is resolved.
LARGE_COST = 5_000


class Turns:
    """Of one process."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._reading = asyncio.Lock()
        self._large = asyncio.Semaphore(AT_ONCE)
        self._listing = asyncio.Lock()

    async def to_read(self) -> None:
        """Before a document that is not known yet is parsed: one in each round of the event loop.

        It takes milliseconds at the limits, and what others ask takes several rounds.
        """
        async with self._reading:
            await asyncio.sleep(0)

    @asynccontextmanager
    async def to_answer(self, cost: int) -> AsyncIterator[None]:
        """Around the execution of an operation: large ones run one after the other."""
        if cost <= LARGE_COST:
            yield
        else:
            async with self._large:
                yield

    @asynccontextmanager
    async def to_list(self) -> AsyncIterator["Stretch"]:
        """Around the resolving of a long list: one after the other, each in rounds of its own."""
        async with self._listing:
            await asyncio.sleep(0)
            yield Stretch()

    def turn(self) -> "Turn":
        return Turn(self._gate)


class Stretch:
    """Of work that never waits for anything."""

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._began_at = self._time()

    async def rest(self) -> None:
        """A round of the event loop for everybody else, if it is time."""
        if self._time() - self._began_at > LONGEST_TURN_SECONDS:
            await asyncio.sleep(0)
            self._began_at = self._time()


class Turn:
    """Of one stream. Who waits for an event of a model's gives way by that; only who never waits has to wait here."""

    def __init__(self, gate: asyncio.Semaphore) -> None:
        self._gate, self._loop = gate, asyncio.get_running_loop()
        self._gave_way, self._began_at = True, 0.0

    async def give_way(self) -> None:
        """Between two events."""
        if self._gave_way:
            self._begin()
        elif self._loop.time() - self._began_at > LONGEST_TURN_SECONDS:
            async with self._gate:
                # Also so that the word comes through that its client has left.
                await asyncio.sleep(0)
            self._begin()

    def _begin(self) -> None:
        self._gave_way, self._began_at = False, self._loop.time()
        # The loop comes round to it as soon as this stream waits for anything.
        self._loop.call_soon(self._mark)

    def _mark(self) -> None:
        self._gave_way = True
