"""Brings a database's schema up to date, once, however many processes try."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget
from tortoise.migrations.schema_editor import AsyncpgSchemaEditor
from tortoise.transactions import in_transaction

from repositories.errors import errors_of_the_domain
from repositories.pool import tortoise_config

NOTHING = "__first__"
EVERYTHING = "__latest__"
_LOCK = 0x6775735F6D696772  # "gus_migr"


async def migrate(url: str) -> list[str]:
    """The names of the migrations applied; all or none. Raises Unavailable."""
    return await move_to(url, EVERYTHING)


async def pending(url: str) -> list[str]:
    """The names of the migrations that `migrate` would apply. Raises Unavailable."""
    async with _client(url) as client:
        await client.execute_query("SELECT 1")  # Tortoise takes a database that does not answer for an empty one
        return [step.migration.name for step in await _executor(client).plan()]


async def move_to(url: str, target: str) -> list[str]:
    """The names of the migrations applied, or taken back, on the way to `target`: a name, EVERYTHING or NOTHING."""
    async with _client(url), in_transaction() as client:
        # Held to the end of the transaction, so that it works behind a transaction pooler too.
        await client.execute_query(f"SELECT pg_advisory_xact_lock({_LOCK})")
        executor, moved = _executor(client), list[str]()
        # Tortoise asks what is applied before it makes the table for it, and a failed question ends the transaction.
        await executor.recorder.ensure_schema(AsyncpgSchemaEditor(client, atomic=False))
        await executor.migrate([MigrationTarget("gus", target)], progress=_noting_in(moved))
        return moved


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[BaseDBAsyncClient]:
    with errors_of_the_domain():
        async with TortoiseContext() as context:
            await context.init(config=tortoise_config(url, longest=None))
            yield context.db()


def _executor(client: BaseDBAsyncClient) -> MigrationExecutor:
    return MigrationExecutor(client, tortoise_config("")["apps"])


def _noting_in(names: list[str]) -> Callable[[str, str, str], None]:
    def note(event: str, app: str, name: str) -> None:
        if event.endswith("_done"):
            names.append(name)

    return note
