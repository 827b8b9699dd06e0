"""What a front end sees of a model server that misbehaves: a typed error, the text so far, never that server's words."""

from uuid import uuid4

import pytest

from tests.e2e.client import Client, played
from tests.e2e.scripted import Scripted, script

NOTHING, FIVE_WORDS, ALL_TRIES = 0, 5, 4


async def test_a_server_that_is_busy_once_is_asked_again(client: Client, scripted: Scripted) -> None:
    id = uuid4().hex
    sent = await client.send(script(id=id, words=10, fault="rate_limited", times=1, retry_after="0.1"))
    events = [event async for event in client.follow_sse(sent.generation)]
    assert (events[-1].status, events[-1].error) == ("COMPLETED", None)
    assert played(events) == scripted.requests(id)[-1]["text"]
    assert [len(request["produced"]) for request in scripted.requests(id)] == [0, 10]


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "words", "asked"),
    [
        ("cut", "MODEL_BROKE_OFF", True, FIVE_WORDS, 1),
        ("error_event", "MODEL_BROKE_OFF", True, FIVE_WORDS, 1),
        ("malformed", "MODEL_ANSWERED_NONSENSE", True, FIVE_WORDS, 1),
        ("hang_between", "BETWEEN_TOKENS_TIMEOUT", True, FIVE_WORDS, 1),
        ("html", "MODEL_ANSWERED_NONSENSE", True, NOTHING, 1),
        ("error_500", "MODEL_UNREACHABLE", True, NOTHING, ALL_TRIES),
        ("bad_request", "MODEL_REFUSED", False, NOTHING, 1),
        ("empty", "MODEL_ANSWERED_NOTHING", True, NOTHING, ALL_TRIES),
    ],
)
async def test_a_fault_is_told_in_our_words_and_the_text_is_kept(
    client: Client, scripted: Scripted, fault: str, code: str, retryable: bool, words: int, asked: int
) -> None:
    id = uuid4().hex
    # As slow as real ones: what a reset overtakes was never read.
    sent = await client.send(script(id=id, words=10, fault=fault, delay_ms=20, retry_after="0.1"), model=fault)
    events = [event async for event in client.follow_ws(sent.generation)]
    error, requests = events[-1].error, scripted.requests(id)

    assert error is not None
    assert (events[-1].status, events[-1].finish_reason, events[-1].reply_status) == ("FAILED", "ERROR", "FAILED")
    assert (error.code, error.retryable) == (code, retryable)
    assert "own words" not in error.message
    assert events[-1].reply_text == played(events) == requests[-1]["text"]
    assert (len(played(events).split()), len(requests)) == (words, asked)


async def test_a_server_that_is_not_there_is_a_failed_answer(client: Client) -> None:
    sent = await client.send("Is anybody there?", model="nowhere")
    events = [event async for event in client.follow_sse(sent.generation)]
    assert events[-1].error is not None
    assert (events[-1].status, events[-1].error.code, played(events)) == ("FAILED", "MODEL_UNREACHABLE", "")
    assert "127.0.0.1" not in events[-1].error.message
