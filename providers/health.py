"""Whether a model server answers, asked seldom and by one caller at a time."""

import asyncio
from datetime import timedelta

import aiohttp
import httpx

from domain.model import ModelHealth


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
