from collections.abc import AsyncIterator

import pytest
from asyncpg.connection import LoggedQuery

from repositories.database import Database, open_database
from tests.repositories.story import Story


@pytest.fixture
def statements() -> list[LoggedQuery]:
    """Every round trip to the database, as it is made."""
    return []


@pytest.fixture
async def database(database_url: str, statements: list[LoggedQuery]) -> AsyncIterator[Database]:
    async with open_database(database_url, 10, statements.append) as database:
        yield database


@pytest.fixture
async def story(database: Database) -> Story:
    return await Story.begun(database)
