"""Signals: the first one asks for a clean end, a second one ends at once."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

Say = Callable[[str], None]


class Stopping:
    def __init__(self, serving: "asyncio.Task[object]", say: Say) -> None:
        self._serving, self._say = serving, say
        self._loop = asyncio.get_running_loop()
        self._clean_end: timedelta | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._ended = False
        self.asked = asyncio.Event()

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Under nohup a hang-up is to be ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._loop.add_signal_handler(number, self._signalled)

    @contextmanager
    def cleanly(self, within: timedelta) -> Iterator[None]:
        """While inside, the first signal sets `asked` and nothing else, until `within` has passed."""
        self._clean_end = within
        try:
            yield
        finally:
            self._clean_end = None
            if self._deadline is not None:
                self._deadline.cancel()

    def _signalled(self) -> None:
        if self.asked.is_set() or self._clean_end is None:
            self._end_now()
        else:
            self._deadline = self._loop.call_later(self._clean_end.total_seconds(), self._end_now)
        if not self.asked.is_set():
            self._say("Stopping")
        self.asked.set()

    def _end_now(self) -> None:
        # Once: what is closed on the way out must not be cut off again.
        if not self._ended:
            self._ended = True
            self._serving.cancel()


async def until_signalled(serve: Callable[[Stopping], Awaitable[None]], say: Say) -> None:
    """Returns also where a signal has cancelled `serve`."""
    serving = asyncio.current_task()
    assert serving is not None
    stopping = Stopping(serving, say)
    stopping.listen()
    try:
        await serve(stopping)
    except asyncio.CancelledError:
        if not stopping.asked.is_set():
            raise
        # What still runs is cut off where it stands as the loop closes, and would complain at length.
        logging.disable()
