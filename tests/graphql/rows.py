"""All that the database holds, to see that nothing was changed."""

from collections.abc import Awaitable
from typing import TypeVar

from repositories.database import Database
from server.compose import Gus

T = TypeVar("T")

TABLES = (
    "users",
    "guest_days",
    "models",
    "idempotency_keys",
    "conversations",
    "branches",
    "messages",
    "feedback",
    "generations",
    "generation_events",
    "conversation_events",
    "generations",
    "generation_events",
    "instructions",
    "quota_windows",
    "quota_overrides",
    "ledger_entries",
)


async def contents(database: Database) -> dict[str, list[str]]:
    """Of API keys only which there are: that one is used is noted in it."""
    rows = {table: await _texts(database, f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES}
    return {**rows, "api_keys": await _texts(database, "SELECT id::text FROM api_keys ORDER BY 1")}


async def everything(database: Database) -> dict[str, list[str]]:
    """Of every table there is, but for the use of API keys."""
    tables = await _texts(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    rows = {table: await _texts(database, f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables}
    return {**rows, "api_keys": await _texts(database, "SELECT id::text FROM api_keys ORDER BY 1")}


async def counts(database: Database) -> dict[str, int]:
    return {table: len(rows) for table, rows in (await contents(database)).items()}


async def unchanged(gus: Gus, asking: Awaitable[T]) -> T:
    """What it answers, after a look at every row."""
    before = await contents(gus.database)
    answered = await asking
    assert await contents(gus.database) == before
    return answered


async def _texts(database: Database, sql: str) -> list[str]:
    return [row[0] for row in await database.fetch(sql)]
