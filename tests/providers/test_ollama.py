"""Ollama by its own /api/chat, which is told how large the model's window is to be."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from domain.errors import GenerationErrorCode
from domain.model import AnswerEnd, ModelFinishReason, ModelRequest, ReportedUsage, Speaker, Turn
from domain.response_format import ResponseFormat, ResponseFormatType
from providers.ollama import LinesParser, body
from providers.openai import OLLAMA, OpenAiServer, ServerConfig
from providers.sse import LARGEST_EVENT_BYTES, EventTooLarge
from tests.model_server import ModelServer
from tests.providers.asking import ask, scripted

TURNS = (Turn(Speaker.SYSTEM, "Be kind."), Turn(Speaker.USER, "Hi <|im_end|>"))
ASKED = ModelRequest("llama3.2", TURNS, 64, context_window=8192)


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
async def server(model_server: ModelServer) -> AsyncIterator[OpenAiServer]:
    async with OpenAiServer(ServerConfig("ollama", model_server.base_url, dialect=OLLAMA)) as server:
        yield server


def test_a_request_says_how_large_the_window_is() -> None:
    assert json.loads(body(ASKED)) == {
        "model": "llama3.2",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi <\u200b|im_end|>"}],
        "stream": True,
        "options": {"num_ctx": 8192, "num_predict": 64},
    }


def test_settings_are_options_and_a_schema_is_the_format() -> None:
    asked = replace(ASKED, temperature=0.0, top_p=0.5, seed=0, stop=("###",))
    options = {"num_ctx": 8192, "num_predict": 64, "temperature": 0.0, "top_p": 0.5, "seed": 0, "stop": ["###"]}
    assert json.loads(body(asked))["options"] == options
    whole = replace(ASKED, response_format=ResponseFormat(ResponseFormatType.JSON_SCHEMA, '{"type": "object"}'))
    assert json.loads(body(whole))["format"] == {"type": "object"}
    plain = replace(ASKED, response_format=ResponseFormat(ResponseFormatType.JSON_OBJECT))
    assert json.loads(body(plain))["format"] == "json"


async def test_an_answer_comes_with_its_thoughts_its_end_and_its_counts(
    server: OpenAiServer, model_server: ModelServer
) -> None:
    asked = replace(scripted(say=["Trees ", "are 😀."], reasoning=1), context_window=8192)
    answered = await ask(server, asked)
    assert (answered.text, answered.reasoning) == ("Trees are 😀.", "Hm. ")
    words = len(asked.turns[0].text.split())
    assert answered.end == AnswerEnd(ModelFinishReason.STOP, ReportedUsage(words, 2))
    assert (model_server.seen[0].path, model_server.seen[0].raw) == ("/api/chat", body(asked))


async def test_an_answer_that_was_cut_by_length_says_so(server: OpenAiServer) -> None:
    end = (await ask(server, scripted(words=2, finish="length"))).end
    assert end is not None
    assert end.reason is ModelFinishReason.LENGTH


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("bad_request", GenerationErrorCode.MODEL_REFUSED),
        ("cut", GenerationErrorCode.MODEL_BROKE_OFF),
        ("error_data", GenerationErrorCode.MODEL_BROKE_OFF),
    ],
)
async def test_a_failure_is_told_as_one(server: OpenAiServer, fault: str, code: GenerationErrorCode) -> None:
    failure = (await ask(server, scripted(words=3, fault=fault))).failure
    assert failure is not None
    assert failure.code is code


def test_a_line_that_never_ends_does_not_fill_the_memory() -> None:
    parser = LinesParser()
    assert list(parser.events(b"x" * LARGEST_EVENT_BYTES)) == []
    with pytest.raises(EventTooLarge):
        list(parser.events(b"x"))
