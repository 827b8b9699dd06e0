"""What happened in conversations: in order, whoever wrote it, and for sidebars the latest of each."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from asyncpg.connection import LoggedQuery

from domain.conversation.events import EventSlice, MessageAdded, ReplyFinished, ReplyStarted, Touch
from domain.generation.entity import Generation
from domain.world import ConversationId
from tests.repositories.racing import raced
from tests.repositories.story import NOW, WORLD, Story, draft
from tests.repositories.test_writing import send

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def run(story: Story) -> Generation:
    return await story.run((await story.conversation()).id)


async def test_a_send_and_its_end_are_told_in_order(
    story: Story, run: Generation, statements: list[LoggedQuery]
) -> None:
    await story.finish(run, "A tree")
    reply = await story.message(run.reply_id)
    assert reply.parent_id is not None
    statements.clear()
    found = await events(story, run.conversation_id)
    assert len(statements) == 1
    at, where = [event.at for event in found.events], run.conversation_id
    assert found == EventSlice(
        (
            MessageAdded(1, at[0], where, reply.parent_id),
            MessageAdded(2, at[1], where, reply.id),
            ReplyStarted(3, at[2], where, reply.id, run.id),
            ReplyFinished(4, at[3], where, reply.id, run.id),
        ),
        last_seq=4,
        kept_after=0,
    )
    assert at == sorted(at)


async def test_a_queued_reply_is_told_so_that_others_follow_it(story: Story) -> None:
    run = await story.queued()
    *_, started = (await events(story, run.conversation_id)).events
    assert started == ReplyStarted(3, started.at, run.conversation_id, run.reply_id, run.id)


async def test_a_conversation_knows_the_end_of_its_log(story: Story) -> None:
    conversation = await story.conversation()
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, conversation.id)
        assert tree is not None
        assert tree.conversation.event_seq == 0
    await send(story, conversation, None)
    found = (await story.conversations.conversations(story.owner, [conversation.id]))[conversation.id]
    assert found.event_seq == (await events(story, conversation.id)).last_seq == 3


async def test_a_log_is_read_from_any_cursor(story: Story, run: Generation) -> None:
    found = await story.events.events(story.owner, run.conversation_id, 1, 1)
    assert found is not None
    assert ([event.seq for event in found.events], found.last_seq) == ([2], 3)
    assert await story.events.events(story.owner, run.conversation_id, 3, 10) == EventSlice((), 3, 0)


async def test_nothing_happened_in_a_new_conversation(story: Story) -> None:
    conversation = await story.conversation()
    assert await events(story, conversation.id) == EventSlice((), 0, 0)


async def test_sends_at_once_from_two_processes_are_told_once_each_in_their_order(
    story: Story, database_url: str
) -> None:
    conversation = await story.conversation()
    [parent] = await story.say(conversation.id, None, "say something")
    racer = ("reply", database_url, story.owner, conversation.id, parent.id, 25)
    assert await raced(racer, racer) == ["25", "25"]
    found = await events(story, conversation.id)
    added = [event.message_id for event in found.events if isinstance(event, MessageAdded)]
    assert [event.seq for event in found.events] == list(range(1, 52))
    assert [event.at for event in found.events] == sorted(event.at for event in found.events)
    messages = await story.messages.messages(story.owner, added)
    assert [messages[message_id].place.number for message_id in added] == list(range(1, 52))
    assert found.last_seq == 51


async def test_sends_and_ends_at_once_leave_no_gap(story: Story) -> None:
    conversation = await story.conversation()
    runs = [await story.run(conversation.id) for _ in range(10)]
    await asyncio.gather(*(story.finish(run, "") for run in runs), *(story.run(conversation.id) for _ in range(10)))
    found = await events(story, conversation.id)
    assert [event.seq for event in found.events] == list(range(1, 71))
    assert found.last_seq == 70


async def test_another_user_and_a_deleted_conversation_read_nothing(story: Story, run: Generation) -> None:
    stranger = await Story.begun(story.database)
    assert await story.events.events(stranger.owner, run.conversation_id, 0, 10) is None
    assert await story.events.events(story.owner, ConversationId(WORLD.new_id()), 0, 10) is None
    assert await stranger.events.touches(stranger.owner, MINUTE) == []
    await delete(story, run.conversation_id)
    assert await story.events.events(story.owner, run.conversation_id, 0, 10) is None


async def test_a_sidebar_sees_the_latest_of_each_conversation(
    story: Story, run: Generation, statements: list[LoggedQuery]
) -> None:
    other = await story.conversation()
    await story.say(other.id, None, "hello")
    await story.finish(run, "")
    statements.clear()
    found = await story.events.touches(story.owner, MINUTE)
    assert len(statements) == 1
    assert set(found) == {Touch(run.conversation_id, 4, removed=False), Touch(other.id, 1, removed=False)}
    await story.database.execute("UPDATE conversation_events SET at = at - interval '2 minutes' WHERE seq <= 1")
    assert await story.events.touches(story.owner, MINUTE) == [Touch(run.conversation_id, 4, removed=False)]


async def test_a_deletion_is_the_last_that_is_heard_of_a_conversation(story: Story, run: Generation) -> None:
    await delete(story, run.conversation_id)
    removed = [Touch(run.conversation_id, 4, removed=True)]
    assert await story.events.touches(story.owner, MINUTE) == removed
    await story.finish(run, "")
    assert await story.conversations.purge_deleted(100) == 3
    assert await story.events.touches(story.owner, MINUTE) == removed


async def test_old_events_are_forgotten_in_batches_from_their_beginning(story: Story, run: Generation) -> None:
    assert await story.events.forget_events(MINUTE, 10) == 0
    await story.database.execute("UPDATE conversation_events SET at = at - interval '1 hour'")
    recent = await story.say(run.conversation_id, None, "recent")
    # The mark of its opening, which no reader is shown, is the first to go.
    assert await story.events.forget_events(MINUTE, 3) == 3
    found = await events(story, run.conversation_id)
    assert ([event.seq for event in found.events], found.last_seq, found.kept_after) == ([3, 4], 4, 2)
    assert await story.events.forget_events(MINUTE, 2) == 1
    [last] = (await events(story, run.conversation_id)).events
    assert last == MessageAdded(4, last.at, run.conversation_id, recent[0].id)


async def test_a_log_of_which_nothing_is_left_says_so(story: Story, run: Generation) -> None:
    await story.database.execute("UPDATE conversation_events SET at = at - interval '1 hour'")
    assert await story.events.forget_events(MINUTE, 10) == 4
    assert await events(story, run.conversation_id) == EventSlice((), 3, 3)


async def test_a_send_that_fails_tells_nothing(story: Story, run: Generation) -> None:
    with suppress(ZeroDivisionError):
        async with story.conversations.writing() as writing:
            tree = await writing.lock(story.owner, run.conversation_id)
            assert tree is not None
            await tree.grow([draft("lost")], None)
            raise ZeroDivisionError
    assert (await events(story, run.conversation_id)).last_seq == 3


async def events(story: Story, conversation_id: ConversationId) -> EventSlice:
    found = await story.events.events(story.owner, conversation_id, 0, 1000)
    assert found is not None
    return found


async def delete(story: Story, conversation_id: ConversationId) -> None:
    async with story.conversations.writing() as writing:
        assert await writing.delete(story.owner, conversation_id, NOW) is not None
