"""The model servers of the configuration, by their names."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from domain.model import LanguageModel
from providers.openai import OpenAiServer, ServerConfig


class ConfiguredServers:
    """Satisfies `domain.model.ModelServers`; every client is open while its `async with` is."""

    def __init__(self, configs: Iterable[ServerConfig]) -> None:
        self._servers = {config.name: OpenAiServer(config) for config in configs}
        self._opened = AsyncExitStack()

    def __getitem__(self, provider: str) -> LanguageModel:
        return self._servers[provider]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            for server in self._servers.values():
                await opening.enter_async_context(server)
            self._opened = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()
