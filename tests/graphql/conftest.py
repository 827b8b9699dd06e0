"""The composed whole on a real PostgreSQL and a scripted model server, and front ends of several users."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import strawberry
from litestar import Litestar

import schema
from domain.model import Model, ModelCapability, ModelKey
from domain.user import Role
from providers.openai import ServerConfig
from resolvers.context import Context
from server.compose import Gus, composed
from server.graphql import GraphQLTransport
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.front_end import FrontEnd, note
from tests.model_server import ModelServer


@pytest.fixture(scope="session")
def built() -> strawberry.Schema:
    return schema.build()


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
async def gus(database_url: str, model_server: ModelServer, tmp_path: Path) -> AsyncIterator[Gus]:
    # No grace: what a test leaves running is interrupted at its end.
    settings = Settings(data_dir=tmp_path, secret_key="0123456789abcdef" * 2, grace_seconds=0)
    catalogue = Catalogue(
        models=(
            model("scripted"),
            model("small", context_window=64, max_output_tokens=16),
            model("other"),
            model("retired", retired=True),
        ),
        servers=(ServerConfig(name="here", base_url=model_server.base_url),),
    )
    async with composed(settings, database_url, catalogue, query_logger=note) as gus:
        yield gus


@pytest.fixture
def app(gus: Gus, built: strawberry.Schema) -> Litestar:
    transport = GraphQLTransport(
        schema=built,
        authenticate=gus.services.users.authenticate,
        make_context=lambda viewer: Context(gus.services, viewer),
        introspection=True,
    )
    return Litestar(transport.routes(), openapi_config=None, logging_config=None)


@pytest.fixture
async def ada(gus: Gus, app: Litestar) -> FrontEnd:
    """Her key may manage keys."""
    return FrontEnd(app, await new_user(gus, "Ada", can_manage=True))


@pytest.fixture
async def bob(gus: Gus, app: Litestar) -> FrontEnd:
    """His may not."""
    return FrontEnd(app, await new_user(gus, "Bob", can_manage=False))


@pytest.fixture
def visitor(app: Litestar) -> FrontEnd:
    return FrontEnd(app, None)


async def new_user(gus: Gus, name: str, *, can_manage: bool) -> str:
    """The secret of the user's key."""
    user = await gus.services.users.create_user(name, Role.USER)
    return (await gus.services.users.issue_key(user.id, "first", can_manage=can_manage)).secret


def model(
    key: str, *, context_window: int = 65_536, max_output_tokens: int | None = None, retired: bool = False
) -> Model:
    return Model(
        key=ModelKey(key),
        provider="here",
        name_at_provider="scripted",
        display_name=key.title(),
        context_window=context_window,
        max_output_tokens=max_output_tokens,
        capabilities=frozenset({ModelCapability.STREAMING, ModelCapability.CONTINUE}),
        input_price_per_million=Decimal("0.25"),
        output_price_per_million=Decimal("1.5"),
        retired=retired,
    )
