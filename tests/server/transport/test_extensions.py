"""Strawberry's schema extensions run under this transport too."""

from collections.abc import Iterator
from typing import Any

import pytest
import strawberry
from strawberry.extensions import SchemaExtension

from tests.server.transport.toy import running
from tests.server.transport.toy_schema import Mutation, Query, Subscription


class Notes(SchemaExtension):
    def on_operation(self) -> Iterator[None]:
        notes.append(f"begin {self.execution_context.operation_name}")
        yield
        notes.append("end")

    def resolve(self, _next: Any, root: Any, info: Any, *args: str, **kwargs: Any) -> Any:
        notes.append(info.field_name)
        return _next(root, info, *args, **kwargs)


notes: list[str] = []
SCHEMA = strawberry.Schema(Query, Mutation, Subscription, extensions=[Notes])


@pytest.mark.parametrize(
    ("query", "accept", "noted"),
    [
        ("query Q {hello}", "application/json", ["begin Q", "hello", "end"]),
        ("subscription S {count(to: 2)}", "text/event-stream", ["begin S", "count", "count", "end"]),
    ],
)
async def test_an_extension_sees_the_operation_and_its_fields(query: str, accept: str, noted: list[str]) -> None:
    notes.clear()
    async with running(schema=SCHEMA) as toy:
        assert (await toy.post(query, accept=accept)).status_code == 200
    assert notes == noted
