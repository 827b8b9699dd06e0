"""How what a turn costs depends on the turns before it: `python -m tests.load.turns`.

Whole sends of one composed process, PostgreSQL and a model server included; each is said below the same message, so that a
conversation keeps its length. The conversations stand in one database, and their turns take turns.
"""

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import asyncpg

from domain.conversation.commands import SendMessage
from domain.generation.entity import GenerationSettings
from domain.model import ModelKey
from domain.user import Viewer
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

LENGTHS = (10, 1_000, 100_000)
ROUNDS = 300
# Of ten of the planted messages, and of a hundred and fifty.
WINDOWS = {ModelKey("narrow"): 700, ModelKey("wide"): 8_192}


@dataclass(frozen=True, slots=True)
class Turn:
    """In milliseconds: until the send was answered, and until the reply had ended."""

    answered: float
    ended: float


async def main() -> None:
    with start_test_postgres() as url, TemporaryDirectory() as folder:
        await migrate(url)
        async with ModelServer() as server:
            models = [model(key, context_window=window, max_output_tokens=64) for key, window in WINDOWS.items()]
            catalogue = Catalogue(tuple(models), (ServerConfig("here", server.base_url),))
            settings = Settings(data_dir=Path(folder), secret_key="0123456789abcdef" * 2, titles="off")
            async with process(url, settings, catalogue) as gus:
                await measure(gus, url)


async def measure(gus: Gus, url: str) -> None:
    viewer = await gus.services.users.authenticate(await new_user(gus, "Ada", can_manage=False))
    planted = await plant(url, viewer)
    lengths = " | ".join(f"{length:,} messages" for length in LENGTHS)
    print(f"| median of {ROUNDS}, ms | {lengths} | ratio |\n|---|{'---|' * len(LENGTHS)}---|")
    for key, window in WINDOWS.items():
        turns = await in_turns(gus, viewer, planted, key)
        for name, took in (
            ("answered", [median(turn.answered for turn in each) for each in turns]),
            ("the reply's end", [median(turn.ended for turn in each) for each in turns]),
        ):
            figures = " | ".join(f"{each:.2f}" for each in took)
            print(f"| a send until {name}, window of {window:,} tokens | {figures} | {took[-1] / took[0]:.2f} |")


async def plant(url: str, viewer: Viewer) -> list[Planted]:
    connection = await asyncpg.connect(url)
    try:
        # The longest first: what checks its references is planned once, and on a small table it would be a scan.
        planted = [await plant_line(connection, viewer.id, length) for length in LENGTHS[::-1]]
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return planted[::-1]


async def in_turns(gus: Gus, viewer: Viewer, planted: list[Planted], key: ModelKey) -> list[list[Turn]]:
    took: list[list[Turn]] = [[] for _ in planted]
    for number in range(ROUNDS):
        for tree, turns in zip(planted, took, strict=True):
            asked = SendMessage(
                text=script(words=3),
                idempotency_key=f"{key} {tree.id} {number}",
                conversation=tree.id,
                parent=tree.leaf,
                settings=GenerationSettings(model=key),
            )
            turns.append(await say(gus, viewer, asked))
    return took


async def say(gus: Gus, viewer: Viewer, command: SendMessage) -> Turn:
    began = time.perf_counter()
    sent = await gus.services.sends.send(viewer, command)
    answered = time.perf_counter()
    async with aclosing(gus.services.generations.follow(viewer, sent.generation.id, 0, snapshot=False)) as events:
        async for _ in events:
            continue
    return Turn((answered - began) * 1000, (time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    asyncio.run(main())
