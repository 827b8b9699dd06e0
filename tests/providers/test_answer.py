"""Bodies that the scripted server does not write, byte for byte."""

import json

import pytest

from domain.errors import GenerationErrorCode, ModelFailure
from domain.model import AnswerEnd, ModelFinishReason, Piece, ReasoningPiece, ReportedUsage, TextPiece
from providers.answer import AnswerReader

A = '{"choices": [{"index": 0, "delta": {"content": "a"}}]}'


def stream(*payloads: str) -> bytes:
    return "".join(f"data: {payload}\n\n" for payload in payloads).encode()


def finish(reason: str | None) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def delta(**words: str) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": words}]})


def read(body: bytes, *, begins: bool = True) -> list[Piece]:
    reader = AnswerReader(begins=begins)
    return [*reader.pieces(body), *reader.end()]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("stop", ModelFinishReason.STOP),
        ("length", ModelFinishReason.LENGTH),
        ("content_filter", ModelFinishReason.CONTENT_FILTER),
        ("eos_token", ModelFinishReason.STOP),
    ],
)
def test_a_finish_reason_makes_an_answer_whole(said: str, reason: ModelFinishReason) -> None:
    assert read(stream(A, finish(said))) == [TextPiece("a"), AnswerEnd(reason, None)]


def test_done_without_a_reason_is_a_stop() -> None:
    assert read(stream(A, finish(None), "[DONE]")) == [TextPiece("a"), AnswerEnd(ModelFinishReason.STOP, None)]


def test_usage_of_zero_is_kept_and_details_are_read() -> None:
    usage = '{"prompt_tokens": 0, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2}}'  # noqa: E501
    *_, end = read(stream(A, finish("stop"), f'{{"choices": [], "usage": {usage}}}'))
    assert end == AnswerEnd(ModelFinishReason.STOP, ReportedUsage(0, 0, cached_input_tokens=3, reasoning_tokens=2))


@pytest.mark.parametrize("usage", ["null", "{}", '{"prompt_tokens": -1, "completion_tokens": 2}', '"many"', "[1]"])
def test_usage_that_means_nothing_is_absent(usage: str) -> None:
    *_, end = read(stream(A, finish("stop"), f'{{"choices": [], "usage": {usage}}}'))
    assert end == AnswerEnd(ModelFinishReason.STOP, None)


def test_usage_that_grows_with_every_chunk_counts_once() -> None:
    growing = [A[:-1] + f', "usage": {{"prompt_tokens": 5, "completion_tokens": {count}}}}}' for count in (1, 2)]
    *_, end = read(stream(*growing, finish("stop")))
    assert end == AnswerEnd(ModelFinishReason.STOP, ReportedUsage(5, 2))


def test_reasoning_and_text_in_one_delta_keep_their_order() -> None:
    both = '{"choices": [{"delta": {"content": "a", "reasoning_content": "r"}}]}'
    assert read(stream(both, "[DONE]"))[:2] == [ReasoningPiece("r"), TextPiece("a")]


def test_what_a_think_block_holds_is_reasoning() -> None:
    parts = ["<thi", "nk>\n", "h", "m</th", "ink>\n", "\n", "a"]
    pieces = read(stream(*(delta(content=part) for part in parts), "[DONE]"))
    assert pieces[:-1] == [ReasoningPiece("hm", tokens=2), TextPiece("a")]


def test_reasoning_and_a_think_block_in_one_delta_are_one_piece() -> None:
    both = delta(reasoning_content="r", content="<think>t</think>a")
    assert read(stream(both, "[DONE]"))[:-1] == [ReasoningPiece("rt"), TextPiece("a")]


def test_an_answer_that_ends_while_it_may_be_a_tag_is_text() -> None:
    assert read(stream(delta(content=" <thi"), "[DONE]"))[:-1] == [TextPiece(" <thi")]


def test_an_answer_that_only_thinks_has_answered_nothing() -> None:
    reader = AnswerReader()
    assert list(reader.pieces(stream(delta(content="<think>h</th"), "[DONE]"))) == [ReasoningPiece("h")]
    rest = reader.end()
    assert next(rest) == ReasoningPiece("</th")
    with pytest.raises(ModelFailure) as caught:
        next(rest)
    assert caught.value.code is GenerationErrorCode.MODEL_ANSWERED_NOTHING


def test_the_rest_of_an_answer_may_begin_with_the_tag() -> None:
    assert read(stream(delta(content="<think>a"), "[DONE]"), begins=False)[:-1] == [TextPiece("<think>a")]


def test_the_deltas_of_one_chunk_are_one_piece_that_counts_them() -> None:
    thought, b = delta(reasoning_content="r"), delta(content="b")
    assert read(stream(thought, thought, A, b, "[DONE]"))[:-1] == [ReasoningPiece("rr", 2), TextPiece("ab", 2)]


def test_a_delta_with_reasoning_beside_it_is_not_taken_for_a_plain_one() -> None:
    both = delta(content="a", reasoning_content="r")
    assert read(stream(A, both, A, "[DONE]"))[:-1] == [TextPiece("a"), ReasoningPiece("r"), TextPiece("aa", 2)]


def test_empty_deltas_yield_nothing() -> None:
    empty = [
        '{"choices": [{"delta": {"content": ""}}]}',
        '{"choices": [{"delta": {"content": null}}]}',
        '{"choices": [{}]}',
    ]
    assert read(stream(*empty, A, "{}", '{"choices": null}', "[DONE]"))[:-1] == [TextPiece("a")]


def test_half_a_pair_at_the_end_is_replaced() -> None:
    half = r'{"choices": [{"delta": {"content": "\ud83d"}}]}'
    assert read(stream(half, "[DONE]"))[:-1] == [TextPiece("\ufffd")]


def test_a_filtered_answer_may_be_empty() -> None:
    assert read(stream(finish("content_filter"))) == [AnswerEnd(ModelFinishReason.CONTENT_FILTER, None)]


@pytest.mark.parametrize(
    "payload",
    [
        "{",
        "5",
        "null",
        "[" * 100_000,
        '{"choices": 5}',
        '{"choices": ["a"]}',
        '{"choices": [{"delta": {"content": ["a"]}}]}',
    ],
)
def test_nonsense_is_told_after_the_text_before_it(payload: str) -> None:
    pieces = AnswerReader().pieces(stream(A, payload, A))
    assert next(pieces) == TextPiece("a")
    with pytest.raises(ModelFailure) as caught:
        next(pieces)
    assert caught.value.code is GenerationErrorCode.MODEL_ANSWERED_NONSENSE


@pytest.mark.parametrize(
    ("payload", "code", "status"),
    [
        ('{"error": {"code": 400, "message": "too long"}}', GenerationErrorCode.MODEL_REFUSED, 400),
        ('{"error": {"code": 429, "message": "slow down"}}', GenerationErrorCode.MODEL_OVERLOADED, 429),
        ('{"error": {"code": "bad", "message": "?"}}', GenerationErrorCode.MODEL_BROKE_OFF, None),
        ('{"error": "words"}', GenerationErrorCode.MODEL_BROKE_OFF, None),
    ],
)
def test_an_error_before_the_text_says_by_its_status_what_it_is(
    payload: str, code: GenerationErrorCode, status: int | None
) -> None:
    with pytest.raises(ModelFailure) as caught:
        read(stream(payload))
    assert (caught.value.code, caught.value.status) == (code, status)
