"""Streams that have much to say at once take turns, one at a time, so that everybody else is answered in between."""

import asyncio

LONGEST_TURN_SECONDS = 0.001
AT_ONCE = 1


class Turns:
    """Of one process."""

    def __init__(self) -> None:
        self._gate = asyncio.Semaphore(AT_ONCE)

    def turn(self) -> "Turn":
        return Turn(self._gate)


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
