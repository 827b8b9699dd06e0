"""Other processes that do to the same database what a test tells them: `python -m tests.repositories.racing ...`."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from uuid import UUID

from domain.conversation.store import Remembered
from domain.world import ConversationId, MessageId, UserId
from repositories.database import open_database
from repositories.migrate import migrate
from tests.repositories.story import Story, draft


async def raced(*racers: tuple[object, ...]) -> list[str]:
    """What each process printed."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.repositories.racing", *map(str, racer), stdout=asyncio.subprocess.PIPE
        )
        for racer in racers
    ]
    outputs = [(await process.communicate())[0].decode().strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(racers)
    return outputs


async def apply(url: str) -> int:
    return len(await migrate(url))


async def reply(url: str, owner: str, conversation: str, parent: str, count: str) -> int:
    """`count` replies to one message, all at once."""
    async with open_database(url, 10) as database:
        story = Story(database, UserId(UUID(owner)))
        message = await story.message(MessageId(UUID(parent)))
        conversation_id = ConversationId(UUID(conversation))
        added = await asyncio.gather(*(story.say(conversation_id, message, f"{n}") for n in range(int(count))))
    return len(added)


async def send(url: str, owner: str, conversation: str, key: str, tries: str) -> int:
    """The same mutation `tries` times at once; answers how often it was done."""
    async with open_database(url, 10) as database:
        story = Story(database, UserId(UUID(owner)))
        done = await asyncio.gather(
            *(send_once(story, ConversationId(UUID(conversation)), key) for _ in range(int(tries)))
        )
    return sum(done)


async def send_once(story: Story, conversation_id: ConversationId, key: str) -> bool:
    async with story.conversations.writing() as writing:
        if not await writing.remember(story.owner, key, Remembered(b"print", {"conversation": conversation_id})):
            return False
        tree = await writing.lock(story.owner, conversation_id)
        assert tree is not None
        await tree.activate((await tree.add([draft("once")], None))[0], draft("").received_at)
        return True


if __name__ == "__main__":
    doing: dict[str, Callable[..., Coroutine[None, None, int]]] = {"apply": apply, "reply": reply, "send": send}
    print(asyncio.run(doing[sys.argv[1]](*sys.argv[2:])))
