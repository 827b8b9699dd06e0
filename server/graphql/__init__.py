"""The GraphQL transport: /graphql over HTTP, server-sent events and WebSocket."""

from collections.abc import Callable

import strawberry
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import Receive, Scope, Send

from domain.throttle import Call
from domain.user import Viewer
from server.graphql.admission import Authenticate
from server.graphql.connections import Connections
from server.graphql.documents import Documents
from server.graphql.edge import Edge, OpenEdge
from server.graphql.http import Get, HttpEndpoint, Page
from server.graphql.keeping import Keeper
from server.graphql.limits import TransportLimits
from server.graphql.persisted import BadDocuments, DocumentsByName, TrustedDocuments, problems_of
from server.graphql.run import Operations, graphql_schema
from server.graphql.socket import SocketEndpoint
from server.graphql.streams import Streams

__all__ = ["OPEN_FIELDS", "BadDocuments", "Get", "GraphQLTransport", "TransportLimits", "TrustedDocuments"]

OPEN_FIELDS = frozenset({"viewer", "models", "rateLimit", "startGuestSession", "__schema", "__type", "__typename"})


class GraphQLTransport:
    """Built once; raises BadDocuments. `make_context` is called for every operation, and for every event of a subscription: keep it cheap.

    `edge` is asked before a request, a handshake or an operation of a socket, which no middleware sees, is looked into.
    """

    def __init__(
        self,
        *,
        schema: strawberry.Schema,
        authenticate: Authenticate,
        make_context: Callable[[Viewer | None, Call], object],
        limits: TransportLimits | None = None,
        html: Page | None = None,
        introspection: bool = False,
        allowed_origins: frozenset[str] = frozenset(),
        open_fields: frozenset[str] = OPEN_FIELDS,
        edge: Edge | None = None,
        trusted: TrustedDocuments | None = None,
        get: Get = Get.ON,
    ) -> None:
        limits, edge, trusted = limits or TransportLimits(), edge or OpenEdge(), trusted or TrustedDocuments()
        self._make_context = make_context
        self._connections = Connections(limits.connections_per_user, limits.connections_per_address)
        keeper = Keeper(self._connections, limits)
        documents = Documents(graphql_schema(schema), limits, introspection=introspection)
        if problems := problems_of(trusted, documents):
            raise BadDocuments(problems)
        operations = Operations(
            schema=schema,
            documents=documents,
            by_name=DocumentsByName(documents, trusted),
            limits=limits,
            make_context=self._context,
            edge=edge,
            open_fields=open_fields,
            introspection=introspection,
        )
        self._http = HttpEndpoint(
            operations=operations,
            streams=Streams(self._connections, keeper),
            authenticate=authenticate,
            edge=edge,
            limits=limits,
            allowed_origins=allowed_origins,
            page=html,
            get=get,
        )
        self._socket = SocketEndpoint(
            operations=operations,
            connections=self._connections,
            keeper=keeper,
            authenticate=authenticate,
            edge=edge,
            limits=limits,
            allowed_origins=allowed_origins,
        )

    @property
    def open_connections(self) -> int:
        """Sockets and event streams."""
        return self._connections.open

    def routes(self, path: str = "/graphql") -> list[ASGIRouteHandler]:
        """Raw ASGI, so that sizes, media types, message types and every error are ours."""

        @asgi(path, copy_scope=True)
        async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.WEBSOCKET:
                await self._socket(scope, receive, send)
            else:
                await self._http(scope, receive, send)

        return [graphql]

    async def quiet(self) -> None:
        """Returns when followers of what has ended were probably told so."""
        await self._connections.quiet()

    async def drain(self) -> None:
        """Ends sockets with 1001 and event streams without `complete`, now and from now on; returns when all have ended,
        or soon after: of those that do not read."""
        await self._connections.drain()

    def _context(self, viewer: Viewer | None, call: Call) -> object:
        self._connections.notice()
        return self._make_context(viewer, call)
