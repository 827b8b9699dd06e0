"""The throttle at the edge."""

from datetime import datetime

import strawberry

from domain import throttle as domain
from schema.of import of


@of(
    domain.RateLimit,
    name="RateLimit",
    description="What a credential may still ask of this process in a minute; durable limits are quotas.",
)
class RateLimit:
    limit: int = strawberry.field(description="Points for a minute.")
    cost: int = strawberry.field(
        description="What this operation has cost: the number of fields that it may resolve, were every page full."
    )
    remaining: int = strawberry.field(description="Points that are left now.")
    reset_at: datetime = strawberry.field(description="When all of them are there again.")
