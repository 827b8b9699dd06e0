"""What is left of a log when its run ended long ago."""

from datetime import timedelta

from asyncpg.connection import LoggedQuery

from domain.generation.entity import Generation
from domain.generation.log import GenerationFinished, Slice, Want
from repositories.generation import store
from tests.repositories.story import Story
from tests.repositories.test_token_log import locked

HOUR = timedelta(hours=1)


async def test_of_a_log_past_retention_its_end_is_left(story: Story) -> None:
    run, alive = await ended(story), await story.write(await story.run((await story.conversation()).id), "A")
    before = await story.message(run.reply_id), await story.generation(run.id)
    [whole] = await story.log.read([Want(run.id, 0, 10)])
    assert await story.generations.compact(HOUR, 10) == 0
    await hours_pass(story)
    assert await story.generations.compact(HOUR, 10) == 1
    assert await story.generations.compact(HOUR, 10) == 0
    [found, going_on] = await story.log.read([Want(run.id, 0, 10), Want(alive.id, 0, 10)])
    assert whole is not None
    assert isinstance(whole.entries[-1], GenerationFinished)
    assert found == Slice(whole.entries[-1:], last_seq=4, ended=True, kept_after=3)
    assert going_on is not None
    assert (len(going_on.entries), going_on.kept_after) == (2, 0)
    await story.database.execute("UPDATE generations SET ended_at = $1", before[1].ended_at)
    assert (await story.message(run.reply_id), await story.generation(run.id)) == before


async def test_logs_are_compacted_the_oldest_first_and_few_at_a_time(
    story: Story, statements: list[LoggedQuery]
) -> None:
    runs = [await ended(story) for _ in range(5)]
    for age, run in enumerate(runs):
        await hours_pass(story, run, 10 - age)
    statements.clear()
    assert await story.generations.compact(HOUR, 3) == 3
    assert len(statements) == 1
    assert await compacted(story, runs) == [True, True, True, False, False]
    assert await story.generations.compact(HOUR, 3) == 2
    assert await story.generations.compact(HOUR, 3) == 0


async def test_many_take_several_commits(story: Story, statements: list[LoggedQuery]) -> None:
    runs = [await ended(story) for _ in range(store.RUNS_IN_A_COMMIT + 1)]
    await hours_pass(story)
    statements.clear()
    assert await story.generations.compact(HOUR, 100) == len(runs)
    assert len(statements) == 2


async def test_a_run_that_is_locked_is_left_for_the_next_time(story: Story) -> None:
    run, other = await ended(story), await ended(story)
    await hours_pass(story)
    async with locked(story, run):
        assert await story.generations.compact(HOUR, 10) == 1
    assert await compacted(story, [run, other]) == [False, True]
    assert await story.generations.compact(HOUR, 10) == 1


async def ended(story: Story) -> Generation:
    run = await story.write(await story.run((await story.conversation()).id), "A", " tree")
    await story.finish(run, "A tree")
    return run


async def compacted(story: Story, runs: list[Generation]) -> list[bool]:
    slices = await story.log.read([Want(run.id, 0, 10) for run in runs])
    return [found is not None and found.kept_after > 0 for found in slices]


async def hours_pass(story: Story, run: Generation | None = None, hours: int = 2) -> None:
    age = timedelta(hours=hours)
    await story.database.execute(
        "UPDATE generations SET ended_at = ended_at - $1::interval WHERE id = coalesce($2, id)", age, run and run.id
    )
