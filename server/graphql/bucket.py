"""A token bucket: a steady rate, and a burst on top of it."""

from collections.abc import Callable


class Bucket:
    def __init__(self, per_second: float, burst: int, time: Callable[[], float]) -> None:
        self._per_second, self._burst, self._time = per_second, burst, time
        self._tokens, self._filled_at = float(burst), time()

    def take(self) -> bool:
        now = self._time()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
