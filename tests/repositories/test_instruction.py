"""Versions of instructions: dense whoever races, kept for ever, and what is in force found in one statement."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery

from domain.instruction import (
    PUBLISHED,
    Instruction,
    Instructions,
    InstructionScope,
    Publication,
    sha256_of,
)
from domain.model import ModelKey, Models
from domain.page import PageArgs
from domain.world import ConversationId
from repositories.instruction import SqlInstructions
from tests.domain.fakes import FakeModel, OneServer
from tests.repositories.racing import raced
from tests.repositories.story import NOW, WORLD, Story

LLAMA = ModelKey("llama")
PLATFORM = Publication(InstructionScope.PLATFORM, "", "Be kind.", 0)


@pytest.fixture
def instructions(story: Story) -> SqlInstructions:
    return SqlInstructions(story.database, WORLD)


async def publish(instructions: SqlInstructions, story: Story, publication: Publication) -> Instruction:
    published = await instructions.publish(publication, story.owner)
    assert published is not None
    return published


async def test_what_is_in_force_takes_one_statement(
    story: Story, instructions: SqlInstructions, statements: list[LoggedQuery]
) -> None:
    conversation = await story.conversation()
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, conversation.id)
        assert tree is not None
        await tree.instruct("Conversation.")
    await instructions.say(story.owner, "User.")
    await publish(instructions, story, Publication(InstructionScope.ENDPOINT, "llama", "Model.", 0))
    await publish(instructions, story, Publication(InstructionScope.ROLE, "USER", "Role.", 0))
    await publish(instructions, story, PLATFORM)
    await publish(instructions, story, replace(PLATFORM, text="Be brief.", expected_version=1))
    statements.clear()
    layers = await instructions.in_force(story.owner, LLAMA, conversation.id)
    assert len(statements) == 1
    assert [(layer.ref.scope.name, layer.ref.version, layer.text) for layer in layers] == [
        ("PLATFORM", 2, "Be brief."),
        ("ROLE", 1, "Role."),
        ("ENDPOINT", 1, "Model."),
        ("USER", 1, "User."),
        ("CONVERSATION", 1, "Conversation."),
    ]
    assert all(layer.ref.sha256 == sha256_of(layer.text) for layer in layers)


async def test_the_layers_of_a_reply_are_rebuilt_from_the_versions_that_it_names(
    story: Story, instructions: SqlInstructions
) -> None:
    service = Instructions(instructions, Models([], OneServer(FakeModel())))
    conversation = await story.conversation()
    await instructions.say(story.owner, "Rhyme.")
    await publish(instructions, story, PLATFORM)
    given = await service.layers(story.owner, LLAMA, conversation.id, request="Shout.")
    await instructions.say(story.owner, "")
    await publish(instructions, story, replace(PLATFORM, text="Be brief.", expected_version=1))
    assert await service.given([layer.ref for layer in given], "Shout.") == given
    now = await service.layers(story.owner, LLAMA, conversation.id)
    assert [layer.text for layer in now] == ["Be brief."]


async def test_what_opens_a_conversation_is_named_as_it_will_be_stored(
    story: Story, instructions: SqlInstructions
) -> None:
    service = Instructions(instructions, Models([], OneServer(FakeModel())))
    conversation = ConversationId(WORLD.new_id())
    foretold = await service.layers(story.owner, LLAMA, conversation, opening="Rhyme.")
    async with story.conversations.writing() as writing:
        await writing.open(replace(await story.conversation(), id=conversation), "Rhyme.")
    assert await service.layers(story.owner, LLAMA, conversation) == foretold


async def test_of_processes_that_replace_one_version_one_does_it(story: Story, database_url: str) -> None:
    published = await raced(*[("publish", database_url, story.owner, 20)] * 3)
    assert sum(map(int, published)) == 20
    versions = await story.database.fetch("SELECT version FROM instructions ORDER BY version")
    assert [row["version"] for row in versions] == list(range(1, 21))


async def test_whoever_says_at_once_says_one_after_the_other(story: Story, instructions: SqlInstructions) -> None:
    await asyncio.gather(*(instructions.say(story.owner, f"{n}") for n in range(20)))
    versions = await story.database.fetch("SELECT version, text FROM instructions ORDER BY version")
    assert [row["version"] for row in versions] == list(range(1, 21))
    assert await instructions.own(story.owner) == versions[-1]["text"]


async def test_a_version_is_never_edited(story: Story, instructions: SqlInstructions) -> None:
    await publish(instructions, story, PLATFORM)
    for change in ("text = 'Be loud.'", "version = 2", "key = 'x'", "sha256 = ''", "scope = 'ROLE'"):
        with pytest.raises(asyncpg.RestrictViolationError):
            await story.database.execute(f"UPDATE instructions SET {change}")


async def test_a_deleted_conversations_instructions_go_with_it(story: Story, instructions: SqlInstructions) -> None:
    conversation = await story.conversation()
    async with story.conversations.writing() as writing:
        tree = await writing.lock(story.owner, conversation.id)
        assert tree is not None
        await tree.instruct("Rhyme.")
        await tree.instruct("Shout.")
        await writing.delete(story.owner, conversation.id, NOW)
    await publish(instructions, story, PLATFORM)
    await story.conversations.purge_deleted(100)
    left = await story.database.fetch("SELECT scope FROM instructions")
    assert [row["scope"] for row in left] == ["PLATFORM"]


async def test_the_same_again_is_no_new_version_and_none_takes_back(
    story: Story, instructions: SqlInstructions
) -> None:
    conversation = await story.conversation()
    for text in ("Rhyme.", "Rhyme.", None, None, "Rhyme."):
        async with story.conversations.writing() as writing:
            tree = await writing.lock(story.owner, conversation.id)
            assert tree is not None
            await tree.instruct(text)
        assert await instructions.of_conversations([conversation.id]) == ({conversation.id: text} if text else {})
    versions = await story.database.fetch("SELECT text FROM instructions ORDER BY version")
    assert [row["text"] for row in versions] == ["Rhyme.", "", "Rhyme."]


async def test_only_published_ones_are_listed_and_found(story: Story, instructions: SqlInstructions) -> None:
    await instructions.say(story.owner, "Rhyme.")
    published = await publish(instructions, story, PLATFORM)
    ids = [row["id"] for row in await story.database.fetch("SELECT id FROM instructions")]
    assert await instructions.by_id(ids) == {published.id: published}
    assert (await instructions.published(PUBLISHED, PageArgs(), history=True)).nodes == [published]
