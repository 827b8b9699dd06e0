import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from domain.errors import BadCursor, UnknownId
from domain.generation.follow import FEW, Followers, LogReader
from domain.generation.log import Append, GenerationFinished, GenerationSnapshot, LogEntry, NewText, text_of
from domain.world import GenerationId
from tests.domain.fakes import DONE, FakeLog, FakeModel, FakeReplies, FakeWorld, a_generation, a_viewer, an_order, words
from tests.domain.playing import Stage

GENERATION = a_generation().id


@pytest.fixture
async def followers(stage: Stage, log: FakeLog) -> AsyncIterator[Followers]:
    reader = LogReader(log, stage.writer)
    reading = asyncio.create_task(reader.run())
    yield Followers(log, FakeReplies(log), reader, stage.wakes, FakeWorld())
    reading.cancel()


async def followed(followers: Followers, after: int = 0, generation_id: GenerationId = GENERATION) -> list[LogEntry]:
    async with aclosing(followers.follow(a_viewer(), generation_id, after)) as entries:
        return [entry async for entry in entries if not isinstance(entry, GenerationSnapshot)]


async def test_early_late_and_double_followers_are_given_the_same(stage: Stage, followers: Followers) -> None:
    gate = asyncio.Event()
    run = stage.run(FakeModel([*words("a", "b"), gate, *words("c"), DONE]), an_order())
    early = [asyncio.create_task(followed(followers)) for _ in range(3)]
    playing = asyncio.create_task(run.play())
    await asyncio.sleep(0.01)
    gate.set()
    await playing
    late = await followed(followers)
    assert [await task for task in early] == [late, late, late]
    assert text_of(late) == "abc"
    assert isinstance(late[-1], GenerationFinished)


async def test_a_follower_resumes_after_its_cursor(stage: Stage, followers: Followers) -> None:
    entries = await stage.play(FakeModel([*words("a"), DONE]))
    assert [await followed(followers, after) for after in (0, 1, len(entries))] == [entries, entries[1:], []]


@pytest.mark.parametrize("generation_id", [GenerationId(a_generation(9).id)])
async def test_an_unknown_run_is_an_error_before_the_first_event(
    followers: Followers, generation_id: GenerationId
) -> None:
    with pytest.raises(UnknownId):
        await followed(followers, generation_id=generation_id)


async def test_a_cursor_beyond_the_log_is_refused(log: FakeLog, followers: Followers) -> None:
    log.begin(a_generation())
    with pytest.raises(BadCursor, match="ends at 1"):
        await followed(followers, after=2)


async def test_a_negative_cursor_means_the_start(stage: Stage, followers: Followers) -> None:
    entries = await stage.play(FakeModel([*words("a"), DONE]))
    assert await followed(followers, after=-5) == entries


async def test_an_outage_pauses_a_stream_and_does_not_end_it(stage: Stage, log: FakeLog, followers: Followers) -> None:
    entries = await stage.play(FakeModel([*words("a"), DONE]))
    log.outages = 3
    assert await followed(followers) == entries


async def test_of_many_who_have_much_to_catch_up_with_few_are_told_something_in_each_round(
    log: FakeLog, followers: Followers
) -> None:
    run, told, most = log.begin(a_generation()), 0, 0
    for number in range(2 * FEW):
        await log.append([Append(run.id, run.attempt, number + 1, (NewText("x", number),))])

    async def catch_up() -> None:
        nonlocal told
        async with aclosing(followers.follow(a_viewer(), run.id, 0)) as entries:
            async for entry in entries:
                told += 1
                if entry.seq == 2 * FEW:
                    return

    async with asyncio.TaskGroup() as tasks:
        catching_up = [tasks.create_task(catch_up()) for _ in range(5 * FEW)]
        while not all(task.done() for task in catching_up):
            before = told
            await asyncio.sleep(0)
            most = max(most, told - before)
    assert most == FEW


async def test_whoever_catches_up_gives_way_after_each_entry(log: FakeLog, followers: Followers) -> None:
    run, turns = log.begin(a_generation()), 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    await log.append([Append(run.id, 1, 1, tuple(NewText("x", at) for at in range(50)))])
    beside = asyncio.create_task(others())
    stream = followers.follow(a_viewer(), GENERATION, 0)
    await anext(stream)
    before = turns
    for _ in range(50):
        await anext(stream)
    assert turns - before >= 50
    await stream.aclose()
    beside.cancel()


async def test_leaving_forgets_the_follower(stage: Stage, log: FakeLog, followers: Followers) -> None:
    log.begin(a_generation())
    stream = followers.follow(a_viewer(), GENERATION, 0)
    await anext(stream)
    assert stage.wakes.watched() == 1
    await stream.aclose()
    assert stage.wakes.watched() == 0


async def test_a_snapshot_stands_for_all_before_it(stage: Stage, log: FakeLog, followers: Followers) -> None:
    gate = asyncio.Event()
    run = stage.run(FakeModel([*words("a"), gate, *words("b"), DONE]))
    playing = asyncio.create_task(run.play())
    await asyncio.sleep(0.02)
    stream = followers.follow(a_viewer(), GENERATION, 0, snapshot=True)
    first = await anext(stream)
    assert isinstance(first, GenerationSnapshot)
    assert (first.reply.text, first.seq) == ("a", 2)
    gate.set()
    rest = [entry async for entry in stream]
    await playing
    assert [entry.seq for entry in rest] == [3, 4]


async def test_a_snapshot_of_a_finished_run_is_followed_by_its_end(stage: Stage, followers: Followers) -> None:
    entries = await stage.play(FakeModel([*words("a"), DONE]))
    shown = [entry async for entry in followers.follow(a_viewer(), GENERATION, 0, snapshot=True)]
    assert isinstance(shown[0], GenerationSnapshot)
    assert (shown[0].seq, shown[1:]) == (entries[-1].seq - 1, entries[-1:])


async def test_a_cursor_past_retention_begins_with_a_snapshot(stage: Stage, log: FakeLog, followers: Followers) -> None:
    entries = await stage.play(FakeModel([*words("a"), DONE]))
    log.kept_after = entries[-1].seq - 1
    log.entries[GENERATION] = entries[-1:]
    shown = [entry async for entry in followers.follow(a_viewer(), GENERATION, 1)]
    assert [type(entry) for entry in shown] == [GenerationSnapshot, GenerationFinished]
