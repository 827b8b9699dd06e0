"""Relay: nodes and pages."""

from typing import Generic, TypeVar

import strawberry

from resolvers import node

T = TypeVar("T")


@strawberry.interface(description="Anything with an id of its own, which `node` finds again.")
class Node:
    id = strawberry.field(
        resolver=node.global_id,
        graphql_type=strawberry.ID,
        description="Opaque; the same for ever, and on every device.",
    )


@strawberry.type(description="Whether a list goes on, and the cursors to go on with.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="More follows: ask with `after: endCursor`.")
    has_previous_page: bool = strawberry.field(
        description="Something comes before: where the list takes `before`, ask with `before: startCursor`."
    )
    start_cursor: str | None = strawberry.field(description="Of the first edge; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="Of the last edge; null on an empty page.")


@strawberry.type(description="One row of a list.")
class Edge(Generic[T]):
    cursor: str = strawberry.field(description="Names this row; opaque.")
    node: T = strawberry.field(description="The row itself.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    edges: list[Edge[T]] = strawberry.field(description="The rows with their cursors.")
    nodes: list[T] = strawberry.field(description="The rows alone.")
    page_info: PageInfo = strawberry.field(description="How to go on.")
