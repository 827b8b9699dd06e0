"""A fork reads as its part of the origin's tree, whatever the tree, and nobody waits for it."""

import asyncio
from datetime import timedelta
from random import Random

import asyncpg
import pytest

from domain.conversation.commands import ForkScope
from domain.conversation.entity import Conversation
from domain.generation.entity import GenerationStatus
from domain.message import Message, MessageFilter, MessageStatus
from repositories.database import open_database
from tests.load.planting import plant_regenerated
from tests.repositories.naive import NaiveTree, Node
from tests.repositories.story import ALL, Story, new_conversation, texts
from tests.repositories.test_random_trees import (
    SOME,
    check_a_path,
    check_families,
    check_leaves,
    check_places,
    grown,
)


async def forked(story: Story, message: Message, scope: ForkScope) -> Conversation:
    async with story.conversations.writing() as writing:
        part = await writing.part(message, scope)
        assert part is not None
        made = await writing.copy(part, new_conversation(story.owner))
    assert made.message_count == part.size
    return made


@SOME
async def test_a_part_of_a_random_tree_is_copied_whole_and_nothing_else(story: Story, trees: int) -> None:
    for seed in range(trees):
        chance = Random(seed)
        origin, tree = await grown(story, chance, size=chance.randint(1, 40))
        for scope in ForkScope:
            end = chance.choice(tree.nodes)
            fork = await forked(story, end.message, scope)
            copy = await copied_tree(story, fork, tree, end, scope)
            assert (fork.message_count, fork.root_count) == (len(copy.nodes), len(copy.roots))
            shown = next(node for node in copy.nodes if node.id == fork.active_leaf_id)
            assert shown.message.text == (end.leaf if scope is ForkScope.SUBTREE else end).message.text
            await check_places(story, fork, copy)
            await check_families(story, fork, copy)
            await check_leaves(story, fork, copy)
            await check_a_path(story, copy, chance)
        await check_places(story, origin, tree)


async def copied_tree(
    story: Story, fork: Conversation, origin_tree: NaiveTree, end: Node, scope: ForkScope
) -> NaiveTree:
    """As a beginner would copy it; the messages are those that storage has, one by one in their order."""
    origins = sorted(picked(origin_tree, end, scope), key=lambda node: node.number)
    messages = (await story.messages.in_creation_order(story.owner, fork.id, ALL, MessageFilter())).nodes
    assert texts(messages) == [node.message.text for node in origins]
    tree, of = NaiveTree(), dict[Node, Node]()
    for origin, message in zip(origins, messages, strict=True):
        of[origin] = tree.add(message, of.get(origin.parent) if origin.parent else None)
    for origin, node in of.items():
        node.last_active = 0 if node.children else tip(origin).last_active
        if node.id == fork.active_leaf_id:
            node.last_active = 1_000_000
    return tree


def picked(tree: NaiveTree, end: Node, scope: ForkScope) -> set[Node]:
    match scope:
        case ForkScope.PATH:
            return set(end.path)
        case ForkScope.PATH_AND_SIBLINGS:
            return {sibling for node in end.path for sibling in tree.family(node.parent)}
        case ForkScope.SUBTREE:
            return {end}.union(*(picked(tree, child, scope) for child in end.children))


def tip(node: Node) -> Node:
    """Of its branch: the first reply goes on with it."""
    return tip(node.children[0]) if node.children else node


async def test_what_is_being_written_is_copied_as_its_log_says_and_interrupted(story: Story) -> None:
    conversation = await story.conversation()
    ended = await story.write(await story.run(conversation.id), "Wood.")
    await story.finish(ended, "Wood.")
    running = await story.write(await story.run(conversation.id, await story.message(ended.reply_id)), "And lea")
    waiting = await story.queued(conversation.id, behind=running)
    fork = await forked(story, await story.message(waiting.reply_id), ForkScope.PATH)
    page = await story.messages.in_creation_order(story.owner, fork.id, ALL, MessageFilter())
    replies = page.nodes[1::2]
    assert [(reply.text, reply.status) for reply in replies] == [
        ("Wood.", MessageStatus.COMPLETE),
        ("And lea", MessageStatus.INTERRUPTED),
        ("", MessageStatus.INTERRUPTED),
    ]
    assert all(reply.completed_at and reply.completed_at >= reply.received_at for reply in replies)
    assert {reply.generation_id for reply in replies} == {None}
    assert {reply.model_key for reply in replies} == {running.model_key}
    assert (await story.generation(running.id)).status is GenerationStatus.RUNNING


async def test_while_a_fork_is_written_the_origin_is_written_to(story: Story, database_url: str) -> None:
    conversation = await story.conversation()
    [first] = await story.say(conversation.id, None, "first")
    async with open_database(database_url, 2, patience=timedelta(milliseconds=100)) as another:
        elsewhere = Story(another, story.owner)
        async with story.conversations.writing() as writing:
            part = await writing.part(first, ForkScope.SUBTREE)
            assert part is not None
            fork = await writing.copy(part, new_conversation(story.owner))
            [second] = await elsewhere.say(conversation.id, first, "second")
            run = await elsewhere.write(await elsewhere.run(conversation.id, second), "Wood.")
            await elsewhere.finish(run, "Wood.")
    assert fork.message_count == 1
    assert (await story.message(first.id)).child_count == 1


async def test_forks_of_one_user_wait_for_each_other_so_that_what_is_stored_is_counted(story: Story) -> None:
    conversation = await story.conversation()
    [first] = await story.say(conversation.id, None, "first")
    stored = []
    for _ in range(3):
        await forked(story, first, ForkScope.PATH)

    async def counting() -> None:
        async with story.conversations.writing() as writing:
            part = await writing.part(first, ForkScope.PATH)
            assert part is not None
            stored.append(part.stored)
            await writing.copy(part, new_conversation(story.owner))

    await asyncio.gather(*(counting() for _ in range(4)))
    assert stored == [3, 4, 5, 6]


@pytest.mark.parametrize("scope", ForkScope)
async def test_ten_thousand_messages_take_the_statements_of_one(
    story: Story, database_url: str, scope: ForkScope, statements: list[object]
) -> None:
    connection = await asyncpg.connect(database_url)
    planted = await plant_regenerated(connection, story.owner, 3_333)
    await connection.close()
    message = await story.message(planted.first if scope is ForkScope.SUBTREE else planted.leaf)
    statements.clear()
    fork = await forked(story, message, scope)
    assert fork.message_count == (6_666 if scope is ForkScope.PATH else 9_999)
    # BEGIN, the locks, the count, the conversation, its instruction, the copy, COMMIT.
    assert len(statements) == 7
