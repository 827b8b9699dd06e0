"""How reading and extending a path depend on the conversation's size: `python -m tests.load.path_depth`.

All trees stand in one database, and their calls take turns.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

import asyncpg

from domain.message import Message
from domain.page import PageArgs
from domain.world import ConversationId
from repositories.database import open_database
from repositories.migrate import migrate
from tests.load.planting import Planted, plant_line, plant_regenerated
from tests.postgres import start_test_postgres
from tests.repositories.story import Story, draft

SMALL, LARGE, FORKS = 1_000, 100_000, 50_000
ROUNDS = 200

Call = Callable[[], Awaitable[object]]


async def main() -> None:
    with start_test_postgres() as url:
        await migrate(url)
        async with open_database(url, 4) as database:
            story = await Story.begun(database)
            trees = await plant(url, story)
            calls = [await calls_on(story, tree) for tree in trees]
            print(f"| median of {ROUNDS}, ms | {SMALL:,} messages | {LARGE:,} messages | ratio | {FORKS:,} forks |")
            print("|---|---|---|---|---|")
            for name in calls[0]:
                small, large, worst = await medians([of_tree[name] for of_tree in calls])
                print(f"| {name} | {small:.2f} | {large:.2f} | {large / small:.2f} | {worst:.2f} |")


async def plant(url: str, story: Story) -> list[Planted]:
    connection = await asyncpg.connect(url)
    try:
        small = await plant_line(connection, story.owner, SMALL)
        large = await plant_line(connection, story.owner, LARGE)
        worst = await plant_regenerated(connection, story.owner, FORKS)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return [small, large, worst]


async def calls_on(story: Story, tree: Planted) -> dict[str, Call]:
    messages, owner = story.messages, story.owner
    leaf = await story.message(tree.leaf)
    [fiftieth] = await messages.ancestors(owner, leaf.id, skip=50, limit=1)
    upwards = PageArgs(50, backward=True, before=str(fiftieth.id))
    return {
        "path(last: 50)": lambda: messages.path(owner, leaf, PageArgs(50, backward=True)),
        "path(last: 50, before: the 51st)": lambda: messages.path(owner, leaf, upwards),
        "path(first: 50)": lambda: messages.path(owner, leaf, PageArgs(50)),
        "the window's first 100 (`ancestors`)": lambda: messages.ancestors(owner, leaf.id, skip=0, limit=100),
        "the leaf below the first message": lambda: messages.leaves_below(owner, [tree.first]),
        "leaves(first: 20)": lambda: messages.leaves(owner, tree.id, PageArgs(20)),
        "a message added, in its transaction": Growing(story, tree.id, leaf).grow,
    }


class Growing:
    def __init__(self, story: Story, conversation_id: ConversationId, leaf: Message) -> None:
        self._story, self._conversation_id, self._leaf = story, conversation_id, leaf

    async def grow(self) -> None:
        async with self._story.conversations.writing() as writing:
            tree = await writing.lock(self._story.owner, self._conversation_id)
            assert tree is not None
            [self._leaf] = (await tree.grow([draft("one more")], self._leaf)).messages


async def medians(calls: list[Call]) -> list[float]:
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, times in zip(calls, took, strict=True):
            began = time.perf_counter()
            await call()
            times.append((time.perf_counter() - began) * 1000)
    return [median(times) for times in took]


if __name__ == "__main__":
    asyncio.run(main())
