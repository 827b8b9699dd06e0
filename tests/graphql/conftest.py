"""The composed whole on a real PostgreSQL and a scripted model server, and front ends of several users."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import strawberry
from litestar import Litestar

import schema
from domain.user import Role
from providers.counting import Counting
from providers.openai import ServerConfig
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.front_end import FrontEnd
from tests.graphql.models import MODELS, PROVIDERS
from tests.graphql.process import new_user, process, served
from tests.model_server import ModelServer

# Ten times what it may take elsewhere: a server that is slow to count is not waited for, and here all are slow at times.
COUNT_TIMEOUT = timedelta(seconds=3)


@pytest.fixture(scope="session")
def built() -> strawberry.Schema:
    return schema.build()


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # No grace: what a test leaves running is interrupted at its end.
    # No titles: who counts requests and events counts only what he asked for.
    return Settings(data_dir=tmp_path, secret_key="0123456789abcdef" * 2, grace_seconds=0, titles="off")


@pytest.fixture
def catalogue(model_server: ModelServer) -> Catalogue:
    """Several model servers by their names, one in truth."""
    return Catalogue(MODELS, tuple(_server(name, model_server) for name in PROVIDERS))


def _server(name: str, model_server: ModelServer) -> ServerConfig:
    counts = Counting.LLAMA_CPP if name == "counting" else None
    return ServerConfig(name, model_server.base_url, counts=counts, count_timeout=COUNT_TIMEOUT)


@pytest.fixture
async def gus(database_url: str, settings: Settings, catalogue: Catalogue) -> AsyncIterator[Gus]:
    async with process(database_url, settings, catalogue) as gus:
        yield gus


@pytest.fixture
def app(gus: Gus, built: strawberry.Schema) -> Litestar:
    return served(gus, built)


@pytest.fixture
async def ada(gus: Gus, app: Litestar) -> FrontEnd:
    """Her key may manage keys."""
    return FrontEnd(app, await new_user(gus, "Ada", can_manage=True))


@pytest.fixture
async def bob(gus: Gus, app: Litestar) -> FrontEnd:
    """His may not."""
    return FrontEnd(app, await new_user(gus, "Bob", can_manage=False))


@pytest.fixture
async def grace(gus: Gus, app: Litestar) -> FrontEnd:
    """She is an admin."""
    return FrontEnd(app, await new_user(gus, "Grace", can_manage=False, role=Role.ADMIN))


@pytest.fixture
def visitor(app: Litestar) -> FrontEnd:
    return FrontEnd(app, None)
