import asyncio

from domain.generation.log import NewText
from domain.generation.pace import RUNS_WITH_FULL_SPACING
from domain.generation.wakes import Wakes
from domain.generation.writer import MOST_GATHERED_UNITS, LogWriter
from tests.domain.fakes import FakeLog, a_generation
from tests.domain.playing import Stage


def ignore() -> None:
    return None


async def test_what_gathers_during_a_commit_goes_into_the_next_one_together(stage: Stage, log: FakeLog) -> None:
    first, second = log.begin(a_generation(1)), log.begin(a_generation(2))
    one, two = stage.writer.open(first, ignore), stage.writer.open(second, ignore)
    await one.write("a")
    await asyncio.sleep(0)
    for word in ("b", "c"):
        await one.write(word)
        await two.write(word)
    await one.flush()
    await two.flush()
    assert [[append.entries for append in batch] for batch in log.appends] == [
        [(NewText("a", 0),)],
        [(NewText("bc", 1, tokens=2),), (NewText("bc", 0, tokens=2),)],
    ]


async def test_a_locked_run_does_not_hold_the_others_up(stage: Stage, log: FakeLog) -> None:
    one = stage.writer.open(log.begin(a_generation(1)), ignore)
    two = stage.writer.open(log.begin(a_generation(2)), ignore)
    log.locked.add(one.generation_id)
    await one.write("late")
    await two.write("prompt")
    await two.flush()
    assert log.text(two.generation_id) == ["prompt"]
    log.locked.clear()
    await one.flush()
    assert log.text(one.generation_id) == ["late"]


async def test_what_cannot_be_stored_fails_its_own_run_only(stage: Stage, log: FakeLog) -> None:
    log.poison = "poison"
    one = stage.writer.open(log.begin(a_generation(1)), ignore)
    two = stage.writer.open(log.begin(a_generation(2)), ignore)
    await one.write("poison")
    await two.write("fine")
    await one.flush()
    await two.flush()
    assert isinstance(one.failure, ValueError)
    assert (two.failure, log.text(two.generation_id)) == (None, ["fine"])


async def test_a_full_buffer_makes_the_model_wait(log: FakeLog) -> None:
    writer = LogWriter(log, Wakes())
    run = writer.open(log.begin(a_generation()), ignore)
    await run.write("x" * (MOST_GATHERED_UNITS + 1))
    blocked = asyncio.create_task(run.write("y"))
    await asyncio.sleep(0.01)
    assert not blocked.done()
    writing = asyncio.create_task(writer.run())
    await blocked
    await run.flush()
    writing.cancel()
    assert "".join(log.text(run.generation_id)) == "x" * (MOST_GATHERED_UNITS + 1) + "y"


async def test_followers_are_woken_by_each_commit(stage: Stage, log: FakeLog) -> None:
    run = stage.writer.open(log.begin(a_generation()), ignore)
    with stage.wakes.watching(run.generation_id) as woken:
        await run.write("x")
        await asyncio.wait_for(woken.wait(), 5)
    assert stage.wakes.watched() == 0


async def test_in_a_crowd_a_run_takes_no_more_before_what_it_wrote_is_on_its_way(stage: Stage, log: FakeLog) -> None:
    crowd = [stage.writer.open(log.begin(a_generation(number)), ignore) for number in range(RUNS_WITH_FULL_SPACING)]
    for word in ("a", "b"):
        await crowd[0].write(word)
    await crowd[0].flush()
    assert log.text(crowd[0].generation_id) == ["a", "b"]


async def test_what_is_written_while_an_append_is_tried_again_is_not_forgotten(stage: Stage, log: FakeLog) -> None:
    run = stage.writer.open(log.begin(a_generation()), ignore)
    log.locked.add(run.generation_id)
    await run.write("a")
    while not log.appends:
        await asyncio.sleep(0)
    await run.write("b")
    log.locked.clear()
    await run.flush()
    assert log.text(run.generation_id) == ["a", "b"]
