"""What whoever started gus is told, line by line."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

STILL_WORKING_SECONDS = 10


def say(words: str) -> None:
    # A terminal that has gone away must not keep the parts from being closed.
    with suppress(OSError):
        print(words, file=sys.stdout, flush=True)


@asynccontextmanager
async def step(name: str) -> AsyncIterator[None]:
    """Tells how long it took, and meanwhile that it still goes on."""
    began = time.monotonic()
    say(f"{name}: starting")
    telling = asyncio.create_task(_tell_of(name, began))
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
    say(f"{name}: ready after {time.monotonic() - began:.1f} s")


async def _tell_of(name: str, began: float) -> None:
    while True:
        await asyncio.sleep(STILL_WORKING_SECONDS)
        say(f"{name}: still working, {time.monotonic() - began:.0f} s")
