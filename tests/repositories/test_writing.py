"""Sends: what one transaction writes, and what many of them at once cannot break."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery

from domain.conversation.entity import Conversation, ConversationState
from domain.conversation.store import KeyTaken, NewRun, Remembered, Standing
from domain.errors import Unavailable
from domain.generation.entity import Generation, GenerationStatus, GenerationTrigger
from domain.generation.log import Append, GenerationStarted, Line, NewText, Want
from domain.message import Family, Message, MessageRole, MessageStatus
from domain.page import PageArgs
from domain.world import GenerationId, UserId
from repositories.conversation.store import SqlConversations
from repositories.database import URGENT, open_database
from tests.repositories.racing import raced, send_once
from tests.repositories.story import (
    LEASE,
    NODE,
    NOW,
    WORLD,
    Story,
    draft,
    draft_of_reply,
    memo,
    new_conversation,
    new_generation,
    somebody_waits,
    texts,
)


async def send(story: Story, conversation: Conversation, parent: Message | None, key: str = "key") -> Message:
    """The whole transaction of a send, as the domain makes it."""
    async with story.conversations.writing(memo(story.owner, key)) as writing:
        tree = await writing.lock(story.owner, conversation.id)
        assert tree is not None
        standing = await tree.look(parent.id if parent else None)
        assert standing.unfinished is None
        reply = draft_of_reply()
        run = NewRun(new_generation(reply, tree.conversation), NODE, LEASE)
        grown = await tree.grow([draft("What is a tree?"), reply], standing.message, run)
    return grown.messages[1]


async def test_a_send_is_three_statements_and_one_commit(story: Story, statements: list[LoggedQuery]) -> None:
    conversation = await story.conversation()
    [parent] = await story.say(conversation.id, None, "hello")
    statements.clear()
    await send(story, conversation, parent)
    assert len(statements) == 5
    assert statements[0].query.startswith("BEGIN")
    assert statements[-1].query == "COMMIT"


async def test_a_send_that_opens_its_conversation_is_two(story: Story, statements: list[LoggedQuery]) -> None:
    async with story.conversations.writing(memo(story.owner, "key")) as writing:
        tree = await writing.open(new_conversation(story.owner))
        reply = draft_of_reply()
        run = NewRun(new_generation(reply, tree.conversation), NODE, LEASE)
        await tree.grow([draft("What is a tree?"), reply], None, run)
    assert [logged.query.split()[0] for logged in statements[-4:]] == ["BEGIN", "WITH", "WITH", "COMMIT"]


async def test_an_opened_conversation_reads_as_it_was_given(story: Story) -> None:
    conversation = new_conversation(story.owner, title="Trees", tags=("a", "b"), pinned=True)
    async with story.conversations.writing() as writing:
        tree = await writing.open(conversation)
        assert tree.conversation == conversation
    assert await story.conversations.conversations(story.owner, [conversation.id]) == {conversation.id: conversation}


async def test_grown_messages_read_as_they_were_returned(story: Story) -> None:
    conversation = await story.conversation()
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, conversation.id)
        assert tree is not None
        sent = replace(draft("hi"), sent_at=NOW - timedelta(seconds=1), idempotency_key="key")
        grown = await tree.grow([sent, draft("there", MessageRole.ASSISTANT)], None)
        added, counted = list(grown.messages), grown.conversation
        assert tree.conversation == counted
        assert [(await tree.look(message.id)).message for message in added] == added
        assert await tree.look(draft("").id) == await tree.look(None) == Standing(None, None, 0)
    assert [await story.message(message.id) for message in added] == added
    assert (counted.message_count, counted.root_count, counted.event_seq) == (2, 1, 2)
    assert (counted.active_leaf_id, counted.last_message_at) == (added[1].id, NOW)
    assert await story.conversations.conversations(story.owner, [conversation.id]) == {conversation.id: counted}


async def test_a_begun_run_reads_as_given_and_has_started(story: Story) -> None:
    conversation = await story.conversation()
    run = await story.run(conversation.id)
    assert await story.generation(run.id) == run
    assert (run.last_seq, run.status) == (1, GenerationStatus.RUNNING)
    [found] = await story.log.read([Want(run.id, 0, 10)])
    assert found is not None
    [started] = found.entries
    assert started == GenerationStarted(1, started.at, run.id, 1, run.model_key)


@pytest.mark.parametrize("status", [GenerationStatus.RUNNING, GenerationStatus.QUEUED])
async def test_a_reopened_reply_reads_as_what_was_kept_and_the_new_log(story: Story, status: GenerationStatus) -> None:
    first = await story.write(await story.run((await story.conversation()).id), "Kept \U0001f333")
    await story.finish(first, "Kept \U0001f333")
    kept = await story.message(first.reply_id)
    run = await continued(story, kept, status)
    reply = await story.message(kept.id)
    expected = replace(kept, status=status.of_reply(), completed_at=None, generation_id=run.id)
    assert reply == replace(expected, text_through_seq=run.last_seq)
    if status is GenerationStatus.QUEUED:
        [claimed] = await story.log.claim(NODE, LEASE, Line("here", (run.model_key,), None), 1)
        run = claimed.generation
    await story.log.append([Append(run.id, 1, run.last_seq, (NewText(" and new", 7),))])
    assert (await story.message(kept.id)).text == "Kept \U0001f333 and new"
    await story.finish(await story.generation(run.id), "Kept \U0001f333 and new.")
    reply = await story.message(kept.id)
    assert (reply.text, reply.status, reply.first_token_at) == (
        "Kept \U0001f333 and new.",
        MessageStatus.COMPLETE,
        kept.first_token_at,
    )
    assert (await story.generation(run.id)).text_offset == 7


async def continued(story: Story, reply: Message, status: GenerationStatus) -> Generation:
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, reply.conversation_id)
        assert tree is not None
        fields = {"trigger": GenerationTrigger.CONTINUE, "status": status, "text_offset": 7, "reply_id": reply.id}
        last_seq = 0 if status is GenerationStatus.QUEUED else 1
        run = replace(new_generation(draft_of_reply(), tree.conversation), last_seq=last_seq, **fields)  # type: ignore[arg-type]
        grown = await tree.reopen(reply, NewRun(run, NODE, LEASE))
    [reopened] = grown.messages
    assert (reopened.generation_id, reopened.text, reopened.completed_at) == (run.id, reply.text, None)
    assert (grown.conversation.active_leaf_id, reopened.status) == (reply.id, status.of_reply())
    return run


async def test_the_waiting_runs_of_a_conversation_are_counted(story: Story) -> None:
    first = await story.run((await story.conversation()).id)
    second = await story.queued(behind=first)
    await story.queued(behind=second)
    await story.queued()
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, first.conversation_id)
        assert tree is not None
        standing = await tree.look(second.reply_id)
    assert standing == Standing(await story.message(second.reply_id), await story.generation(second.id), 2)


async def test_a_new_message_wakes_an_inactive_conversation_and_no_other(story: Story) -> None:
    for state, becomes in (("INACTIVE", "ACTIVE"), ("PAUSED", "PAUSED")):
        conversation = await story.conversation(state=ConversationState(state))
        [leaf] = await story.say(conversation.id, None, "hello")
        found = (await story.conversations.conversations(story.owner, [conversation.id]))[conversation.id]
        assert (found.state.value, found.active_leaf_id, found.last_message_at) == (becomes, leaf.id, NOW)


async def test_a_busy_path_names_its_nearest_unfinished_run(story: Story) -> None:
    conversation = await story.conversation()
    first = await story.run(conversation.id)
    reply = await story.message(first.reply_id)
    second = await story.run(conversation.id, reply)
    [aside] = await story.say(conversation.id, await parent_of(story, reply), "beside the first reply")
    [below] = await story.say(conversation.id, await story.message(second.reply_id), "below both")
    assert await unfinished_above(story, below) == second.id
    assert await unfinished_above(story, reply) == first.id
    assert await unfinished_above(story, aside) is None
    await story.finish(await story.generation(second.id), "")
    assert await unfinished_above(story, below) == first.id


async def test_fifty_replies_at_once_from_two_processes_are_fifty_siblings(story: Story, database_url: str) -> None:
    conversation = await story.conversation()
    [parent] = await story.say(conversation.id, None, "say something")
    racer = ("reply", database_url, story.owner, conversation.id, parent.id, 25)
    assert await raced(racer, racer) == ["25", "25"]
    family = Family(conversation.id, parent.id)
    replies = (await story.messages.families(story.owner, [family], PageArgs(100)))[family].nodes
    assert [reply.sibling_index for reply in replies] == list(range(1, 51))
    assert [reply.place.number for reply in replies] == list(range(2, 52))
    assert len({reply.place.branch_id for reply in replies}) == 50
    assert (await story.message(parent.id)).child_count == 50
    assert len((await story.messages.leaves(story.owner, conversation.id, PageArgs(100))).nodes) == 50


async def test_two_processes_with_one_key_send_once(story: Story, database_url: str) -> None:
    conversation = await story.conversation()
    racer = ("send", database_url, story.owner, conversation.id, "key", 10)
    assert sorted(await raced(racer, racer)) == ["0", "1"]
    found = (await story.conversations.conversations(story.owner, [conversation.id]))[conversation.id]
    assert found.message_count == 1
    assert await story.conversations.recall(story.owner, "key") == Remembered(
        b"print", {"conversation": conversation.id}
    )


async def test_who_waited_for_the_lock_sees_what_was_written_meanwhile(story: Story) -> None:
    conversation, locked = await story.conversation(), asyncio.Event()

    async def wait_and_look() -> Standing:
        async with story.conversations.writing(memo(story.owner, "second")) as writing:
            await locked.wait()
            second = await writing.lock(story.owner, conversation.id)
            assert second is not None
            assert second.conversation.message_count == 2
            return await second.look(second.conversation.active_leaf_id)

    waiting = asyncio.create_task(wait_and_look())
    async with story.conversations.writing(memo(story.owner, "first")) as writing:
        tree = await writing.lock(story.owner, conversation.id)
        assert tree is not None
        locked.set()
        await somebody_waits(story)
        reply = draft_of_reply()
        run = NewRun(new_generation(reply, conversation), NODE, LEASE)
        await tree.grow([draft("What is a tree?"), reply], None, run)
    standing = await waiting
    assert standing.message is not None
    assert standing.unfinished is not None
    assert (standing.message.id, standing.unfinished.id) == (reply.id, run.generation.id)


async def test_keys_of_two_users_are_two_keys(story: Story) -> None:
    stranger = await Story.begun(story.database)
    for owner in (story.owner, stranger.owner):
        assert await opened(story.conversations, owner, "key")


async def test_a_key_is_free_again_when_its_transaction_fails(story: Story) -> None:
    with suppress(ZeroDivisionError):
        async with story.conversations.writing(memo(story.owner, "key")) as writing:
            await writing.open(new_conversation(story.owner))
            raise ZeroDivisionError
    assert await story.conversations.recall(story.owner, "key") is None
    assert await opened(story.conversations, story.owner, "key")


async def test_twins_wait_at_the_gate_and_not_on_a_connection(database_url: str) -> None:
    async with open_database(database_url, 2 + URGENT) as database:
        story, store = await Story.begun(database), SqlConversations(database, WORLD)
        async with store.writing(memo(story.owner, "key")) as writing:
            await writing.open(new_conversation(story.owner))
            twins = [asyncio.create_task(opened(store, story.owner, "key")) for _ in range(20)]
            await asyncio.sleep(0)
            # Of another owner: one owner's openings wait for each other.
            assert await opened(store, (await Story.begun(database)).owner, "another key")
        assert await asyncio.gather(*twins) == [False] * 20


async def test_a_twin_that_waits_too_long_is_unavailable(database_url: str) -> None:
    patience = timedelta(milliseconds=50)
    async with open_database(database_url, 4, patience=patience) as database:
        story = await Story.begun(database)
        store = story.conversations
        async with store.writing(memo(story.owner, "key")) as writing:
            await writing.open(new_conversation(story.owner))
            with pytest.raises(Unavailable):  # another store is another process: it waits in the database
                await opened(story.conversations, story.owner, "key")
            with pytest.raises(Unavailable):
                await opened(store, story.owner, "key")


async def test_old_keys_are_forgotten(story: Story) -> None:
    conversation = await story.conversation()
    assert await send_once(story, conversation.id, "old")
    await story.database.execute("UPDATE idempotency_keys SET created_at = $1", NOW)
    assert await send_once(story, conversation.id, "new")
    assert await story.conversations.forget_keys(NOW + timedelta(seconds=1)) == 1
    assert await story.conversations.recall(story.owner, "old") is None
    assert await story.conversations.recall(story.owner, "new") is not None


async def test_another_owner_cannot_lock_delete_or_read(story: Story) -> None:
    conversation = await story.conversation()
    [message] = await story.say(conversation.id, None, "mine")
    stranger = (await Story.begun(story.database)).owner
    async with story.conversations.writing() as writing:
        assert await writing.lock(stranger, conversation.id) is None
        assert await writing.delete(stranger, conversation.id, NOW) is None
    assert await story.conversations.conversations(stranger, [conversation.id]) == {}
    assert await story.messages.messages(stranger, [message.id]) == {}
    assert await story.messages.ancestors(stranger, message.id, skip=0, limit=5) == []
    assert await story.messages.leaves_below(stranger, [message.id]) == {}
    assert texts((await story.messages.path(stranger, message, PageArgs())).nodes) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE messages SET depth = depth + 1 WHERE depth > 0",
        "UPDATE messages SET number = number + 100",
        "UPDATE messages SET parent_id = NULL WHERE depth > 0",
        "UPDATE messages SET sibling_index = 9",
        "UPDATE branches SET conversation_id = gen_random_uuid()",
    ],
)
async def test_a_place_never_changes(story: Story, change: str) -> None:
    conversation = await story.conversation()
    await story.say(conversation.id, None, "a", "b")
    with pytest.raises(asyncpg.RestrictViolationError):
        await story.database.execute(change)


async def test_a_parent_in_another_conversation_is_refused(story: Story) -> None:
    here, there = await story.conversation(), await story.conversation()
    [parent] = await story.say(there.id, None, "there")
    [child] = await story.say(here.id, None, "here")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await story.database.execute(
            "INSERT INTO messages (id, conversation_id, branch_id, parent_id, depth, number, sibling_index, child_count,"
            " role, status, text, received_at)"
            " SELECT gen_random_uuid(), conversation_id, branch_id, $2, 1, 9, 1, 0, role, status, text, received_at"
            " FROM messages WHERE id = $1",
            child.id,
            parent.id,
        )


async def parent_of(story: Story, message: Message) -> Message:
    assert message.parent_id is not None
    return await story.message(message.parent_id)


async def unfinished_above(story: Story, message: Message) -> GenerationId | None:
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, message.conversation_id)
        assert tree is not None
        run = (await tree.look(message.id)).unfinished
    return run.id if run else None


async def opened(store: SqlConversations, owner: UserId, key: str) -> bool:
    """False: the key was taken."""
    try:
        async with store.writing(memo(owner, key)) as writing:
            await writing.open(new_conversation(owner))
    except KeyTaken:
        return False
    return True
