"""The stage: one process of gus in production mode, an attacker, and a second client who does nothing wrong."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg

from domain.user import Role, Users
from domain.world import RealWorld
from repositories.database import open_database
from repositories.migrate import migrate
from repositories.user import SqlUsers
from resolvers.node import encode
from tests.e2e.scripted import scripted_models
from tests.e2e.served import Served, serving
from tests.load.planting import plant_line
from tests.postgres import start_test_postgres

ROWS = 10_000
# The edge would refuse the attacker before anything that is to be shown here is reached.
NO_EDGE = dict.fromkeys(("requests_per_address", "requests_per_credential", "cost_per_credential"), "1000000000")


@dataclass(frozen=True, slots=True)
class Stage:
    """`conversation`: the attacker's own, with ROWS messages. `bystander`: the key of another user."""

    served: Served
    attacker: str
    bystander: str
    conversation: str

    @property
    def origin(self) -> str:
        return self.served.origin

    def memory_mb(self) -> float:
        resident: int = self.served.family()[0].memory_info().rss
        return resident / 1024**2

    def log_bytes(self) -> int:
        return len(self.served.output.encode())


@contextmanager
def staged() -> Iterator[Stage]:
    with ExitStack() as stack:
        url = stack.enter_context(start_test_postgres())
        secret = uuid4().hex + uuid4().hex
        attacker, bystander, conversation = asyncio.run(_prepared(url, secret))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gus-attacks-")))
        models = stack.enter_context(scripted_models(folder))
        settings = {"env": "production", "database_url": url, "secret_key": secret, "models": str(models.catalogue)}
        served = stack.enter_context(serving(**settings, **NO_EDGE, connections_per_address="150"))
        yield Stage(served, attacker, bystander, conversation)


async def _prepared(url: str, secret: str) -> tuple[str, str, str]:
    """The two keys, and the conversation's id."""
    await migrate(url)
    async with open_database(url, 2) as database:
        users = Users(SqlUsers(database), RealWorld(), secret)
        made = [await users.create_user(name, Role.USER) for name in ("Attacker", "Bystander")]
        keys = [(await users.issue_key(user.id, "attacks", can_manage=False)).secret for user in made]
    connection = await asyncpg.connect(url)
    try:
        planted = await plant_line(connection, made[0].id, ROWS)
    finally:
        await connection.close()
    return keys[0], keys[1], encode("Conversation", planted.id)
