import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.errors import ServerDraining
from domain.generation.entity import FinishReason, GenerationStatus
from domain.generation.log import Append, NewText
from domain.generation.run import RunPolicy
from domain.generation.runs import Expired, Node, Runs
from domain.model import LanguageModel, Models, Usage, UsageSource
from tests.domain.fakes import (
    DONE,
    NODE,
    FakeLog,
    FakeModel,
    OneServer,
    a_generation,
    a_model,
    a_viewer,
    an_order,
    words,
)
from tests.domain.playing import Stage

GENERATION = a_generation().id
QUICK = Node(NODE, timedelta(seconds=1), stop_poll=timedelta(milliseconds=10), grace=timedelta(milliseconds=50))


def runs_on(stage: Stage, log: FakeLog, server: LanguageModel) -> Runs:
    return Runs(log, stage.writer, stage.wakes, Models([a_model()], OneServer(server)), QUICK, RunPolicy())


async def test_runs_left_by_a_dead_process_end_interrupted_with_what_was_shown(stage: Stage, log: FakeLog) -> None:
    generation = log.begin(a_generation())
    await log.append([Append(generation.id, 1, 1, (NewText("shown ", 0), NewText("text", 6)))])
    async with runs_on(stage, log, FakeModel()).serving():
        ending = log.endings[GENERATION]
    assert (ending.status, ending.finish_reason) == (GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST)
    assert ending.text == "shown text"
    assert ending.usage == Usage(11, 4, UsageSource.PARTIAL)


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
        await log.ask_to_stop(a_viewer().id, GENERATION, None)
        await _until(lambda: GENERATION in log.endings)
    assert log.endings[GENERATION].finish_reason is FinishReason.USER_STOP


async def test_the_second_stop_says_so(stage: Stage, log: FakeLog) -> None:
    log.begin(a_generation())
    runs = runs_on(stage, log, FakeModel())
    answers = [await runs.stop(a_viewer(), GENERATION, None) for _ in range(2)]
    assert [answer and answer.already for answer in answers] == [False, True]


async def test_a_lease_counts_as_expired_once_it_was_seen_so_for_a_whole_lease() -> None:
    expired = Expired(timedelta(milliseconds=30))
    assert expired.long_enough([GENERATION]) == []
    await asyncio.sleep(0.04)
    assert expired.long_enough([GENERATION]) == [GENERATION]
    expired.forget()
    assert expired.long_enough([GENERATION]) == []


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not happen")
