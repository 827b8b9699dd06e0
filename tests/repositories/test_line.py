"""Whose turn it is, over all processes: slots, fairness, places in the queue."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from asyncpg.connection import LoggedQuery

from domain.generation.entity import FinishReason, Generation, GenerationStatus
from domain.generation.log import (
    Claimed,
    GenerationFinished,
    GenerationQueued,
    GenerationStarted,
    Line,
    StopRequest,
    read_all,
)
from domain.message import MessageStatus
from domain.model import ModelKey
from domain.world import GenerationId, NodeId
from tests.repositories.racing import raced
from tests.repositories.story import LEASE, NODE, NOW, WORLD, Story

LLAMA = ModelKey("llama")
ONE_SLOT, TWO_SLOTS, NO_LIMIT = (Line("here", (LLAMA,), capacity) for capacity in (1, 2, None))
LATER = (NOW + timedelta(seconds=n) for n in count())


async def test_a_queued_run_reads_as_given_and_has_said_nothing(story: Story) -> None:
    before = await story.run((await story.conversation()).id)
    run = await story.queued(behind=before)
    assert await story.generation(run.id) == run
    assert (run.status, run.last_seq, run.waits_for) == (GenerationStatus.QUEUED, 0, before.id)
    assert await read_all(story.log, run.id) == []
    reply = await story.message(run.reply_id)
    assert (reply.status, reply.text, reply.text_through_seq) == (MessageStatus.PENDING, "", 0)


async def test_a_claimed_run_starts_with_the_claimers_lease(story: Story) -> None:
    run = await story.queued()
    [mine] = await story.log.claim(NODE, LEASE, ONE_SLOT, 100)
    started_at = mine.generation.started_at
    assert started_at is not None
    assert started_at > NOW
    running = replace(run, status=GenerationStatus.RUNNING, started_at=started_at, last_seq=1)
    assert mine == Claimed(running, None)
    assert await story.generation(run.id) == running
    assert await read_all(story.log, run.id) == [GenerationStarted(1, started_at, run.id, 1, LLAMA)]
    assert await story.log.left_by(NODE, 10) == [run.id]
    assert (await story.message(run.reply_id)).status is MessageStatus.STREAMING


async def test_a_start_is_never_before_the_queueing_of_a_clock_that_is_ahead(story: Story) -> None:
    run = await queued(story)
    await story.database.execute("UPDATE generations SET queued_at = now() + interval '1 minute'")
    [mine] = await claim(story)
    assert mine.started_at == mine.queued_at > run.queued_at


async def test_an_idle_line_costs_one_statement(story: Story, statements: list[LoggedQuery]) -> None:
    await story.queued(model_key=ModelKey("another"))
    statements.clear()
    assert await claim(story) == []
    assert len(statements) == 1


async def test_a_claim_takes_six_round_trips_however_many_wait(story: Story, statements: list[LoggedQuery]) -> None:
    for _ in range(5):
        await story.queued()
    statements.clear()
    assert len(await claim(story, TWO_SLOTS)) == 2
    assert len(statements) == 6


async def test_a_line_gives_no_more_than_its_slots_until_a_run_ends(story: Story) -> None:
    runs = [await queued(story) for _ in range(4)]
    first, second = await claim(story, TWO_SLOTS)
    assert [first.id, second.id] == ids(runs[:2])
    await story.database.execute("UPDATE generations SET lease_until = now() - interval '1 hour'")
    assert await claim(story, TWO_SLOTS) == []
    await story.finish(second, "")
    assert ids(await claim(story, TWO_SLOTS)) == ids(runs[2:3])


async def test_runs_beside_the_line_take_no_slot_of_it(story: Story) -> None:
    await story.run((await story.conversation()).id)
    other = Line("there", (ModelKey("another"),), 1)
    there, here = await queued(story, model_key=ModelKey("another")), await queued(story)
    assert ids(await claim(story, other)) == [there.id]
    assert ids(await claim(story)) == [here.id]


async def test_a_line_without_limit_takes_as_many_as_it_is_told(story: Story) -> None:
    runs = [await queued(story) for _ in range(5)]
    assert ids(await claim(story, NO_LIMIT, limit=3)) == ids(runs[:3])
    assert ids(await claim(story, NO_LIMIT)) == ids(runs[3:])


async def test_who_queues_much_does_not_take_every_slot(story: Story) -> None:
    other = await Story.begun(story.database)
    many = [await queued(story) for _ in range(10)]
    one = await queued(other)
    assert ids(await claim(story, TWO_SLOTS)) == [many[0].id, one.id]


async def test_with_one_slot_users_take_turns(story: Story) -> None:
    other, third = await Story.begun(story.database), await Story.begun(story.database)
    many = [await queued(story) for _ in range(4)]
    few = [await queued(other), await queued(other), await queued(third)]
    assert await played_out(story) == ids([many[0], few[0], few[2], many[1], few[1], many[2], many[3]])


async def test_who_comes_back_waits_no_longer_than_others_with_as_many_turns(story: Story) -> None:
    other = await Story.begun(story.database)
    first, second = await queued(story), await queued(story)
    await story.finish((await claim(story))[0], "")
    theirs, third = await queued(other), await queued(story)
    assert first.id not in (order := await played_out(story))
    assert order == ids([theirs, second, third])


async def test_places_are_told_when_they_change_and_at_most_once_a_second(story: Story) -> None:
    runs = [await queued(story) for _ in range(4)]
    [first] = await claim(story)
    assert await places(story, runs) == [None, 1, 2, 3]
    await claim(story)
    assert await told(story, runs[1]) == [1]
    await story.finish(first, "")
    await claim(story)
    assert await places(story, runs[1:]) == [None, 2, 3]
    assert [await told(story, run) for run in runs[2:]] == [[2], [3]]
    await a_second_passes(story)
    await claim(story)
    assert [await told(story, run) for run in runs[2:]] == [[2, 1], [3, 2]]
    waiting = await story.generation(runs[3].id)
    assert (waiting.last_seq, waiting.queue_position, waiting.status) == (2, 2, GenerationStatus.QUEUED)


async def test_a_new_one_is_told_at_once(story: Story) -> None:
    await queued(story)
    await claim(story)
    late = await queued(story)
    await claim(story)
    entries = await read_all(story.log, late.id)
    assert entries == [GenerationQueued(1, entries[0].at, late.id, 1)]


async def test_a_chain_goes_on_in_its_order(story: Story) -> None:
    first = await story.run((await story.conversation()).id)
    second = await story.queued(behind=first)
    third = await story.queued(behind=second)
    assert await claim(story, NO_LIMIT) == []
    assert await places(story, [second, third]) == [1, 2]
    await story.finish(first, "")
    [running] = await claim(story, NO_LIMIT)
    await a_second_passes(story)
    assert (running.id, await claim(story, NO_LIMIT)) == (second.id, [])
    assert await places(story, [second, third]) == [None, 1]
    await story.finish(running, "")
    assert ids(await claim(story, NO_LIMIT)) == [third.id]


async def test_in_a_scarce_line_nobody_is_placed_before_whom_they_wait_for(story: Story) -> None:
    other = await Story.begun(story.database)
    first = await queued(story)
    second = await queued(story, behind=first, queued_at=NOW - timedelta(days=1))  # by another clock
    third, alone = await queued(story, behind=second), await queued(story)
    theirs = await queued(other)
    assert ids(await claim(story)) == [first.id]
    assert await places(story, [theirs, alone, second, third]) == [1, 2, 3, 4]


async def test_a_chain_over_two_lines_waits_too(story: Story) -> None:
    there = Line("there", (ModelKey("another"),), 1)
    first = await queued(story)
    second = await queued(story, behind=first, model_key=ModelKey("another"))
    assert await claim(story, there) == []
    assert await places(story, [second]) == [1]
    await story.finish((await claim(story))[0], "")
    assert ids(await claim(story, there)) == [second.id]


@pytest.mark.parametrize("waits", [False, True])
async def test_who_is_asked_to_stop_has_its_turn_at_once_and_takes_no_slot(story: Story, waits: bool) -> None:
    running = await queued(story)
    await claim(story)
    doomed, patient = await queued(story, behind=running if waits else None), await queued(story)
    stopping = await story.log.ask_to_stop(story.owner, doomed.id, StopRequest(None, FinishReason.INTERRUPT))
    assert stopping is not None
    assert (stopping.already, stopping.node) == (False, None)
    [mine] = await story.log.claim(NODE, LEASE, ONE_SLOT, 100)
    assert (mine.generation.id, mine.stop) == (doomed.id, StopRequest(None, FinishReason.INTERRUPT))
    await story.finish((await story.generation(running.id)), "")
    assert ids(await claim(story)) == [patient.id]


async def test_behind_a_run_that_is_stopped_before_its_turn_one_waits_for_those_before_it(story: Story) -> None:
    first = await story.run((await story.conversation()).id)
    doomed = await story.queued(behind=first)
    third = await story.queued(behind=doomed)
    await story.log.ask_to_stop(story.owner, doomed.id, StopRequest(None))
    [stopped] = await claim(story, NO_LIMIT)
    assert not await story.end(stopped, "")
    assert await claim(story, NO_LIMIT) == []
    assert (await story.generation(third.id)).waits_for == first.id
    await a_second_passes(story)
    await claim(story, NO_LIMIT)
    assert await places(story, [third]) == [1]
    assert await story.end(first, "")
    assert ids(await claim(story, NO_LIMIT)) == [third.id]


async def test_the_queue_of_a_deleted_conversation_is_cancelled(story: Story) -> None:
    first = await queued(story)
    await claim(story)
    second = await queued(story, behind=first)
    third = await queued(story, behind=second)
    async with story.conversations.writing() as writing:
        stopped = await writing.delete(story.owner, first.conversation_id, NOW)
    assert stopped is not None
    assert set(stopped) == {first.id, second.id, third.id}
    cancelled = StopRequest(None, FinishReason.CANCELLED)
    mine = await story.log.claim(NODE, LEASE, ONE_SLOT, 100)
    assert {each.generation.id: each.stop for each in mine} == {second.id: cancelled, third.id: cancelled}
    assert await story.log.stops(NODE) == dict.fromkeys(stopped, cancelled)


async def test_an_end_calls_those_who_waited_for_it(story: Story) -> None:
    first = await story.run((await story.conversation()).id)
    assert not await story.end(await story.run((await story.conversation()).id), "")
    second = await story.queued(behind=first)
    assert not await story.end(await story.run((await story.conversation()).id), "")
    assert await story.end(first, "")
    [mine] = await claim(story, NO_LIMIT)
    assert (mine.id, await story.end(mine, "")) == (second.id, False)


async def test_an_end_that_frees_a_slot_calls_the_queue(story: Story) -> None:
    await queued(story)
    [mine] = await claim(story)
    await queued(story)
    assert await story.end(mine, "")
    [mine] = await claim(story)
    assert not await story.end(mine, "")


async def test_two_lines_of_one_model_start_each_run_once(story: Story) -> None:
    """Each node has an embedded server of its own."""
    runs = [await queued(story) for _ in range(20)]
    lines = [Line(f"llama@{n}", (LLAMA,), 5) for n in range(2)]
    nodes = [NodeId(WORLD.new_id()) for _ in lines]
    claims = [story.log.claim(node, LEASE, line, 3) for _ in range(4) for node, line in zip(nodes, lines, strict=True)]
    started = [each.generation.id for mine in await asyncio.gather(*claims) for each in mine]
    assert len(started) == len(set(started)) == 10
    entries = [await read_all(story.log, run.id) for run in runs]
    assert [[entry.seq for entry in log] for log in entries] == [list(range(1, len(log) + 1)) for log in entries]


async def test_two_processes_keep_a_lines_limit_and_its_order(story: Story, database_url: str) -> None:
    users = [story, *[await Story.begun(story.database) for _ in range(3)]]
    queues = [[await queued(user) for _ in range(5)] for user in users]
    most = await raced(("work", database_url, 2), ("work", database_url, 2))
    assert max(map(int, most)) == 2
    logs = {run.id: await read_all(story.log, run.id) for queue in queues for run in queue}
    for log in logs.values():
        assert [type(entry) for entry in log if not isinstance(entry, GenerationQueued)] == [
            GenerationStarted,
            GenerationFinished,
        ]
    starts = {run: entry.at for run, log in logs.items() for entry in log if isinstance(entry, GenerationStarted)}
    in_turn = [queue[n].id for n in range(5) for queue in queues]
    # Two of one claim start at the same time.
    assert sorted(logs, key=lambda run: (starts[run], in_turn.index(run))) == in_turn


async def test_a_run_given_back_is_started_by_the_next_who_claims(story: Story) -> None:
    run, waiting = await queued(story), await queued(story)
    [mine] = await claim(story)
    await story.log.give_back(mine)
    back = await story.generation(run.id)
    assert back == replace(run, attempt=2, last_seq=1)
    node = NodeId(WORLD.new_id())
    [taken] = await story.log.claim(node, LEASE, ONE_SLOT, 100)
    assert (taken.generation.id, taken.generation.attempt, taken.generation.last_seq) == (run.id, 2, 2)
    assert [getattr(entry, "attempt", None) for entry in await read_all(story.log, run.id)] == [1, 2]
    assert await places(story, [waiting]) == [1]
    assert await story.log.left_by(node, 10) == [run.id]


async def test_a_run_that_never_was_in_a_line_is_given_back_to_its_models(story: Story) -> None:
    run = await story.run((await story.conversation()).id)
    await story.log.give_back(run)
    [taken] = await claim(story, NO_LIMIT)
    assert (taken.id, taken.attempt) == (run.id, 2)


async def test_only_the_owner_gives_back_and_only_what_was_not_shown(story: Story) -> None:
    run = await story.run((await story.conversation()).id)
    await story.log.give_back(replace(run, attempt=2))
    assert await story.generation(run.id) == run
    shown = await story.write(run, "A")
    await story.log.give_back(shown)
    assert await story.generation(run.id) == shown
    await story.finish(shown, "A")
    await story.log.give_back(shown)
    assert await claim(story, NO_LIMIT) == []


async def test_a_queued_run_is_nobodys_to_take(story: Story) -> None:
    run = await queued(story)
    assert await story.log.abandoned(10) == []
    assert await story.log.left_by(NODE, 10) == []
    assert await story.log.take(run.id, NODE, LEASE, own=True) is None
    await story.log.renew(NODE, [run.id], LEASE)
    assert await story.generation(run.id) == run


async def queued(story: Story, behind: Generation | None = None, **fields: object) -> Generation:
    """Each one later than those before."""
    return await story.queued(None, behind, **({"queued_at": next(LATER)} | fields))


async def claim(story: Story, line: Line = ONE_SLOT, limit: int = 100) -> list[Generation]:
    return [claimed.generation for claimed in await story.log.claim(NODE, LEASE, line, limit)]


async def played_out(story: Story) -> list[GenerationId]:
    """One after another, until nobody waits."""
    order = []
    while running := await claim(story):
        [run] = running
        order.append(run.id)
        await story.finish(run, "")
    return order


async def places(story: Story, runs: list[Generation]) -> list[int | None]:
    rows = await story.database.fetch("SELECT id, queue_position FROM generations")
    found = {row["id"]: row["queue_position"] for row in rows}
    return [found[run.id] for run in runs]


async def told(story: Story, run: Generation) -> list[int]:
    return [entry.position for entry in await read_all(story.log, run.id) if isinstance(entry, GenerationQueued)]


async def a_second_passes(story: Story) -> None:
    await story.database.execute("UPDATE generations SET queued_event_at = queued_event_at - interval '1 s'")


def ids(runs: list[Generation]) -> list[GenerationId]:
    return [run.id for run in runs]


async def test_a_run_is_forsaken_when_no_process_has_known_its_model_for_a_while(story: Story) -> None:
    a_minute, left = timedelta(minutes=1), ModelKey("left")
    runs = [await queued(story, model_key=key) for key in (LLAMA, left, left)]
    await story.log.know([LLAMA, left])
    await story.database.execute("UPDATE generations SET queued_at = now() - interval '2 minutes'")
    assert await story.log.forsaken(a_minute, 100) == []
    await story.database.execute("UPDATE known_models SET seen_at = now() - interval '2 minutes'")
    await story.log.know([LLAMA])
    await story.database.execute("UPDATE generations SET queued_at = now() WHERE id = $1", runs[2].id)
    assert [run.id for run in await story.log.forsaken(a_minute, 100)] == [runs[1].id]


async def test_of_a_claim_and_the_end_of_a_forsaken_run_one_takes_effect(story: Story) -> None:
    for _ in range(20):
        run = await queued(story)
        claimed, _ = await asyncio.gather(claim(story), story.end(run, ""))
        kinds = [type(entry) for entry in await read_all(story.log, run.id)]
        assert kinds == ([GenerationStarted] if claimed else [GenerationFinished])
        if claimed:
            await story.finish(claimed[0], "")
