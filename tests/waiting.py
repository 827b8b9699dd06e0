"""Waiting for what other tasks and processes do, and no longer than anybody would."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 90


async def until(claim: str, happened: Callable[[], Awaitable[object]]) -> None:
    """Asks again and again; `claim` is what a failure says has not come true."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await happened():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{claim}: not within {PATIENCE_SECONDS} s") from None
