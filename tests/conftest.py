"""A real PostgreSQL for the whole run, and a fresh database, cloned from a migrated one, for each test that asks."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from repositories.database import Database, open_database
from repositories.migrate import migrate
from tests.postgres import start_test_postgres

TEMPLATE = "gus_template"


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """How far a long proof has come, past pytest. Of the processes of pytest-xdist only stderr is a terminal's."""

    def say(progress: str) -> None:
        with capfd.disabled():
            print(f"\n{progress}", end="", flush=True, file=sys.stderr)

    return say


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with start_test_postgres() as url:
        yield url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    asyncio.run(_make_template(postgres_url))
    return TEMPLATE


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """Without a schema."""
    async for url in _fresh(postgres_url, "template1"):
        yield url


@pytest.fixture
async def database_url(postgres_url: str, template: str) -> AsyncIterator[str]:
    async for url in _fresh(postgres_url, template):
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, pool_size=10) as database:
        yield database


async def _make_template(url: str) -> None:
    await _execute(url, f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {TEMPLATE}")
    await migrate(named(url, TEMPLATE))


async def _fresh(url: str, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    await _execute(url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield named(url, name)
    finally:
        await _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
