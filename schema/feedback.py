"""Feedback."""

from datetime import datetime

import strawberry

from domain import feedback as domain
from resolvers import feedback as resolve
from schema.lazy import MessageRef
from schema.of import of


@of(domain.Feedback, name="Feedback", description="What the viewer thinks of a reply.")
class Feedback:
    rating: domain.Rating = strawberry.field(description="Whether it was good.")
    tags: list[str] = strawberry.field(description="In what respect; at most 20.")
    comment: str | None = strawberry.field(description="In words.")
    updated_at: datetime = strawberry.field(description="When it was given last.")


@of(resolve.Rated, name="RateMessageSuccess", description="The feedback is stored, or taken away.")
class RateMessageSuccess:
    rated_message = strawberry.field(
        resolver=resolve.rated_message, graphql_type=MessageRef, description="The reply, with `feedback` as it is now."
    )
