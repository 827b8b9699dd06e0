"""How what a turn costs depends on the turns before it: `python -m tests.load.turns`.

Whole sends of one composed process, PostgreSQL and a model server included; each is said below the same message, so that a
conversation keeps its length. The conversations stand in one database, and their turns take turns. What a model is given
costs what it is long, however long the conversation is; so the conversations that are compared consist of messages of one
length, of which each window holds the same number: the requests differ in nothing, and this is checked.
"""

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg

from domain.conversation.commands import SendMessage
from domain.generation.entity import GenerationSettings
from domain.model import ModelKey
from domain.user import Viewer
from domain.world import GenerationId
from providers.openai import ServerConfig
from repositories.migrate import migrate
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.front_end import script
from tests.graphql.models import model
from tests.graphql.process import new_user, process
from tests.load.planting import Planted, plant_line
from tests.model_server import ModelServer
from tests.postgres import start_test_postgres

LENGTHS = (1_000, 100_000)
ROUNDS = 300


@dataclass(frozen=True, slots=True)
class Sight:
    """A model with so many tokens to its window, which the newest `holds` messages fill to 70 %, each of so many words."""

    model: ModelKey
    window: int
    words: int
    holds: int


SIGHTS = (
    Sight(ModelKey("narrow"), 700, words=10, holds=10),
    Sight(ModelKey("wide"), 8_192, words=190, holds=10),
    Sight(ModelKey("crowded"), 8_192, words=16, holds=104),
)
# With the new message.
_GIVEN = """
SELECT DISTINCT (context->>'to_depth')::int - (context->>'from_depth')::int + 1 AS messages, estimated_input_tokens AS tokens
FROM generations WHERE model_key = $1 AND id = ANY($2)
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """In milliseconds: until the send was answered, and until the reply had ended."""

    run: GenerationId
    answered: float
    ended: float


async def main() -> None:
    with start_test_postgres() as url, TemporaryDirectory() as folder:
        await migrate(url)
        async with ModelServer() as server:
            models = [model(sight.model, context_window=sight.window, max_output_tokens=64) for sight in SIGHTS]
            catalogue = Catalogue(tuple(models), (ServerConfig("here", server.base_url),))
            settings = Settings(data_dir=Path(folder), secret_key="0123456789abcdef" * 2, titles="off")
            async with process(url, settings, catalogue) as gus:
                await measure(gus, url)


async def measure(gus: Gus, url: str) -> None:
    viewer = await gus.services.users.authenticate(await new_user(gus, "Ada", can_manage=False))
    planted = await plant(url, viewer)
    lengths = " | ".join(f"{length:,} messages" for length in LENGTHS)
    print(
        f"| median of {ROUNDS}, ms | what the window holds | {lengths} | ratio |\n|---|{'---|' * len(LENGTHS)}---|---|"
    )
    for sight in SIGHTS:
        turns = await in_turns(gus, viewer, planted[sight], sight.model)
        tokens = await given(gus, sight, [turn.run for each in turns for turn in each])
        what = f"{sight.holds} messages, {tokens:,} tokens, of a window of {sight.window:,}"
        for name, took in (
            ("answered", [median(turn.answered for turn in each) for each in turns]),
            ("the reply's end", [median(turn.ended for turn in each) for each in turns]),
        ):
            figures = " | ".join(f"{each:.2f}" for each in took)
            print(f"| a send until {name}: {what} | {figures} | {took[-1] / took[0]:.2f} |")


async def plant(url: str, viewer: Viewer) -> dict[Sight, list[Planted]]:
    """The longest first: what checks its references is planned once, and on a small table it would be a scan."""
    connection = await asyncpg.connect(url)
    try:
        planted = {sight: list[Planted]() for sight in SIGHTS}
        for sight in SIGHTS:
            for length in sorted((sight.holds, *LENGTHS), reverse=True):
                planted[sight].insert(0, await plant_line(connection, viewer.id, length, sight.words))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return planted


async def in_turns(gus: Gus, viewer: Viewer, planted: list[Planted], key: ModelKey) -> list[list[Turn]]:
    took: list[list[Turn]] = [[] for _ in planted]
    for _ in range(ROUNDS):
        for tree, turns in zip(planted, took, strict=True):
            asked = SendMessage(
                text=script(words=3),
                idempotency_key=str(uuid4()),
                conversation=tree.id,
                parent=tree.leaf,
                settings=GenerationSettings(model=key),
            )
            turns.append(await say(gus, viewer, asked))
    return took


async def given(gus: Gus, sight: Sight, runs: list[GenerationId]) -> int:
    """The tokens of every one of these requests, all of which hold as many messages."""
    rows = [tuple(row.values()) for row in await gus.database.fetch(_GIVEN, sight.model, runs)]
    assert [messages for messages, _ in rows] == [sight.holds + 1], rows
    return int(rows[0][1])


async def say(gus: Gus, viewer: Viewer, command: SendMessage) -> Turn:
    began = time.perf_counter()
    sent = await gus.services.sends.send(viewer, command)
    answered = time.perf_counter()
    async with aclosing(gus.services.generations.follow(viewer, sent.generation.id, 0, snapshot=False)) as events:
        async for _ in events:
            continue
    return Turn(sent.generation.id, (answered - began) * 1000, (time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    asyncio.run(main())
