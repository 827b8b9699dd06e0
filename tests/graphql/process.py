"""All that one process is, but for its port: any number of them on one database."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import strawberry
from litestar import Litestar

from domain.user import Role
from resolvers.context import Context
from server.compose import Gus, composed
from server.graphql import GraphQLTransport, TransportLimits
from server.graphql.edge import Edge
from server.models_file import Catalogue
from server.node import Worker
from server.settings import Settings
from server.throttle import Allowances, Throttle
from server.throttle.addresses import Addresses
from tests.graphql.front_end import note

GENEROUS = Allowances(1_000_000, 1_000_000, 1_000_000_000)


def process(database_url: str, settings: Settings, catalogue: Catalogue) -> AbstractAsyncContextManager[Gus]:
    return composed(settings, database_url, catalogue, Worker(uuid4()), query_logger=note)


def served(
    gus: Gus,
    built: strawberry.Schema,
    allowances: Allowances | None = None,
    *,
    limits: TransportLimits | None = None,
    trusted_proxies: Sequence[str] = (),
    edge: Edge | None = None,
) -> Litestar:
    transport = GraphQLTransport(
        schema=built,
        authenticate=gus.services.users.authenticate,
        make_context=lambda viewer, call: Context(gus.services, viewer, call),
        limits=limits,
        introspection=True,
        edge=edge or Throttle(allowances or GENEROUS, Addresses(trusted_proxies)),
    )
    return Litestar(transport.routes(), openapi_config=None, logging_config=None)


async def new_user(gus: Gus, name: str, *, can_manage: bool, role: Role = Role.USER) -> str:
    """The secret of the user's key."""
    user = await gus.services.users.create_user(name, role)
    return (await gus.services.users.issue_key(user.id, "first", can_manage=can_manage)).secret
