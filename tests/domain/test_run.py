import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.errors import GenerationErrorCode, ModelFailure
from domain.generation.entity import Ending, FinishReason, Generation, GenerationStatus
from domain.generation.log import Ended, GenerationFinished, StopRequest, TextDelta, TextTruncated
from domain.generation.run import Run
from domain.model import (
    AnswerEnd,
    ModelFinishReason,
    ReasoningPiece,
    ReportedUsage,
    TextPiece,
    Usage,
    UsageSource,
)
from tests.domain.fakes import DONE, FakeLog, FakeModel, a_generation, words
from tests.domain.playing import Stage

GENERATION = a_generation().id
BUSY = ModelFailure(GenerationErrorCode.MODEL_OVERLOADED, retryable=True, retry_after=2.0)
BROKE = ModelFailure(GenerationErrorCode.MODEL_BROKE_OFF, retryable=True)


async def test_an_answer_is_logged_in_order_and_ends_once(stage: Stage, log: FakeLog) -> None:
    entries = await stage.play(FakeModel([*words("A ", "tree."), DONE]))
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert "".join(log.text(GENERATION)) == "A tree." == log.endings[GENERATION].text
    assert sum(isinstance(entry, GenerationFinished) for entry in entries) == 1
    assert isinstance(entries[-1], GenerationFinished)
    assert entries[-1].status is GenerationStatus.COMPLETED


async def test_offsets_count_utf16_code_units(stage: Stage, log: FakeLog) -> None:
    gate = asyncio.Event()
    entries = await stage.play(
        FakeModel(
            [TextPiece("🌳"), lambda: asyncio.get_running_loop().call_later(0.02, gate.set), gate, TextPiece("x"), DONE]
        )
    )
    deltas = [entry for entry in entries if isinstance(entry, TextDelta)]
    assert [(delta.text, delta.offset) for delta in deltas] == [("🌳", 0), ("x", 2)]


async def test_reported_usage_is_kept_and_priced_also_when_it_is_zero(stage: Stage, log: FakeLog) -> None:
    await stage.play(FakeModel([*words("x"), AnswerEnd(ModelFinishReason.STOP, ReportedUsage(0, 0))]))
    assert log.runs[GENERATION].usage == Usage(0, 0, UsageSource.PROVIDER)
    assert log.runs[GENERATION].cost == 0


async def test_without_a_report_usage_is_our_own_count(stage: Stage, log: FakeLog) -> None:
    await stage.play(FakeModel([*words("a", "b", "c"), DONE]))
    assert log.runs[GENERATION].usage == Usage(11, 3, UsageSource.ESTIMATED)
    assert str(log.runs[GENERATION].cost) == "0.000010000"


async def test_a_busy_server_is_asked_again_after_the_time_it_names(stage: Stage, log: FakeLog) -> None:
    model = FakeModel([BUSY], [BUSY], [*words("x"), DONE])
    await stage.play(model)
    assert model.tries == 3
    assert [pause >= 2.0 for pause in stage.paused] == [True, True]
    assert log.runs[GENERATION].status is GenerationStatus.COMPLETED


async def test_after_the_first_token_nothing_is_asked_again(stage: Stage, log: FakeLog) -> None:
    model = FakeModel([*words("half "), BROKE], [*words("other"), DONE])
    await stage.play(model)
    ending = log.endings[GENERATION]
    assert (model.tries, ending.text, ending.status) == (1, "half ", GenerationStatus.FAILED)
    assert ending.error is not None
    assert ending.error.code is GenerationErrorCode.MODEL_BROKE_OFF
    assert ending.usage == Usage(11, 1, UsageSource.PARTIAL)


@pytest.mark.parametrize(
    "failure",
    [
        ModelFailure(GenerationErrorCode.MODEL_REFUSED, retryable=False),
        ModelFailure(GenerationErrorCode.MODEL_OVERLOADED, retryable=True, retry_after=3600),
    ],
)
async def test_a_hopeless_failure_is_not_tried_again(stage: Stage, log: FakeLog, failure: ModelFailure) -> None:
    model = FakeModel([failure])
    await stage.play(model)
    assert (model.tries, stage.paused) == (1, [])
    assert log.endings[GENERATION].usage is None


async def test_a_stop_keeps_the_text_and_closes_the_model(stage: Stage, log: FakeLog) -> None:
    playing: list[Run] = []
    model = FakeModel([*words("kept "), lambda: playing[0].stop(StopRequest(None)), asyncio.Event()])
    playing.append(stage.run(model))
    await playing[0].play()
    ending = log.endings[GENERATION]
    assert (ending.status, ending.finish_reason, ending.text) == (
        GenerationStatus.STOPPED,
        FinishReason.USER_STOP,
        "kept ",
    )
    assert model.closed == 1


async def test_a_stop_takes_back_what_came_after_the_seq_that_was_seen(stage: Stage, log: FakeLog) -> None:
    playing: list[Run] = []
    seen, unseen = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, seen.set)
    asyncio.get_running_loop().call_later(0.04, unseen.set)
    model = FakeModel(
        [*words("seen "), seen, *words("unseen"), unseen, lambda: playing[0].stop(StopRequest(2)), asyncio.Event()]
    )
    playing.append(stage.run(model))
    await playing[0].play()
    cut = [entry for entry in log.entries[GENERATION] if isinstance(entry, TextTruncated)]
    assert [entry.length for entry in cut] == [5]
    assert log.endings[GENERATION].text == "seen "
    assert log.runs[GENERATION].usage == Usage(11, 2, UsageSource.PARTIAL)


async def test_a_stop_noted_in_the_log_reaches_the_run_with_its_next_commit(stage: Stage, log: FakeLog) -> None:
    log.stop_requests[GENERATION] = StopRequest(None)
    await stage.play(FakeModel([*words("x"), asyncio.Event()]))
    assert log.endings[GENERATION].status is GenerationStatus.STOPPED


async def test_a_stop_that_came_before_the_end_was_stored_still_counts() -> None:
    log = StoppedAtItsEnd()
    async with Stage(log) as stage:
        entries = await stage.play(FakeModel([*words("A ", "tree."), DONE]))
    *_, cut, end = entries
    assert isinstance(cut, TextTruncated)
    assert isinstance(end, GenerationFinished)
    assert (cut.length, end.finish_reason) == (0, FinishReason.INTERRUPT)
    ending = log.endings[GENERATION]
    assert (ending.status, ending.text) == (GenerationStatus.STOPPED, "")
    assert ending.usage == Usage(11, 2, UsageSource.ESTIMATED)


class StoppedAtItsEnd(FakeLog):
    async def finish(
        self, generation: Generation, ending: Ending, cost: Decimal | None, *, previous: int, cut_to: int | None
    ) -> Ended:
        self.stop_requests[generation.id] = StopRequest(1, FinishReason.INTERRUPT)
        return await super().finish(generation, ending, cost, previous=previous, cut_to=cut_to)


async def test_a_stop_that_was_recorded_before_the_end_is_committed_is_what_the_run_ends_by(
    stage: Stage, log: FakeLog
) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, first.set)
    asyncio.get_running_loop().call_later(0.04, second.set)
    stopped = {GENERATION: StopRequest(2)}
    model = FakeModel(
        [*words("seen "), first, *words("unseen"), second, lambda: log.stop_requests.update(stopped), DONE]
    )
    entries = await stage.play(model)
    ending = log.endings[GENERATION]
    assert (ending.status, ending.finish_reason, ending.text) == (
        GenerationStatus.STOPPED,
        FinishReason.USER_STOP,
        "seen ",
    )
    assert [entry.length for entry in entries if isinstance(entry, TextTruncated)] == [5]
    assert log.runs[GENERATION].usage == Usage(11, 2, UsageSource.ESTIMATED)


async def test_a_run_that_takes_too_long_ends_timed_out_with_its_text(stage: Stage, log: FakeLog) -> None:
    await stage.run(FakeModel([*words("slow"), asyncio.Event()]), total=timedelta(milliseconds=30)).play()
    ending = log.endings[GENERATION]
    assert (ending.status, ending.finish_reason, ending.text) == (
        GenerationStatus.TIMED_OUT,
        FinishReason.TIMEOUT,
        "slow",
    )


async def test_a_fault_of_ours_still_ends_the_run(stage: Stage, log: FakeLog) -> None:
    await stage.play(FakeModel([*words("x"), KeyError("bug")]))
    error = log.endings[GENERATION].error
    assert error is not None
    assert error.code is GenerationErrorCode.INTERNAL


async def test_a_run_that_was_taken_over_writes_nothing_more(stage: Stage, log: FakeLog) -> None:
    async def steal() -> None:
        await log.take(GENERATION, log.runs[GENERATION].id, timedelta(), own=False)  # type: ignore[arg-type]  # any node

    stealing: list[asyncio.Task[None]] = []
    model = FakeModel(
        [*words("mine "), lambda: stealing.append(asyncio.create_task(steal())), *words("too late"), asyncio.Event()]
    )
    await stage.run(model).play()
    assert GENERATION not in log.endings
    assert "too late" not in "".join(log.text(GENERATION))


async def test_an_outage_of_the_log_delays_and_loses_nothing(stage: Stage, log: FakeLog) -> None:
    log.outages = 5
    await stage.play(FakeModel([*words("a", "b"), DONE]))
    assert log.endings[GENERATION].text == "ab" == "".join(log.text(GENERATION))


async def test_a_commit_of_unknown_outcome_is_not_repeated(stage: Stage, log: FakeLog) -> None:
    log.outages, log.lost_answers = 1, True
    await stage.play(FakeModel([*words("a", "b"), DONE]))
    assert "".join(log.text(GENERATION)) == "ab"
    assert [entry.seq for entry in log.entries[GENERATION]] == list(range(1, len(log.entries[GENERATION]) + 1))


async def test_reasoning_is_no_part_of_the_text(stage: Stage, log: FakeLog) -> None:
    await stage.play(FakeModel([ReasoningPiece("hm"), *words("yes"), DONE]))
    ending = log.endings[GENERATION]
    assert (ending.reasoning, ending.text) == ("hm", "yes")
    assert log.runs[GENERATION].usage == Usage(11, 2, UsageSource.ESTIMATED, reasoning_tokens=1)
