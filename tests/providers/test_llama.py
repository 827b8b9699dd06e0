"""The real embedded model: one start for all that only asks."""

import asyncio
import json
import os
import signal
import sys
import textwrap
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from domain.model import AnswerEnd, ModelCapability, ModelFinishReason, ModelHealth, ModelRequest, Speaker, Turn
from domain.response_format import ResponseFormat, ResponseFormatType
from providers import llama
from providers.json_schema import JsonSchemas
from providers.llama import CONTEXT_WINDOW, KEY, EmbeddedModel, EmbeddedModelFailed, embedded_entry
from providers.openai import OpenAiServer
from tests.providers.asking import ask

pytest.importorskip("xllamacpp")

LONG_ENOUGH = 60

QUESTION = ModelRequest(KEY, (Turn(Speaker.USER, "What is a tree?"),), 12, temperature=0.0, seed=1)

PARENT = """
    import asyncio
    from providers.llama import EmbeddedModel

    async def main():
        async with EmbeddedModel() as model:
            print(model.base_url, flush=True)
            await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.fixture
async def model() -> AsyncIterator[EmbeddedModel]:
    async with EmbeddedModel() as model:
        yield model


async def test_it_answers_token_by_token_and_counts_the_prompt_as_prompted(model: EmbeddedModel) -> None:
    async with OpenAiServer(model.server_config()) as server:
        answered = await ask(server, QUESTION)
        assert await server.health() is ModelHealth.UP
    assert answered.text.startswith("A tree")
    assert answered.tokens == 12
    assert isinstance(answered.end, AnswerEnd)
    assert answered.end.reason is ModelFinishReason.LENGTH
    assert answered.end.usage is not None
    assert (answered.end.usage.input_tokens, answered.end.usage.output_tokens) == (35, 12)


async def test_it_goes_on_with_an_answer_and_says_the_rest_only(model: EmbeddedModel) -> None:
    begun = Turn(Speaker.ASSISTANT, "A tree is a type of plant that")
    async with OpenAiServer(model.server_config()) as server:
        whole = await ask(server, replace(QUESTION, turns=(*QUESTION.turns, begun), continues=True))
    assert whole.text.startswith(" belongs to")
    assert isinstance(whole.end, AnswerEnd)
    assert whole.end.usage is not None
    # The question as prompted, and the 8 tokens of what was begun, with no end of the turn behind them.
    assert (whole.end.usage.input_tokens, whole.end.usage.output_tokens) == (35 + 8, 12)


async def test_it_is_held_to_a_schema(model: EmbeddedModel) -> None:
    colours = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
    form = ResponseFormat(ResponseFormatType.JSON_SCHEMA, json.dumps(colours | {"additionalProperties": False}))
    async with OpenAiServer(model.server_config()) as server:
        answered = await ask(server, replace(QUESTION, max_output_tokens=40, response_format=form))
    assert await JsonSchemas().answer_problem(answered.text, form) is None
    assert json.loads(answered.text)["colour"] in ("red", "blue")


async def test_nobody_without_the_key_is_answered(model: EmbeddedModel) -> None:
    async with httpx.AsyncClient() as client:
        refused = await client.post(f"{model.base_url}/chat/completions", json={"messages": []})
        listed = await client.get(f"{model.base_url}/models", headers={"authorization": f"Bearer {model.api_key}"})
    assert refused.status_code == 401
    assert listed.json()["data"][0]["id"] == KEY
    assert listed.json()["data"][0]["meta"]["n_ctx"] == CONTEXT_WINDOW


async def test_a_child_that_is_killed_is_started_again_at_the_same_address() -> None:
    ready = asyncio.Queue[str]()
    async with EmbeddedModel(on_progress=ready.put_nowait) as model, asyncio.timeout(LONG_ENOUGH):
        first, url = model.pid, model.base_url
        assert first is not None
        os.kill(first, signal.SIGKILL)
        told = [await ready.get() for _ in range(5)]
        async with OpenAiServer(model.server_config()) as server:
            answered = await ask(server, QUESTION)
        assert (model.base_url, answered.tokens) == (url, 12)
        assert model.pid not in (None, first)
    assert [line.split()[-1] for line in told] == ["...", "ready", "again", "...", "ready"]


async def test_closing_it_ends_the_child() -> None:
    async with EmbeddedModel() as model:
        pid, url = model.pid, model.base_url
    assert pid is not None
    assert model.pid is None
    assert not _exists(pid)
    assert await _is_gone(url)


async def test_a_child_whose_parent_is_killed_is_gone() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(PARENT), stdout=PIPE)
    assert parent.stdout is not None
    async with asyncio.timeout(LONG_ENOUGH):
        url = (await parent.stdout.readline()).decode().strip()
        assert not await _is_gone(url)
        parent.kill()
        await parent.wait()
        while not await _is_gone(url):  # nothing of the child is ours to wait for
            await asyncio.sleep(0.05)


async def test_a_child_that_cannot_start_says_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"not a model")
    monkeypatch.setattr(llama, "find_weights", lambda: tmp_path / "broken.gguf")
    broken = EmbeddedModel(log_file=tmp_path / "llama.log")
    with pytest.raises(EmbeddedModelFailed, match=r"llama\.log"):
        await broken.__aenter__()
    assert broken.pid is None


def test_its_entry_in_the_catalogue_costs_nothing_and_answers_one_at_a_time() -> None:
    entry = embedded_entry()
    assert (entry.max_concurrency, ModelCapability.CONTINUE in entry.capabilities) == (1, True)
    assert (entry.key, entry.input_price_per_million, entry.output_price_per_million) == (KEY, Decimal(0), Decimal(0))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _is_gone(url: str) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            await client.get(f"{url}/models")
        except httpx.ConnectError:
            return True
        # It dies while it answers.
        except httpx.TransportError:
            return False
    return False
