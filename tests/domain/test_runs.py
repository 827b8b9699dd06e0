import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import GenerationErrorCode, ServerDraining
from domain.generation.entity import FinishReason, GenerationError, GenerationStatus
from domain.generation.log import Append, GenerationStarted, Line, NewCut, NewText, StopRequest, TruncationReason
from domain.generation.run import RunPolicy
from domain.generation.runs import Contact, Node, Runs
from domain.model import LanguageModel, ModelKey, Models, Usage, UsageSource
from tests.domain.fakes import (
    DONE,
    NODE,
    FakeChecker,
    FakeLog,
    FakeModel,
    FakeWorld,
    OneServer,
    SameOrder,
    a_generation,
    a_model,
    a_viewer,
    an_order,
    words,
)
from tests.domain.playing import Stage

GENERATION = a_generation().id
QUICK = Node(NODE, lease=timedelta(seconds=1), stop_poll=timedelta(milliseconds=10), grace=timedelta(milliseconds=50))


def runs_on(
    stage: Stage,
    log: FakeLog,
    server: LanguageModel,
    *,
    capacity: int | None = None,
    gone: bool = False,
    too_large: bool = False,
    node: Node = QUICK,
) -> Runs:
    models = Models([a_model()], OneServer(server))
    line = Line("here", (a_model().key,), capacity)
    return Runs(
        log,
        stage.writer,
        stage.wakes,
        models=models,
        preparation=SameOrder(models, gone=gone, too_large=too_large),
        world=FakeWorld(),
        node=replace(node, lines=(line,)),
        checker=FakeChecker(),
        policy=RunPolicy(),
    )


async def test_runs_left_by_a_dead_process_end_interrupted_with_what_was_shown(stage: Stage, log: FakeLog) -> None:
    generation = log.begin(a_generation())
    await log.append([Append(generation.id, 1, 1, (NewText("shown ", 0), NewText("text", 6)))])
    async with runs_on(stage, log, FakeModel()).serving():
        ending = log.endings[GENERATION]
    assert (ending.status, ending.finish_reason) == (GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST)
    assert ending.text == "shown text"
    assert ending.usage == Usage(11, 0, UsageSource.PARTIAL)


async def test_a_run_left_by_a_dead_process_that_was_asked_to_stop_ends_stopped(stage: Stage, log: FakeLog) -> None:
    generation = log.begin(a_generation())
    await log.append([Append(generation.id, 1, 1, (NewText("shown ", 0), NewText("text", 6)))])
    log.stop_requests[GENERATION] = StopRequest(2)
    async with runs_on(stage, log, FakeModel()).serving():
        ending = log.endings[GENERATION]
    assert (ending.status, ending.text, ending.error) == (GenerationStatus.STOPPED, "shown ", None)


async def test_a_run_that_had_delivered_nothing_starts_over(stage: Stage, log: FakeLog) -> None:
    log.begin(a_generation())
    async with runs_on(stage, log, FakeModel([*words("anew"), DONE])).serving():
        await _until(lambda: GENERATION in log.endings)
    assert (log.endings[GENERATION].status, log.endings[GENERATION].text) == (GenerationStatus.COMPLETED, "anew")
    started = [entry.attempt for entry in log.entries[GENERATION] if isinstance(entry, GenerationStarted)]
    assert started == [1, 2]


async def test_leaving_hands_over_what_has_delivered_nothing(stage: Stage, log: FakeLog) -> None:
    runs = runs_on(stage, log, FakeModel([asyncio.Event()]))
    async with runs.serving():
        log.begin(a_generation())
        runs.start(an_order())
    assert (log.given_back, log.endings) == ({GENERATION}, {})


async def test_a_queued_run_starts_when_its_turn_comes(stage: Stage, log: FakeLog) -> None:
    first_done = asyncio.Event()
    runs = runs_on(stage, log, FakeModel([*words("one"), first_done, DONE], [*words("two"), DONE]), capacity=1)
    async with runs.serving():
        for number in (1, 2):
            log.begin(replace(a_generation(number), status=GenerationStatus.QUEUED, last_seq=0))
        runs.call_next()
        await _until(lambda: log.runs[GENERATION].delivered)
        assert log.runs[a_generation(2).id].status is GenerationStatus.QUEUED
        first_done.set()
        await _until(lambda: len(log.endings) == 2)
    assert [log.endings[a_generation(number).id].text for number in (1, 2)] == ["one", "two"]


async def test_a_queued_run_is_stopped_without_a_turn(stage: Stage, log: FakeLog) -> None:
    runs = runs_on(stage, log, FakeModel([*words("no"), DONE]), capacity=0)
    async with runs.serving():
        log.begin(replace(a_generation(), status=GenerationStatus.QUEUED, last_seq=0))
        await runs.stop(a_viewer(), GENERATION, StopRequest(None))
        await _until(lambda: GENERATION in log.endings)
    assert (log.endings[GENERATION].status, log.endings[GENERATION].text) == (GenerationStatus.STOPPED, "")


@pytest.mark.parametrize(
    ("trouble", "status", "reason"),
    [
        ("gone", GenerationStatus.STOPPED, FinishReason.CANCELLED),
        ("too_large", GenerationStatus.FAILED, FinishReason.ERROR),
    ],
)
async def test_a_queued_run_that_cannot_be_prepared_ends_typed(
    stage: Stage, log: FakeLog, trouble: str, status: GenerationStatus, reason: FinishReason
) -> None:
    runs = runs_on(stage, log, FakeModel(), capacity=1, gone=trouble == "gone", too_large=trouble == "too_large")
    async with runs.serving():
        log.begin(replace(a_generation(), status=GenerationStatus.QUEUED, last_seq=0))
        runs.call_next()
        await _until(lambda: GENERATION in log.endings)
    assert (log.endings[GENERATION].status, log.endings[GENERATION].finish_reason) == (status, reason)


async def test_a_queued_run_whose_model_nobody_knows_any_more_ends_typed(stage: Stage, log: FakeLog) -> None:
    runs = runs_on(stage, log, FakeModel([*words("no"), DONE]), node=replace(QUICK, lease=timedelta(milliseconds=30)))
    async with runs.serving():
        log.begin(replace(a_generation(), status=GenerationStatus.QUEUED, model_key=ModelKey("left"), last_seq=0))
        await _until(lambda: GENERATION in log.endings)
    ending = log.endings[GENERATION]
    assert (ending.status, ending.error) == (
        GenerationStatus.FAILED,
        GenerationError(GenerationErrorCode.MODEL_UNREACHABLE, retryable=False),
    )


async def test_an_abandoned_run_of_a_model_that_is_not_known_here_goes_back_to_the_queue(
    stage: Stage, log: FakeLog
) -> None:
    log.begin(replace(a_generation(), model_key=ModelKey("elsewhere")))
    async with runs_on(stage, log, FakeModel()).serving():
        assert (log.given_back, log.endings) == ({GENERATION}, {})


async def test_leaving_lets_short_answers_finish(stage: Stage, log: FakeLog) -> None:
    runs = runs_on(stage, log, FakeModel([*words("short"), DONE]))
    async with runs.serving():
        log.begin(a_generation())
        runs.start(an_order())
    assert log.endings[GENERATION].status is GenerationStatus.COMPLETED


async def test_leaving_ends_long_answers_with_their_text(stage: Stage, log: FakeLog) -> None:
    runs = runs_on(stage, log, FakeModel([*words("long"), asyncio.Event()]))
    async with runs.serving():
        log.begin(a_generation())
        runs.start(an_order())
    ending = log.endings[GENERATION]
    assert (ending.status, ending.text) == (GenerationStatus.INTERRUPTED, "long")


async def test_a_leaving_process_takes_no_more(stage: Stage, log: FakeLog) -> None:
    runs = runs_on(stage, log, FakeModel())
    async with runs.serving():
        runs.require_open()
        await runs.drain()
        with pytest.raises(ServerDraining):
            runs.require_open()


async def test_a_stop_asked_for_elsewhere_is_found_while_the_model_is_silent(stage: Stage, log: FakeLog) -> None:
    runs = runs_on(stage, log, FakeModel([*words("x"), asyncio.Event()]))
    async with runs.serving():
        log.begin(a_generation())
        runs.start(an_order())
        await asyncio.sleep(0.02)
        await log.ask_to_stop(a_viewer().id, GENERATION, StopRequest(None))
        await _until(lambda: GENERATION in log.endings)
    assert log.endings[GENERATION].finish_reason is FinishReason.USER_STOP


async def test_the_second_stop_says_so(stage: Stage, log: FakeLog) -> None:
    log.begin(a_generation())
    runs = runs_on(stage, log, FakeModel())
    answers = [await runs.stop(a_viewer(), GENERATION, StopRequest(None)) for _ in range(2)]
    assert [answer and answer.already for answer in answers] == [False, True]


async def test_a_process_believes_an_expired_lease_after_a_whole_lease_of_contact() -> None:
    contact = Contact(timedelta(milliseconds=60))
    contact.made()
    assert not contact.is_lasting()
    for _ in range(4):
        await asyncio.sleep(0.02)
        contact.made()
    assert contact.is_lasting()
    contact.lost()
    contact.made()
    assert not contact.is_lasting()


async def test_a_process_that_stood_still_has_lost_contact() -> None:
    contact = Contact(timedelta(milliseconds=20))
    contact.made()
    await asyncio.sleep(0.05)
    contact.made()
    assert not contact.is_lasting()


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen")


async def test_a_run_lost_in_a_repair_ends_with_what_stands_there_and_counts_both_prompts(
    stage: Stage, log: FakeLog
) -> None:
    generation = log.begin(a_generation())
    entries = NewText("oh no", 0), NewCut(0, TruncationReason.REPAIR), NewText("{", 0)
    await log.append([Append(generation.id, 1, 1, entries)])
    async with runs_on(stage, log, FakeModel()).serving():
        ending = log.endings[GENERATION]
    assert (ending.status, ending.text) == (GenerationStatus.INTERRUPTED, "{")
    assert ending.usage == Usage(2 * 11, 0, UsageSource.PARTIAL)
