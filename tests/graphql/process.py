"""All that one process is, but for its port: any number of them on one database."""

from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import strawberry
from litestar import Litestar

from domain.user import Role
from resolvers.context import Context
from server.compose import Gus, composed
from server.graphql import GraphQLTransport
from server.models_file import Catalogue
from server.node import Worker
from server.settings import Settings
from tests.graphql.front_end import note


def process(database_url: str, settings: Settings, catalogue: Catalogue) -> AbstractAsyncContextManager[Gus]:
    return composed(settings, database_url, catalogue, Worker(uuid4()), query_logger=note)


def served(gus: Gus, built: strawberry.Schema) -> Litestar:
    transport = GraphQLTransport(
        schema=built,
        authenticate=gus.services.users.authenticate,
        make_context=lambda viewer: Context(gus.services, viewer),
        introspection=True,
    )
    return Litestar(transport.routes(), openapi_config=None, logging_config=None)


async def new_user(gus: Gus, name: str, *, can_manage: bool, role: Role = Role.USER) -> str:
    """The secret of the user's key."""
    user = await gus.services.users.create_user(name, role)
    return (await gus.services.users.issue_key(user.id, "first", can_manage=can_manage)).secret
