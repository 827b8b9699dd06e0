"""Replies that were left for another process: found while they are as they were left, and taken up once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.conversation.store import NewRun
from domain.generation.entity import Ending, FinishReason, Generation, GenerationStatus, GenerationTrigger
from domain.generation.log import StopRequest
from domain.model import ModelKey
from tests.repositories.story import LEASE, NODE, Story, draft_of_reply, new_generation

LEFT = Ending(GenerationStatus.INTERRUPTED, FinishReason.SERVER_LOST, "A", handed_over=True)
LLAMA = ModelKey("llama")


@pytest.fixture
async def left(story: Story) -> Generation:
    run = await story.write(await story.run((await story.conversation()).id), "A")
    await story.log.finish(run, LEFT, None, previous=run.last_seq, cut_to=None)
    return await story.generation(run.id)


async def found(story: Story, within: timedelta = timedelta(minutes=1), model: ModelKey = LLAMA) -> list[Generation]:
    return await story.generations.handed_over([model], within, 10)


async def test_what_was_left_is_found_by_who_has_its_model_and_not_for_ever(story: Story, left: Generation) -> None:
    assert await found(story) == [left]
    assert await found(story, model=ModelKey("other")) == []
    assert await found(story, within=timedelta(0)) == []
    await story.generations.let_be(left.id)
    assert await found(story) == []


async def test_an_end_without_a_word_for_it_is_left_to_nobody(story: Story) -> None:
    run = await story.run((await story.conversation()).id)
    await story.log.finish(run, replace(LEFT, handed_over=False), None, previous=run.last_seq, cut_to=None)
    assert await found(story) == []


async def test_whoever_stops_it_after_its_end_lets_it_be(story: Story, left: Generation) -> None:
    stopping = await story.log.ask_to_stop(story.owner, left.id, StopRequest(None))
    assert stopping is not None
    assert stopping.already
    assert await found(story) == []


async def test_what_its_user_has_answered_continued_or_deleted_is_not_found(story: Story) -> None:
    async def left_again() -> Generation:
        run = await story.run((await story.conversation()).id)
        await story.log.finish(run, LEFT, None, previous=run.last_seq, cut_to=None)
        return run

    answered, continued, deleted = [await left_again() for _ in range(3)]
    assert len(await found(story)) == 3
    await story.say(answered.conversation_id, await story.message(answered.reply_id), "And?")
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, continued.conversation_id)
        assert tree is not None
        again = replace(new_generation(draft_of_reply(), tree.conversation), trigger=GenerationTrigger.CONTINUE)
        again = replace(again, reply_id=continued.reply_id)
        await tree.reopen(await story.message(continued.reply_id), NewRun(again, NODE, LEASE))
    async with story.conversations.writing() as writing:
        await writing.delete(story.owner, deleted.conversation_id, deleted.queued_at)
    assert await found(story) == []


async def test_of_many_who_take_it_up_at_once_one_does(story: Story, left: Generation) -> None:
    async def take_up() -> bool:
        async with story.conversations.writing() as writing:
            tree = await writing.lock(story.owner, left.conversation_id)
            assert tree is not None
            return await tree.take_up(left.id)

    assert sorted(await asyncio.gather(*(take_up() for _ in range(5)))) == [False] * 4 + [True]
    assert await found(story) == []
