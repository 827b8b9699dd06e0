from collections.abc import AsyncIterator

import pytest

from providers.openai import OpenAiServer
from tests.model_server import ModelServer
from tests.providers.asking import config


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
async def server(model_server: ModelServer) -> AsyncIterator[OpenAiServer]:
    async with OpenAiServer(config(model_server.base_url)) as server:
        yield server
