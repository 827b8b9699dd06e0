"""The end of a run against what happens at the same moment: a stop, a send behind it, a lock held by another."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from asyncpg.connection import LoggedQuery

from domain.conversation.store import NewRun
from domain.errors import Unavailable
from domain.generation.entity import Ending, FinishReason, Generation, GenerationStatus
from domain.generation.log import Ended, StopRequest
from repositories.database import open_database
from tests.repositories.story import LEASE, NODE, Story, draft, draft_of_reply, new_generation, somebody_waits

OF_ENDS = set(GenerationStatus) - {GenerationStatus.QUEUED, GenerationStatus.RUNNING}
COMPLETED = Ending(GenerationStatus.COMPLETED, FinishReason.STOP, "A tree")


@pytest.fixture
async def run(story: Story) -> Generation:
    return await story.run((await story.conversation()).id)


@pytest.mark.parametrize("status", sorted(OF_ENDS - {GenerationStatus.STOPPED}, key=str))
async def test_a_run_that_was_asked_to_stop_ends_in_no_other_way(
    story: Story, run: Generation, status: GenerationStatus
) -> None:
    run = await story.write(run, "Tree", "s")
    await story.log.ask_to_stop(story.owner, run.id, StopRequest(2, FinishReason.INTERRUPT))
    stop = StopRequest(2, FinishReason.INTERRUPT)
    end = replace(COMPLETED, status=status)
    assert await story.log.finish(run, end, None, previous=3, cut_to=None) == Ended(stop=stop)
    assert await story.generation(run.id) == run
    stopped = replace(COMPLETED, status=GenerationStatus.STOPPED, finish_reason=FinishReason.INTERRUPT)
    assert await story.log.finish(run, stopped, None, previous=3, cut_to=4) == Ended()
    assert (await story.generation(run.id)).status is GenerationStatus.STOPPED


async def test_of_a_stop_and_a_completed_end_at_once_one_comes_first(story: Story) -> None:
    conversation = await story.conversation()
    for _ in range(50):
        run = await story.run(conversation.id)
        stopping, ended = await asyncio.gather(
            story.log.ask_to_stop(story.owner, run.id, StopRequest(1)),
            story.log.finish(run, COMPLETED, None, previous=1, cut_to=None),
        )
        assert stopping is not None
        assert stopping.already is (ended == Ended())
        assert ended == (Ended() if stopping.already else Ended(stop=StopRequest(1)))


async def test_an_end_that_waited_for_the_conversation_sees_who_queued_up_meanwhile(
    story: Story, run: Generation, statements: list[LoggedQuery]
) -> None:
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, run.conversation_id)
        assert tree is not None
        statements.clear()
        ending = asyncio.create_task(story.log.finish(run, COMPLETED, None, previous=1, cut_to=None))
        await somebody_waits(story)
        reply, ahead = draft_of_reply(), (await tree.look(run.reply_id)).message
        waiting = replace(
            new_generation(reply, tree.conversation), status=GenerationStatus.QUEUED, last_seq=0, waits_for=run.id
        )
        await tree.grow([draft("And?"), reply], ahead, NewRun(waiting, NODE, LEASE))
    assert await ending == Ended(awaited=True)
    assert sum("generation_events" in logged.query and "locked" in logged.query for logged in statements) == 2


async def test_an_end_that_waits_too_long_for_the_conversation_is_unavailable(database_url: str) -> None:
    async with open_database(database_url, 4, patience=timedelta(milliseconds=50)) as database:
        story = await Story.begun(database)
        run = await story.run((await story.conversation()).id)
        async with story.conversations.writing() as writing:
            await writing.lock(story.owner, run.conversation_id)
            with pytest.raises(Unavailable):
                await story.log.finish(run, COMPLETED, None, previous=1, cut_to=None)
