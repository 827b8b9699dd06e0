import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import pytest

from tests.conftest import named
from tests.e2e.client import Client
from tests.e2e.scripted import Scripted, script, scripted_models
from tests.e2e.served import Served, placed, serving

TREE = ["Ein", " 🌳", " ist", " ein", " 🌱", ",", " das", " 🌞", " sah", " 😀", "."]


@dataclass(frozen=True, slots=True)
class Flavour:
    served: Served
    question: str


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted_models(tmp_path_factory.mktemp("models")) as scripted:
        yield scripted


@pytest.fixture(scope="session")
def lasting_database_url(postgres_url: str, template: str) -> Iterator[str]:
    name = f"e2e_{uuid4().hex}"
    asyncio.run(_execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield named(postgres_url, name)
    asyncio.run(_execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def elsewhere(lasting_database_url: str, scripted: Scripted) -> dict[str, str]:
    """The settings of any number of processes on one PostgreSQL and one model server, neither of which is theirs."""
    return {
        "database_url": lasting_database_url,
        "models": str(scripted.catalogue),
        "secret_key": uuid4().hex,
        "dev_key": f"gus_{uuid4().hex}",
        "grace_seconds": "2",
        "lease_seconds": "3",
    }


@pytest.fixture(scope="session")
def served_elsewhere(elsewhere: dict[str, str]) -> Iterator[Served]:
    """Not to be stopped: for all tests."""
    with serving(**elsewhere) as served:
        yield served


@pytest.fixture(scope="module")
def mortal(elsewhere: dict[str, str]) -> Iterator[Served]:
    """Another process, for tests that end it. One that begins with it must first see to it that it runs."""
    with placed(**elsewhere) as served:
        yield served


@pytest.fixture(scope="session")
def served_embedded() -> Iterator[Served]:
    """With a PostgreSQL and a model of its own. Not to be stopped: for all tests."""
    with serving() as served:
        yield served


@pytest.fixture(params=["embedded", "elsewhere"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    if request.param == "embedded":
        return Flavour(request.getfixturevalue("served_embedded"), "What is a tree?")
    return Flavour(request.getfixturevalue("served_elsewhere"), script(say=TREE, delay_ms=40))


@pytest.fixture
async def client(served_elsewhere: Served) -> AsyncIterator[Client]:
    async with served_elsewhere.client() as client:
        yield client


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
