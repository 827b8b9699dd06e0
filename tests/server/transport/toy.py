"""The toy schema behind the real transport, on a real socket, and a client for it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import strawberry
import uvicorn
from litestar import Litestar
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from domain.errors import NotAuthenticated
from domain.throttle import Call
from domain.user import ApiKey, Role, User, Viewer
from domain.world import ApiKeyId, UserId
from server.graphql import OPEN_FIELDS, GraphQLTransport, TransportLimits
from server.protocols import HttpProtocol
from tests.server.transport.toy_schema import SCHEMA, Context, Journal

GOOD = {"Authorization": "Bearer good"}


@dataclass
class Toy:
    url: str
    transport: GraphQLTransport
    journal: Journal
    http: httpx.AsyncClient

    async def post(self, query: str, *, accept: str | None = "application/json", **envelope: Any) -> httpx.Response:
        headers = GOOD if accept is None else {**GOOD, "Accept": accept}
        return await self.http.post("/graphql", json={"query": query, **envelope}, headers=headers)

    async def errors(self, query: str, **envelope: Any) -> list[dict[str, Any]]:
        return list((await self.post(query, **envelope)).json()["errors"])

    @asynccontextmanager
    async def socket(
        self,
        *,
        init: object = GOOD,
        subprotocols: Sequence[str] = ("graphql-transport-ws",),
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator["Client"]:
        """`init` None: the handshake only."""
        address = self.url.replace("http", "ws") + "/graphql"
        protocols = [Subprotocol(name) for name in subprotocols] or None
        async with connect(address, subprotocols=protocols, additional_headers=headers, compression=None) as connection:
            client = Client(connection)
            if init is not None:
                await client.send({"type": "connection_init", "payload": init})
                assert await client.receive() == {"type": "connection_ack"}
            yield client


@dataclass
class Client:
    connection: ClientConnection

    async def send(self, message: object) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def subscribe(self, query: str, *, id: str = "1", **payload: object) -> None:
        await self.send({"id": id, "type": "subscribe", "payload": {"query": query, **payload}})

    async def receive(self) -> Any:
        async with asyncio.timeout(30):
            return json.loads(await self.connection.recv())

    async def closed(self) -> tuple[int | None, str | None]:
        """Waits for the server to close."""
        async with asyncio.timeout(30):
            await self.connection.wait_closed()
        return self.connection.close_code, self.connection.close_reason


@asynccontextmanager
async def running(
    *,
    limits: TransportLimits | None = None,
    schema: strawberry.Schema = SCHEMA,
    http: type[HttpProtocol] = HttpProtocol,
    **options: Any,
) -> AsyncIterator[Toy]:
    journal = Journal()

    async def authenticate(secret: str) -> Viewer:
        journal.asked += 1
        if journal.outage is not None:
            raise journal.outage
        if secret in journal.revoked or secret not in {"good", "other"}:
            raise NotAuthenticated("This credential is not valid.", lasting=journal.revoked.get(secret, False))
        return viewer(secret)

    def make_context(viewer: Viewer | None, _: Call) -> Context:
        journal.contexts += 1
        return Context(viewer, journal, journal.contexts)

    options.setdefault("open_fields", OPEN_FIELDS)
    transport = GraphQLTransport(
        schema=schema, authenticate=authenticate, make_context=make_context, limits=limits, **options
    )
    async with (
        served(Litestar(transport.routes(), openapi_config=None), http) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):
        yield Toy(url, transport, journal, client)


def viewer(name: str) -> Viewer:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    user = User(UserId(UUID(int=len(name))), name, Role.USER, now)
    return Viewer(user, ApiKey(ApiKeyId(UUID(int=1)), user.id, "key", "gus_", False, now))


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not happened():
            await asyncio.sleep(0.01)


async def settled(journal: Journal) -> None:
    """Until the flood has stopped, which only a full buffer can do."""
    produced = -1
    while produced != journal.produced or not produced:
        produced = journal.produced
        await asyncio.sleep(0.2)


@asynccontextmanager
async def served(app: Litestar, http: type[HttpProtocol] = HttpProtocol) -> AsyncIterator[str]:
    # With the protocol said: asyncio turns Nagle's algorithm off only then, and each answer would cost 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=http,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=1024 * 1024,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await _stopped(server)
        listener.close()


async def _stopped(server: uvicorn.Server) -> None:
    """As uvicorn does it, without its naps: there are hundreds of these."""
    for each in server.servers:
        each.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    await until(lambda: not server.server_state.tasks)
