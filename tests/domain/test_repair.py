"""An answer that does not have its form is asked for once more, and the log says truly what stands there at any time."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import GenerationErrorCode, ModelFailure
from domain.generation.entity import Ending, FinishReason, GenerationSettings, GenerationStatus, NoticeCode
from domain.generation.log import (
    GenerationFinished,
    LogEntry,
    NoticeRaised,
    StopRequest,
    TextDelta,
    TextTruncated,
    TruncationReason,
    seen_units,
    text_of,
)
from domain.generation.prepare import Order
from domain.generation.repair import asked_once_more
from domain.generation.run import Run
from domain.model import (
    AnswerEnd,
    ModelCapability,
    ModelFinishReason,
    ModelRequest,
    ReasoningPiece,
    ReportedUsage,
    Speaker,
    Turn,
    Usage,
    UsageSource,
)
from domain.response_format import ResponseFormat, ResponseFormatType
from tests.domain.fakes import DONE, NOW, FakeChecker, FakeLog, FakeModel, Step, a_generation, a_model, an_order, words
from tests.domain.playing import Stage

GENERATION = a_generation().id
OBJECT = ResponseFormat(ResponseFormatType.JSON_OBJECT)
BUSY = ModelFailure(GenerationErrorCode.MODEL_OVERLOADED, retryable=True, retry_after=2.0)
REFUSED = ModelFailure(GenerationErrorCode.MODEL_REFUSED, retryable=False)
BROKE = ModelFailure(GenerationErrorCode.MODEL_BROKE_OFF, retryable=True)


def an_order_of_json(kept: str = "") -> Order:
    generation = replace(a_generation(), settings=GenerationSettings(response_format=OBJECT), text_offset=len(kept))
    return replace(an_order(generation), kept=kept)


def ended(input_tokens: int, output_tokens: int) -> AnswerEnd:
    return AnswerEnd(ModelFinishReason.STOP, ReportedUsage(input_tokens, output_tokens))


async def played(stage: Stage, model: FakeModel, kept: str = "") -> Ending:
    await stage.run(model, an_order_of_json(kept)).play()
    return stage.log.endings[GENERATION]


def said(entries: list[LogEntry]) -> list[object]:
    """What moves the text, and the end."""
    told: list[object] = []
    for entry in entries:
        match entry:
            case TextDelta(text=text, offset=offset):
                told.append((text, offset))
            case TextTruncated(length=length, reason=reason):
                told.append((reason, length))
            case NoticeRaised(notice=notice):
                told.append(notice.code)
            case GenerationFinished(status=status):
                told.append(status)
    return told


async def test_an_answer_that_has_its_form_is_asked_for_once(stage: Stage, log: FakeLog) -> None:
    model = FakeModel([*words("{}"), DONE])
    ending = await played(stage, model)
    assert (ending.status, ending.text, model.tries) == (GenerationStatus.COMPLETED, "{}", 1)
    assert stage.checker.asked == ["{}"]


async def test_an_answer_that_has_not_is_cut_away_by_the_first_words_of_the_next(stage: Stage, log: FakeLog) -> None:
    stage.checker = FakeChecker("oh")
    ending = await played(stage, FakeModel([*words("oh"), ended(5, 1)], [*words("{}"), ended(7, 2)]))
    assert said(log.entries[GENERATION]) == [
        ("oh", 0),
        (TruncationReason.REPAIR, 0),
        ("{}", 0),
        NoticeCode.OUTPUT_REPAIRED,
        GenerationStatus.COMPLETED,
    ]
    assert (ending.text, ending.error) == ("{}", None)
    assert ending.usage == Usage(12, 3, UsageSource.PROVIDER)
    assert [notice.code for notice in ending.notices] == [NoticeCode.OUTPUT_REPAIRED]
    assert len(ending.attempts) == 2


async def test_there_is_one_repair_and_no_other(stage: Stage, log: FakeLog) -> None:
    stage.checker = FakeChecker("oh", "no")
    model = FakeModel([*words("oh"), ended(5, 1)], [*words("no"), ended(7, 2)], [*words("{}"), DONE])
    ending = await played(stage, model)
    assert ending.error is not None
    assert (ending.status, ending.error.code, ending.error.retryable) == (
        GenerationStatus.FAILED,
        GenerationErrorCode.INVALID_JSON,
        True,
    )
    assert (ending.text, model.tries, ending.notices) == ("no", 2, ())
    assert ending.usage == Usage(12, 3, UsageSource.PROVIDER)


async def test_usage_is_as_sure_as_the_less_sure_try(stage: Stage, log: FakeLog) -> None:
    stage.checker = FakeChecker("oh no")
    ending = await played(stage, FakeModel([*words("oh ", "no"), DONE], [*words("{}"), ended(7, 2)]))
    assert ending.usage == Usage(11 + 7, 2 + 2, UsageSource.ESTIMATED)


async def test_a_busy_server_is_asked_again_for_the_repair_too(stage: Stage, log: FakeLog) -> None:
    stage.checker = FakeChecker("oh")
    ending = await played(stage, FakeModel([*words("oh"), DONE], [BUSY], [*words("{}"), DONE]))
    assert (ending.status, ending.text, len(ending.attempts)) == (GenerationStatus.COMPLETED, "{}", 3)


@pytest.mark.parametrize("script", [[REFUSED], [ReasoningPiece("hm"), BROKE]])
async def test_where_nothing_comes_in_its_place_the_first_answer_stays_and_is_what_failed(
    stage: Stage, log: FakeLog, script: list[Step]
) -> None:
    stage.checker = FakeChecker("oh")
    ending = await played(stage, FakeModel([*words("oh"), ended(5, 1)], script))
    assert ending.error is not None
    assert (ending.error.code, ending.text) == (GenerationErrorCode.INVALID_JSON, "oh")
    assert said(log.entries[GENERATION]) == [("oh", 0), GenerationStatus.FAILED]
    assert ending.usage is not None
    assert ending.usage.input_tokens == (5 if script == [REFUSED] else 5 + 11)


async def test_a_repair_that_breaks_off_fails_as_that(stage: Stage, log: FakeLog) -> None:
    stage.checker = FakeChecker("oh")
    ending = await played(stage, FakeModel([*words("oh"), ended(5, 1)], [*words("{"), BROKE]))
    assert ending.error is not None
    assert (ending.error.code, ending.text) == (GenerationErrorCode.MODEL_BROKE_OFF, "{")
    assert ending.usage == Usage(5 + 11, 1 + 1, UsageSource.PARTIAL)


async def test_what_was_kept_of_a_continued_answer_is_checked_with_it_and_not_cut(stage: Stage, log: FakeLog) -> None:
    stage.checker = FakeChecker('{"a": oh')
    ending = await played(stage, FakeModel([*words("oh"), DONE], [*words("1}"), DONE]), kept='{"a": ')
    assert ending.text == '{"a": 1}'
    assert stage.checker.asked == ['{"a": oh', '{"a": 1}']
    assert said(log.entries[GENERATION])[:3] == [("oh", 6), (TruncationReason.REPAIR, 6), ("1}", 6)]


async def test_what_a_stop_cuts_off_is_not_checked(stage: Stage, log: FakeLog) -> None:
    playing: list[Run] = []
    model = FakeModel([*words("oh"), lambda: playing[0].stop(StopRequest(None)), asyncio.Event()])
    playing.append(stage.run(model, an_order_of_json()))
    await playing[0].play()
    assert (log.endings[GENERATION].status, stage.checker.asked) == (GenerationStatus.STOPPED, [])


@pytest.mark.parametrize(
    ("seen_seq", "kept"),
    [
        (None, "{}"),
        # Seen was the first answer, of which nothing stands there any more: nothing of the next one was.
        (2, ""),
        (3, ""),
        (4, "{"),
    ],
)
async def test_a_stop_in_a_repair_keeps_what_was_seen_of_what_stands_there(
    stage: Stage, log: FakeLog, seen_seq: int | None, kept: str
) -> None:
    playing: list[Run] = []
    stage.checker = FakeChecker("oh no")
    first, second, third = asyncio.Event(), asyncio.Event(), asyncio.Event()
    for delay, event in ((0.02, first), (0.04, second), (0.06, third)):
        asyncio.get_running_loop().call_later(delay, event.set)
    stop = StopRequest(seen_seq)
    repair: list[Step] = [*words("{"), second, *words("}"), third, lambda: playing[0].stop(stop), asyncio.Event()]
    playing.append(stage.run(FakeModel([*words("oh no"), first, ended(5, 2)], repair), an_order_of_json()))
    await playing[0].play()
    entries, ending = log.entries[GENERATION], log.endings[GENERATION]
    assert (ending.status, ending.text) == (GenerationStatus.STOPPED, kept)
    assert text_of(entries) == kept
    assert ending.usage == Usage(5 + 11, 2 + 2, UsageSource.PARTIAL)


async def test_a_stop_before_the_repair_has_said_anything_keeps_the_first_answer(stage: Stage, log: FakeLog) -> None:
    playing: list[Run] = []
    stage.checker = FakeChecker("oh")
    model = FakeModel([*words("oh"), ended(5, 1)], [lambda: playing[0].stop(StopRequest(2)), asyncio.Event()])
    playing.append(stage.run(model, an_order_of_json()))
    await playing[0].play()
    ending = log.endings[GENERATION]
    assert (ending.status, ending.text) == (GenerationStatus.STOPPED, "oh")
    assert said(log.entries[GENERATION]) == [("oh", 0), GenerationStatus.STOPPED]
    # It was asked twice.
    assert ending.usage == Usage(5 + 11, 1, UsageSource.PARTIAL)


@pytest.mark.parametrize(("repair", "text", "handed_over"), [([], "oh", False), (words("{"), "{", True)])
async def test_a_process_that_leaves_in_a_repair_hands_over_what_can_be_gone_on_with(
    stage: Stage, log: FakeLog, repair: list[Step], text: str, handed_over: bool
) -> None:
    playing: list[Run] = []
    stage.checker = FakeChecker("oh")
    able = replace(
        an_order_of_json(), model=a_model(capabilities=frozenset({ModelCapability.STREAMING, ModelCapability.CONTINUE}))
    )
    steps: list[Step] = [*repair, lambda: playing[0].leave(), asyncio.Event()]
    playing.append(stage.run(FakeModel([*words("oh"), ended(5, 1)], steps), able))
    await playing[0].play()
    ending = log.endings[GENERATION]
    assert (ending.status, ending.finish_reason) == (GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST)
    assert (ending.text, ending.handed_over) == (text, handed_over)
    assert GENERATION not in log.given_back


async def test_the_time_of_a_run_is_that_of_both_tries(stage: Stage, log: FakeLog) -> None:
    stage.checker = FakeChecker("oh")
    model = FakeModel([*words("oh"), DONE], [asyncio.Event()])
    await stage.run(model, an_order_of_json(), total=timedelta(milliseconds=50)).play()
    assert (log.endings[GENERATION].status, log.endings[GENERATION].text) == (GenerationStatus.TIMED_OUT, "oh")


def test_what_was_seen_of_a_text_is_what_no_later_cut_took_away() -> None:
    def cut(seq: int, length: int) -> TextTruncated:
        return TextTruncated(seq, NOW, GENERATION, length, TruncationReason.REPAIR)

    def delta(seq: int, text: str, offset: int) -> TextDelta:
        return TextDelta(seq, NOW, GENERATION, text, offset)

    log: list[LogEntry] = [delta(1, "abc", 2), cut(2, 3), delta(3, "🌳x", 3), cut(4, 5), delta(5, "z", 5)]
    assert [seen_units(log, seq, kept="k.") for seq in range(6)] == [2, 3, 3, 5, 5, 6]


ASKED = ModelRequest("small-1", (Turn(Speaker.USER, "One"), Turn(Speaker.ASSISTANT, "1"), Turn(Speaker.USER, "Two")), 9)
SCHEMA = ResponseFormat(ResponseFormatType.JSON_SCHEMA, '{"type": "object"}')


def test_the_model_is_told_what_is_wrong_in_its_users_last_turn() -> None:
    *before, last = asked_once_more(ASKED, SCHEMA, "$.age: too old.", 1000).turns
    assert tuple(before) == ASKED.turns[:2]
    assert (last.speaker, last.verbatim) == (Speaker.USER, False)
    assert last.text.startswith("Two\n\n")
    assert "$.age: too old." in last.text
    assert '{"type": "object"}' in last.text


def test_the_schema_is_not_repeated_where_the_server_has_it_or_there_is_no_room() -> None:
    for request, room in ((replace(ASKED, response_format=SCHEMA), 1000), (ASKED, 20)):
        last = asked_once_more(request, SCHEMA, "$.age: too old.", room).turns[-1]
        assert '{"type": "object"}' not in last.text
        assert "$.age: too old." in last.text


def test_what_is_begun_of_the_answer_stays_the_last_turn() -> None:
    begun = replace(ASKED, turns=(*ASKED.turns, Turn(Speaker.ASSISTANT, "{")), continues=True)
    turns = asked_once_more(begun, OBJECT, "bad", 1000).turns
    assert turns[-1] == Turn(Speaker.ASSISTANT, "{")
    assert "bad" in turns[-2].text
