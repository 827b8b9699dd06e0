import asyncio

import pytest

from domain.model import ModelHealth
from providers.openai import OpenAiServer
from tests.model_server import ModelServer


@pytest.mark.parametrize(
    ("status", "health"),
    [
        (200, ModelHealth.UP),
        (401, ModelHealth.DEGRADED),
        (404, ModelHealth.UNKNOWN),
        (429, ModelHealth.DEGRADED),
        (503, ModelHealth.DEGRADED),
    ],
)
async def test_health_is_how_the_list_of_models_is_answered(
    model_server: ModelServer, server: OpenAiServer, status: int, health: ModelHealth
) -> None:
    model_server.models_status = status
    assert await server.health() is health


async def test_a_server_that_refuses_connections_is_down(model_server: ModelServer, server: OpenAiServer) -> None:
    await model_server.refuse_connections()
    assert await server.health() is ModelHealth.DOWN


async def test_many_who_ask_at_once_cost_one_request(model_server: ModelServer, server: OpenAiServer) -> None:
    assert set(await asyncio.gather(*(server.health() for _ in range(20)))) == {ModelHealth.UP}
    assert [seen.path for seen in model_server.seen] == ["/v1/models"]
