"""How a model server does: what it says when it is asked, seldom and by one caller at a time, and what our own calls met with."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import aiohttp
import httpx

from domain.errors import GenerationErrorCode, ModelFailure
from domain.generation.circuit import FAILURES_TO_OPEN, OPEN_SECONDS
from domain.model import ModelHealth

# A failure that long ago says nothing of now.
REMEMBERED_SECONDS = 60.0
SERVER_FAULTS = frozenset(
    {
        GenerationErrorCode.MODEL_UNREACHABLE,
        GenerationErrorCode.MODEL_OVERLOADED,
        GenerationErrorCode.MODEL_BROKE_OFF,
        GenerationErrorCode.FIRST_TOKEN_TIMEOUT,
        GenerationErrorCode.BETWEEN_TOKENS_TIMEOUT,
    }
)


class OwnCalls:
    """What this process has seen of a server, by the measure of the circuit breaker in `domain/generation/circuit.py`."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = float("-inf")

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Around a call; one that is cancelled says nothing."""
        try:
            yield
        except ModelFailure as failure:
            if failure.code in SERVER_FAULTS:
                self._failures += 1
                self._failed_at = time.monotonic()
            raise
        self._failures = 0

    def worse_than(self, told: ModelHealth) -> ModelHealth:
        """`told`, or what the last calls met with."""
        ago = time.monotonic() - self._failed_at
        if told is ModelHealth.DOWN or not self._failures or ago > REMEMBERED_SECONDS:
            return told
        is_open = self._failures >= FAILURES_TO_OPEN and ago < OPEN_SECONDS
        return ModelHealth.DOWN if is_open else ModelHealth.DEGRADED


class CachedHealth:
    def __init__(self, client: httpx.AsyncClient, *, timeout: timedelta, kept_for: timedelta) -> None:
        self._client, self._timeout, self._kept_for = client, timeout.total_seconds(), kept_for.total_seconds()
        self._asking = asyncio.Lock()
        self._answer = ModelHealth.UNKNOWN
        self._good_until = 0.0

    async def now(self) -> ModelHealth:
        clock = asyncio.get_running_loop().time
        async with self._asking:
            if clock() >= self._good_until:
                self._answer = await self._ask()
                self._good_until = clock() + self._kept_for
            return self._answer

    async def _ask(self) -> ModelHealth:
        try:
            async with asyncio.timeout(self._timeout), self._client.stream("GET", "models") as response:
                return _as_health(response.status_code)
        except (TimeoutError, httpx.TransportError, aiohttp.ClientError):
            return ModelHealth.DOWN


def _as_health(status: int) -> ModelHealth:
    if status == 200:
        return ModelHealth.UP
    # The server is there and does not list its models: not every one does.
    return ModelHealth.UNKNOWN if status in (404, 405, 501) else ModelHealth.DEGRADED
