"""How long a model server may take for the next token, watched by one timer for a whole answer."""

import asyncio
from datetime import timedelta
from types import TracebackType


class Patience:
    """`with patience:` around each wait raises TimeoutError when it is over. A comment that keeps the connection alive is no
    token and buys no time.

    The timer is not set anew for each token, which cost as much as reading one: it rings, finds that it is too early, and
    is set for what remains. Between two waits, while our own reader takes its time, it does nothing.
    """

    def __init__(self, first: timedelta, between: timedelta) -> None:
        self._loop = asyncio.get_running_loop()
        self._between = between.total_seconds()
        self._ends_at = self._loop.time() + first.total_seconds()
        self._alarm: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._is_over = False

    def begin_again(self) -> None:
        self._ends_at = self._loop.time() + self._between
        if self._alarm is not None and self._alarm.when() > self._ends_at:
            # It was set for the first token, which may take longer than the next.
            self.close()

    def shorten(self, limit: timedelta) -> None:
        ends_at = self._loop.time() + limit.total_seconds()
        if ends_at < self._ends_at:
            self._ends_at = ends_at
            self.close()

    def close(self) -> None:
        """When nothing is waited for any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def __enter__(self) -> None:
        waiting = self._waiting = asyncio.current_task(self._loop)
        assert waiting is not None
        self._cancelling = waiting.cancelling()
        if self._alarm is None:
            self._alarm = self._loop.call_at(self._ends_at, self._ring)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        waiting, self._waiting = self._waiting, None
        if self._is_over and waiting is not None:
            # As asyncio.timeout() does it: somebody else may have cancelled the same task.
            self._is_over = False
            if waiting.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _ring(self) -> None:
        self._alarm = None
        if self._waiting is None:
            return
        if self._loop.time() < self._ends_at:
            self._alarm = self._loop.call_at(self._ends_at, self._ring)
        else:
            self._is_over = True
            self._waiting.cancel()
