from domain.page import PageArgs
from tests.repositories.story import NOW, Story

TABLES = ("conversations", "branches", "messages", "generations", "generation_events")


async def test_a_deleted_conversation_is_purged_in_small_batches(story: Story) -> None:
    kept = await story.run((await story.conversation()).id)
    before = await counted(story)
    conversation = await story.conversation()
    for _ in range(3):
        run = await story.run(conversation.id)
        await story.say(conversation.id, await story.message(run.reply_id), "below")
        await story.say(conversation.id, await story.message(run.reply_id), "beside")
        await story.finish(await story.write(run, "A tree"), "A tree")
    async with story.conversations.writing() as writing:
        await writing.delete(story.owner, conversation.id, NOW)
    assert [await story.conversations.purge_deleted(5) for _ in range(4)] == [5, 5, 3, 0]
    assert await counted(story) == before
    assert (await story.generation(kept.id)) == kept


async def test_several_deleted_conversations_share_a_batch(story: Story) -> None:
    for _ in range(3):
        conversation = await story.conversation()
        await story.say(conversation.id, None, "a")
        async with story.conversations.writing() as writing:
            await writing.delete(story.owner, conversation.id, NOW)
    assert await story.conversations.purge_deleted(100) == 6
    assert await counted(story) == [0] * 5


async def test_a_conversation_waits_for_its_runs_to_end(story: Story) -> None:
    conversation = await story.conversation()
    run = await story.run(conversation.id)
    async with story.conversations.writing() as writing:
        await writing.delete(story.owner, conversation.id, NOW)
    assert await story.conversations.purge_deleted(100) == 0
    await story.finish(run, "")
    assert await story.conversations.purge_deleted(100) == 3


async def test_what_is_not_deleted_stays(story: Story) -> None:
    conversation = await story.conversation()
    [message] = await story.say(conversation.id, None, "a")
    assert await story.conversations.purge_deleted(100) == 0
    assert len((await story.messages.path(story.owner, message, PageArgs())).nodes) == 1


async def counted(story: Story) -> list[int]:
    rows = [await story.database.fetchrow(f"SELECT count(*) FROM {table}") for table in TABLES]
    return [row["count"] for row in rows if row]
