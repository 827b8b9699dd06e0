"""A small schema, and a journal of what its resolvers saw."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import strawberry
from strawberry.scalars import JSON

from domain.errors import BadCursor, BadPage, DomainError, NotAuthenticated, UnknownId
from domain.user import Viewer


@dataclass
class Journal:
    """What the resolvers saw."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
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
        journal.waiting += 1
        try:
            await journal.release.wait()
        finally:
            journal.waiting -= 1
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
