"""Words that say when they were written, by the clock that all processes of one machine share."""

import time

TICKS_PER_SECOND = 10_000
# Five digits come round after 104 s.
MASK = 0xFFFFF


def now_ticks() -> int:
    return int(time.monotonic() * TICKS_PER_SECOND) & MASK


def word_now() -> str:
    """Six characters with its blank, about what a token has."""
    return f"{now_ticks():05x} "


def age_ms(word: str, now: int) -> float:
    return ((now - int(word, 16)) & MASK) * 1000 / TICKS_PER_SECOND
