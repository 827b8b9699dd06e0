"""Limits and what is left of them."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain.quota import counter as domain
from domain.quota.limit import QuotaMetric, QuotaScope, QuotaWindow
from resolvers import quota as resolve
from schema.node import Node
from schema.of import of


@of(
    domain.Quota,
    name="Quota",
    description="A limit that binds the viewer, and what is taken of it. Its id names scope, metric and window and not the "
    "moment, so that a send's answer moves every bar on the page.",
)
class Quota(Node):
    scope: QuotaScope = strawberry.field(description="Whom it was made for.")
    metric: QuotaMetric = strawberry.field(description="What is limited.")
    window: QuotaWindow = strawberry.field(description="Over which time, of UTC.")
    soft_limit: Decimal | None = strawberry.field(description="Past it a send has a notice; null: there is none.")
    hard_limit: Decimal | None = strawberry.field(
        description="What would go past it is refused; null: there is none. Counts, or USD for COST."
    )
    used: Decimal = strawberry.field(description="Taken in this window by what has ended, and by what was sent.")
    reserved: Decimal = strawberry.field(
        description="Held by runs that have not ended: the most that they may take. The rest comes back at their end."
    )
    remaining: Decimal | None = strawberry.field(description="Neither used nor reserved; null without a hard limit.")
    fraction: float | None = strawberry.field(
        description="`used` and `reserved` of `hardLimit`, 0 to 1, for a bar; null without a hard limit."
    )
    state: domain.QuotaState = strawberry.field(description="Whether a limit has been passed.")
    resets_at: datetime | None = strawberry.field(description="When the window turns; null for INSTANT.")


@of(
    resolve.QuotaSet,
    name="SetQuotaSuccess",
    description="The limit holds for every send from now on, in every process.",
)
class SetQuotaSuccess:
    metric: QuotaMetric = strawberry.field(description="What is limited.")
    window: QuotaWindow = strawberry.field(description="The time that it is counted over.")
    soft_limit: Decimal | None = strawberry.field(description="Past it a send has a notice; null: there is none.")
    hard_limit: Decimal | None = strawberry.field(description="What would go past it is refused; null: there is none.")
