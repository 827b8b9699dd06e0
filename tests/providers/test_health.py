import asyncio

import pytest

from domain.generation.circuit import FAILURES_TO_OPEN
from domain.model import ModelHealth
from providers.openai import OpenAiServer
from tests.model_server import Fault, ModelServer
from tests.providers.asking import ask, scripted


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


async def test_a_server_whose_answers_fail_is_degraded_and_then_down_though_it_lists_its_models(
    server: OpenAiServer,
) -> None:
    seen = []
    for _ in range(FAILURES_TO_OPEN):
        await ask(server, scripted(fault=Fault.ERROR_500))
        seen.append(await server.health())
    assert seen == [ModelHealth.DEGRADED] * (FAILURES_TO_OPEN - 1) + [ModelHealth.DOWN]
    await ask(server, scripted(words=1))
    assert await server.health() is ModelHealth.UP


@pytest.mark.parametrize("fault", [Fault.BAD_REQUEST, Fault.EMPTY, Fault.NONE])
async def test_an_answer_that_is_no_fault_of_the_server_does_not_degrade_it(server: OpenAiServer, fault: Fault) -> None:
    await ask(server, scripted(fault=fault))
    assert await server.health() is ModelHealth.UP


async def test_a_call_that_is_given_up_says_nothing_of_the_server(server: OpenAiServer) -> None:
    answer = server.answer(scripted(fault=Fault.HANG_BETWEEN, after=1))
    await anext(answer)
    await answer.aclose()
    assert await server.health() is ModelHealth.UP
