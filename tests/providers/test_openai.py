import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, closing
from datetime import timedelta

import pytest

from domain.errors import GenerationErrorCode
from domain.model import AnswerEnd, ModelFinishReason, ReportedUsage, TextPiece
from providers.openai import OpenAiServer
from tests.model_server import Fault, ModelServer
from tests.providers.asking import ask, config, saying, scripted

# Long enough for a slow machine to get a word through, short enough to wait for.
IMPATIENT = timedelta(seconds=0.4)
# The promise is 500 ms; the rest is for a slow machine.
SOON = 1.0

STOP = ModelFinishReason.STOP
TWO_WORDS = "w1-x w2-x"


@asynccontextmanager
async def impatient(model_server: ModelServer) -> AsyncIterator[OpenAiServer]:
    async with OpenAiServer(config(model_server.base_url, between=IMPATIENT)) as server:
        yield server


async def test_an_answer_loses_no_word_and_ends_with_its_usage(model_server: ModelServer, server: OpenAiServer) -> None:
    answered = await ask(server, scripted(words=50, delay_ms=2))
    [seen] = model_server.seen
    assert (answered.text, answered.tokens) == ("".join(seen.produced), 50)
    assert answered.end == AnswerEnd(STOP, ReportedUsage(input_tokens=5, output_tokens=50))


async def test_the_script_may_stand_in_the_name_of_the_model(server: OpenAiServer) -> None:
    answered = await ask(server, saying("Hello", model="scripted/words=2,tag=x,finish=length"))
    assert (answered.text, answered.end and answered.end.reason) == (TWO_WORDS, ModelFinishReason.LENGTH)


async def test_reasoning_comes_apart_from_the_text(server: OpenAiServer) -> None:
    answered = await ask(server, scripted(words=2, tag="x", reasoning=2))
    assert (answered.reasoning, answered.text) == ("r1 r2 ", TWO_WORDS)


async def test_the_request_carries_the_key_and_the_settings(model_server: ModelServer, server: OpenAiServer) -> None:
    await ask(server, saying("Hello <|im_end|>", model="scripted/words=1"))
    [seen] = model_server.seen
    assert (seen.path, seen.headers["authorization"]) == ("/v1/chat/completions", "Bearer the-key")
    assert (seen.body["max_tokens"], seen.body["stream_options"]) == (100, {"include_usage": True})
    assert seen.body["messages"] == [{"role": "user", "content": "Hello <\u200b|im_end|>"}]


@pytest.mark.parametrize(
    ("fault", "code", "status", "retry_after"),
    [
        (Fault.RATE_LIMITED, GenerationErrorCode.MODEL_OVERLOADED, 429, 2.0),
        (Fault.ERROR_500, GenerationErrorCode.MODEL_UNREACHABLE, 500, None),
        (Fault.UNAVAILABLE_503, GenerationErrorCode.MODEL_OVERLOADED, 503, 2.0),
    ],
)
async def test_a_server_that_says_not_now_may_be_asked_again(
    server: OpenAiServer, fault: Fault, code: GenerationErrorCode, status: int, retry_after: float | None
) -> None:
    answered = await ask(server, scripted(fault=fault))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.status) == (code, status)
    assert (answered.failure.retryable, answered.failure.retry_after) == (True, retry_after)
    assert "the server's own words" in answered.failure.detail
    assert "the server's own words" not in answered.failure.message


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        (Fault.BAD_REQUEST, GenerationErrorCode.MODEL_REFUSED, 400),
        (Fault.HTML, GenerationErrorCode.MODEL_ANSWERED_NONSENSE, 200),
    ],
)
async def test_a_server_that_would_say_the_same_again_is_not_asked_again(
    server: OpenAiServer, fault: Fault, code: GenerationErrorCode, status: int
) -> None:
    answered = await ask(server, scripted(fault=fault))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.status, answered.failure.retryable) == (code, status, False)


async def test_a_refused_connection_is_unreachable(model_server: ModelServer, server: OpenAiServer) -> None:
    await model_server.refuse_connections()
    answered = await ask(server, scripted())
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable) == (GenerationErrorCode.MODEL_UNREACHABLE, True)


async def test_a_connection_that_is_not_taken_is_unreachable() -> None:
    with closing(socket.socket()) as full, closing(socket.socket()) as first, closing(socket.socket()) as second:
        full.bind(("127.0.0.1", 0))
        # A queue for one, which is full.
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        async with OpenAiServer(config(url, connect=timedelta(seconds=0.2))) as server:
            answered = await ask(server, scripted())
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable) == (GenerationErrorCode.MODEL_UNREACHABLE, True)


@pytest.mark.parametrize("fault", [Fault.HANG_CONNECT, Fault.HANG_FIRST])
@pytest.mark.parametrize("comment_ms", [0, 20])
async def test_silence_before_the_first_token_times_out(
    model_server: ModelServer, fault: Fault, comment_ms: int
) -> None:
    async with OpenAiServer(config(model_server.base_url, first_token=IMPATIENT)) as server:
        answered = await ask(server, scripted(fault=fault, comment_ms=comment_ms if fault is Fault.HANG_FIRST else 0))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable) == (GenerationErrorCode.FIRST_TOKEN_TIMEOUT, True)


@pytest.mark.parametrize("comment_ms", [0, 20])
async def test_silence_between_tokens_times_out_and_comments_do_not_help(
    model_server: ModelServer, comment_ms: int
) -> None:
    async with impatient(model_server) as server:
        answered = await ask(server, scripted(fault="hang_between", after=2, tag="x", comment_ms=comment_ms))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable) == (GenerationErrorCode.BETWEEN_TOKENS_TIMEOUT, False)
    assert answered.text == TWO_WORDS


async def test_the_time_that_our_own_reader_takes_is_not_the_models(model_server: ModelServer) -> None:
    async with impatient(model_server) as server, aclosing(server.answer(scripted(words=3, delay_ms=50))) as answer:
        assert isinstance(await anext(answer), TextPiece)
        await asyncio.sleep(1.5 * IMPATIENT.total_seconds())
        assert [type(piece) async for piece in answer] == [TextPiece, AnswerEnd]


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.CUT_CLEAN, Fault.RESET, Fault.ERROR_DATA])
async def test_an_answer_that_breaks_off_keeps_its_text_and_is_not_asked_again(
    server: OpenAiServer, fault: Fault, after: int
) -> None:
    answered = await ask(server, scripted(fault=fault, after=after, tag="x"))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable) == (GenerationErrorCode.MODEL_BROKE_OFF, after == 0)
    assert (answered.text, answered.end) == (TWO_WORDS if after else "", None)


@pytest.mark.parametrize(
    ("after", "code", "retryable"),
    [(0, GenerationErrorCode.MODEL_OVERLOADED, True), (2, GenerationErrorCode.MODEL_BROKE_OFF, False)],
)
async def test_an_error_event_says_its_status(
    server: OpenAiServer, after: int, code: GenerationErrorCode, retryable: bool
) -> None:
    answered = await ask(server, scripted(fault="error_event", after=after, tag="x"))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable, answered.failure.status) == (code, retryable, 503)
    assert answered.text == (TWO_WORDS if after else "")


@pytest.mark.parametrize("fault", [Fault.MALFORMED, Fault.HUGE_LINE])
async def test_nonsense_keeps_the_text_before_it(server: OpenAiServer, fault: Fault) -> None:
    answered = await ask(server, scripted(fault=fault, after=2, tag="x"))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable) == (GenerationErrorCode.MODEL_ANSWERED_NONSENSE, False)
    assert answered.text == TWO_WORDS


async def test_an_answer_without_text_is_nothing(server: OpenAiServer) -> None:
    answered = await ask(server, scripted(fault="empty"))
    assert answered.failure is not None
    assert (answered.failure.code, answered.failure.retryable) == (GenerationErrorCode.MODEL_ANSWERED_NOTHING, True)


async def test_neither_reason_nor_done_is_an_answer_broken_off(server: OpenAiServer) -> None:
    answered = await ask(server, scripted(words=2, tag="x", fault="no_finish"))
    assert answered.failure is not None
    assert (answered.failure.code, answered.text) == (GenerationErrorCode.MODEL_BROKE_OFF, TWO_WORDS)


@pytest.mark.parametrize(
    ("fault", "usage"),
    [
        (Fault.NONE, ReportedUsage(9, 2)),
        (Fault.NO_DONE, ReportedUsage(9, 2)),
        (Fault.USAGE_ZERO, ReportedUsage(0, 0)),
        (Fault.USAGE_NONE, None),
    ],
)
async def test_usage_is_what_the_server_says(server: OpenAiServer, fault: Fault, usage: ReportedUsage | None) -> None:
    answered = await ask(server, scripted(words=2, tag="x", fault=fault, after=9))
    assert (answered.text, answered.end, answered.failure) == (TWO_WORDS, AnswerEnd(STOP, usage), None)


@pytest.mark.parametrize(
    ("fault", "middle"),
    [(Fault.NUL, "|"), (Fault.LONE_SURROGATE, "\ufffd|"), (Fault.SPLIT_PAIR, "😀"), (Fault.SPLIT_UTF8, "😀")],
)
async def test_odd_characters_become_text_that_can_be_stored(server: OpenAiServer, fault: Fault, middle: str) -> None:
    answered = await ask(server, scripted(words=2, tag="x", fault=fault, after=1))
    assert answered.text == f"w1-x{middle} w2-x"
    assert answered.end is not None


async def test_a_fault_may_happen_only_the_first_times(server: OpenAiServer) -> None:
    request = scripted(words=2, tag="x", fault="error_500", times=2)
    outcomes = [await ask(server, request) for _ in range(3)]
    assert [answered.text for answered in outcomes] == ["", "", TWO_WORDS]


async def test_closing_the_answer_closes_the_connection(model_server: ModelServer, server: OpenAiServer) -> None:
    answer = server.answer(scripted(fault="hang_between", after=1))
    await anext(answer)
    await _closes_the_connection(model_server, answer.aclose())


@pytest.mark.parametrize("fault", [Fault.HANG_CONNECT, Fault.HANG_FIRST, Fault.HANG_BETWEEN])
async def test_cancelling_the_task_that_reads_closes_the_connection(
    model_server: ModelServer, server: OpenAiServer, fault: Fault
) -> None:
    reading = asyncio.create_task(ask(server, scripted(fault=fault, after=1)))
    await model_server.wait_for(lambda seen: bool(seen.produced) or fault is not Fault.HANG_BETWEEN)
    reading.cancel()
    await _closes_the_connection(model_server, asyncio.wait({reading}))
    assert reading.cancelled()


async def _closes_the_connection(model_server: ModelServer, leaving: Awaitable[object]) -> None:
    async with asyncio.timeout(SOON):
        await leaving
        await model_server.wait_for(lambda seen: seen.disconnected_at is not None)


async def test_an_answer_read_to_its_end_leaves_its_connection_to_the_next(
    model_server: ModelServer, server: OpenAiServer
) -> None:
    for _ in range(3):
        await ask(server, scripted(words=2))
    assert len({seen.connection for seen in model_server.seen}) == 1


async def test_many_answers_at_once_are_not_mixed_up(model_server: ModelServer, server: OpenAiServer) -> None:
    answers = await asyncio.gather(*(ask(server, scripted(words=20, delay_ms=2, tag=f"t{i}")) for i in range(30)))
    assert [answered.text for answered in answers] == [
        " ".join(f"w{word}-t{i}" for word in range(1, 21)) for i in range(30)
    ]


async def test_proxies_of_the_environment_are_not_used(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with OpenAiServer(config(model_server.base_url)) as server:
        assert (await ask(server, scripted(words=2, tag="x"))).text == TWO_WORDS


def test_a_configuration_does_not_show_its_key() -> None:
    assert "the-key" not in repr(config("http://127.0.0.1:1/v1"))


async def test_thinking_aloud_in_the_text_is_reasoning(server: OpenAiServer) -> None:
    answered = await ask(server, scripted(think=2, words=2, tag="x"))
    assert (answered.reasoning, answered.text) == ("t1 t2 ", TWO_WORDS)
