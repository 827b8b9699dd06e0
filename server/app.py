"""The Litestar application: routes around the composed whole, which lives as long as the app's lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from litestar import Litestar, Request, Response

import schema
from domain.errors import ServerDraining
from domain.throttle import Call
from domain.user import Viewer
from resolvers.context import Context
from server.compose import Gus, composed
from server.contract import contract_handlers
from server.graphiql import GraphiQL, load_graphiql
from server.graphql import BadDocuments, Get, GraphQLTransport, TransportLimits
from server.health import health_handlers
from server.hosts import Hosts
from server.models_file import Catalogue
from server.node import Worker
from server.settings import Settings
from server.throttle import Throttle
from server.throttle.addresses import Addresses
from server.trusted import read_trusted_documents, refused


@dataclass(slots=True)
class Running:
    """What the routes reach, from the lifespan's start to its end, and whoever has to end it cleanly."""

    opened: Gus | None = None
    transport: GraphQLTransport | None = None
    draining: bool = False

    @property
    def gus(self) -> Gus:
        """Raises ServerDraining outside the lifespan."""
        if self.opened is None:
            raise ServerDraining
        return self.opened

    async def authenticate(self, secret: str) -> Viewer:
        return await self.gus.services.users.authenticate(secret)

    def make_context(self, viewer: Viewer | None, call: Call) -> Context:
        return Context(self.gus.services, viewer, call)

    async def database_answers(self) -> None:
        await self.gus.database.fetchrow("SELECT 1")

    async def is_open(self) -> None:
        """Raises ServerDraining."""
        if self.draining:
            raise ServerDraining

    async def drain(self) -> None:
        """From now on it is not ready and takes no sends; all else is served. Returns when the runs have ended, their
        followers have been told, and those who still follow have been asked to resume elsewhere."""
        self.draining = True
        if self.opened is not None and self.transport is not None:
            await self.opened.runs.drain()
            await self.transport.quiet()
            await self.transport.drain()


def create_app(
    settings: Settings, *, database_url: str, catalogue: Catalogue, worker: Worker, running: Running | None = None
) -> Litestar:
    """`running`: for whoever will drain it."""
    running = running or Running()
    graphiql = load_graphiql(settings.dev_key)
    addresses = Addresses(settings.trusted_proxies)
    transport = running.transport = _transport(settings, running, graphiql, addresses)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with composed(settings, database_url, catalogue, worker) as gus:
            running.opened = gus
            yield
            await transport.drain()
            running.opened = None

    return Litestar(
        route_handlers=[
            *transport.routes(),
            *(graphiql.routes() if settings.shows_graphiql else ()),
            *(contract_handlers() if settings.tells_its_contract else ()),
            *health_handlers({"open": running.is_open, "database": running.database_answers}),
        ],
        lifespan=[lifespan],
        middleware=[Hosts(settings.hosts, addresses).middleware],
        openapi_config=None,
        logging_config=None,
    )


def _transport(settings: Settings, running: Running, graphiql: GraphiQL, addresses: Addresses) -> GraphQLTransport:
    def page(request: Request[Any, Any, Any]) -> Response[Any]:
        return graphiql.page(request.scope)

    try:
        return GraphQLTransport(
            schema=schema.build(),
            authenticate=running.authenticate,
            make_context=running.make_context,
            limits=TransportLimits(connections_per_address=settings.most_connections_per_address),
            html=page if settings.shows_graphiql else None,
            introspection=settings.tells_its_contract,
            allowed_origins=frozenset(settings.allowed_origins),
            edge=Throttle(settings.allowances, addresses),
            trusted=read_trusted_documents(settings),
            get=Get(settings.queries_by_get),
        )
    except BadDocuments as error:
        raise refused(settings, error.problems) from None
