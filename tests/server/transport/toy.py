"""A small schema behind the real transport, on a real socket."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import strawberry
import uvicorn
from litestar import Litestar
from strawberry.scalars import JSON
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from domain.errors import BadCursor, BadPage, DomainError, NotAuthenticated, UnknownId
from domain.user import ApiKey, Role, User, Viewer
from domain.world import ApiKeyId, UserId
from server.graphql import OPEN_FIELDS, GraphQLTransport, TransportLimits

GOOD = {"Authorization": "Bearer good"}


@dataclass
class Journal:
    """What the resolvers saw."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    touched: int = 0
    produced: int = 0
    contexts: int = 0
    revoked: dict[str, bool] = field(default_factory=dict)
    asked: int = 0
    outage: Exception | None = None


@dataclass
class Context:
    viewer: Viewer | None
    journal: Journal
    number: int


Info = strawberry.Info[Context, None]


@strawberry.type
class Item:
    id: int

    @strawberry.field
    def items(self, first: int | None = None, last: int | None = None) -> "ItemConnection":
        return ItemConnection(nodes=[])

    @strawberry.field
    async def slow(self, info: Info) -> int:
        await info.context.journal.release.wait()
        return self.id

    @strawberry.field
    def broken(self) -> int:
        raise RuntimeError("sk-secret")


@strawberry.type
class ItemConnection:
    nodes: list[Item]


@strawberry.type
class Query:
    @strawberry.field
    def viewer(self, info: Info) -> str | None:
        return info.context.viewer.user.display_name if info.context.viewer else None

    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def echo(self, value: JSON) -> JSON:
        return value

    @strawberry.field
    def half(self, name: int = 3) -> int:
        return name // 2

    @strawberry.field
    def context_number(self, info: Info) -> int:
        return info.context.number

    @strawberry.field
    def items(self, first: int | None = None, last: int | None = None) -> ItemConnection:
        return ItemConnection(nodes=[Item(id=number) for number in range(3)])

    @strawberry.field
    async def slow(self, info: Info) -> int:
        journal = info.context.journal
        journal.entered.set()
        try:
            await journal.release.wait()
        finally:
            journal.left.set()
        return 1

    @strawberry.field
    def fails(self, how: str) -> int | None:
        raise {
            "page": BadPage("`first` must be 1 to 100."),
            "cursor": BadCursor("Beyond the end of the log."),
            "id": UnknownId("There is no such generation."),
            "credential": NotAuthenticated("Who are you?"),
            "domain": DomainError("sk-secret"),
            "bug": KeyError("sk-secret"),
            "timeout": TimeoutError("sk-secret"),
        }[how]

    @strawberry.field
    def impossible(self) -> int:
        return None  # type: ignore[return-value]

    @strawberry.field
    def surrogate(self) -> str:
        return "\ud83d"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def touch(self, info: Info) -> int:
        info.context.journal.touched += 1
        return info.context.journal.touched

    @strawberry.mutation
    async def touch_slowly(self, info: Info) -> int:
        info.context.journal.entered.set()
        await info.context.journal.release.wait()
        info.context.journal.touched += 1
        info.context.journal.left.set()
        return info.context.journal.touched


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int = 3) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def context_numbers(self, info: Info) -> AsyncGenerator[Item, None]:
        yield Item(id=info.context.number)
        yield Item(id=info.context.number)

    @strawberry.subscription
    async def wait(self, info: Info) -> AsyncGenerator[int, None]:
        journal = info.context.journal
        journal.entered.set()
        try:
            yield 0
            await journal.release.wait()
            yield 1
        finally:
            journal.left.set()

    @strawberry.subscription
    async def slowly(self) -> AsyncGenerator[Item, None]:
        yield Item(id=0)
        yield Item(id=1)

    @strawberry.subscription
    async def flood(self, info: Info) -> AsyncGenerator[str, None]:
        while True:
            info.context.journal.produced += 1
            yield "x" * 10_000

    @strawberry.subscription
    async def breaks(self, after: int, how: str = "bug") -> AsyncGenerator[int, None]:
        for number in range(after):
            yield number
        raise UnknownId("There is no such generation.") if how == "id" else RuntimeError("sk-secret")


SCHEMA = strawberry.Schema(Query, Mutation, Subscription)


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
        protocols = [Subprotocol(name) for name in subprotocols]
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
    *, limits: TransportLimits | None = None, schema: strawberry.Schema = SCHEMA, **options: Any
) -> AsyncIterator[Toy]:
    journal = Journal()

    async def authenticate(secret: str) -> Viewer:
        journal.asked += 1
        if journal.outage is not None:
            raise journal.outage
        if secret in journal.revoked or secret not in {"good", "other"}:
            raise NotAuthenticated("This credential is not valid.", lasting=journal.revoked.get(secret, False))
        return viewer(secret)

    def make_context(viewer: Viewer | None) -> Context:
        journal.contexts += 1
        return Context(viewer, journal, journal.contexts)

    options.setdefault("open_fields", OPEN_FIELDS)
    transport = GraphQLTransport(
        schema=schema, authenticate=authenticate, make_context=make_context, limits=limits, **options
    )
    async with (
        _served(Litestar(transport.routes(), openapi_config=None)) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as http,
    ):
        yield Toy(url, transport, journal, http)


def viewer(name: str) -> Viewer:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    user = User(UserId(UUID(int=len(name))), name, Role.USER, now)
    return Viewer(user, ApiKey(ApiKeyId(UUID(int=1)), user.id, "key", "gus_", False, now))


@asynccontextmanager
async def _served(app: Litestar) -> AsyncIterator[str]:
    # With the protocol said: asyncio turns Nagle's algorithm off only then, and each answer would cost 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=1024 * 1024,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
