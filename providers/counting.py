"""How many tokens a prompt has, asked of the model server that will read it: template and all."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum

import aiohttp
import httpx

from domain.model import Turn
from providers.request import messages

# A server that did not count in time is left alone for a while: nobody's answer waits for it twice.
PAUSE = timedelta(seconds=10)


class Counting(Enum):
    """Whose way of asking. The paths are relative to the base URL, which ends in `/v1`."""

    LLAMA_CPP = "chat/completions/input_tokens"
    VLLM = "../tokenize"


_ANSWERED_AS = {Counting.LLAMA_CPP: "input_tokens", Counting.VLLM: "count"}


class PromptCounter:
    def __init__(self, client: httpx.AsyncClient, way: Counting, timeout: timedelta) -> None:
        self._client, self._way, self._timeout = client, way, timeout.total_seconds()
        self._silent_until = float("-inf")

    async def tokens(self, name_at_provider: str, turns: Sequence[Turn]) -> int | None:
        """None: it does not say, or not in time."""
        now = asyncio.get_running_loop().time()
        if now < self._silent_until:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await self._asked(name_at_provider, turns)
        except (TimeoutError, httpx.HTTPError, aiohttp.ClientError, ValueError):
            self._silent_until = now + PAUSE.total_seconds()
            return None

    async def _asked(self, name_at_provider: str, turns: Sequence[Turn]) -> int:
        """Raises ValueError when the answer is not a count."""
        question = {"model": name_at_provider, "messages": messages(turns)}
        response = await self._client.post(self._client.base_url.join(self._way.value), json=question)
        counted = response.raise_for_status().json()
        tokens = counted.get(_ANSWERED_AS[self._way]) if isinstance(counted, dict) else None
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
            raise ValueError(f"no count: {response.text[:200]}")
        return tokens
