"""Counters of sliding windows in the memory of this process: as many as fit, and no more."""

import time
from collections import OrderedDict
from collections.abc import Callable
from math import floor
from typing import NamedTuple

from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport

# About 25 MB. Beyond it the one that was used the longest ago is forgotten.
MOST_COUNTERS = 100_000


class Count(NamedTuple):
    window: int
    previous: int
    current: int


class BoundedStorage(Storage, SlidingWindowCounterSupport):
    """Of a single thread. `window` numbers the windows of one length; of the one before a part still counts."""

    STORAGE_SCHEME = ["gus-bounded"]  # noqa: RUF012  # the name is limits' own

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        clock: Callable[[], float] = time.time,
        most: int = MOST_COUNTERS,
    ) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self.now, self._most = clock, most
        self._counts: OrderedDict[str, Count] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def __len__(self) -> int:
        return len(self._counts)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        count, passed = self._count(key, expiry)
        if floor(count.previous * (1 - passed)) + count.current + amount > limit:
            return False
        self._counts[key] = count._replace(current=count.current + amount)
        self._counts.move_to_end(key)
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return True

    def used(self, key: str, expiry: int) -> tuple[int, float]:
        """How much of the limit is used, and when none of it is any more, as a Unix time."""
        count, passed = self._count(key, expiry)
        used = floor(count.previous * (1 - passed)) + count.current
        windows = 2 if count.current else 1 if used else 0
        return used, (count.window + windows) * expiry if windows else self.now()

    def wait(self, key: str, limit: int, expiry: int, amount: int) -> float:
        """Seconds until `amount` fits; a whole window for what never does."""
        count, passed = self._count(key, expiry)
        if amount > limit:
            return float(expiry)
        room = limit - amount - count.current
        if room >= 0:
            return expiry * max(0.0, 1 - (room + 1) / max(1, count.previous) - passed) + 0.001
        room = limit - amount
        return expiry * (1 - passed + max(0.0, 1 - (room + 1) / count.current)) + 0.001

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        count, passed = self._count(key, expiry)
        return count.previous, (1 - passed) * expiry, count.current, (2 - passed) * expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        self.clear(key)

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)

    def reset(self) -> int:
        forgotten = len(self._counts)
        self._counts.clear()
        return forgotten

    def check(self) -> bool:
        return True

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError("only sliding windows are counted here")

    def get(self, key: str) -> int:
        raise NotImplementedError("only sliding windows are counted here")

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError("only sliding windows are counted here")

    def _count(self, key: str, expiry: int) -> tuple[Count, float]:
        """As of now, and which part of the window has passed."""
        now = self.now() / expiry
        window, found = floor(now), self._counts.get(key)
        if found is None or found.window < window - 1:
            found = Count(window, 0, 0)
        elif found.window == window - 1:
            found = Count(window, found.current, 0)
        return found, now - window
