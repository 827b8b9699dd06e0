"""Plans and their limits."""

from decimal import Decimal

import strawberry

from domain import plan as domain
from domain.quota.limit import PlanLimit as Limit
from domain.quota.limit import QuotaMetric, QuotaWindow
from resolvers import plan as resolve
from schema.lazy import ModelRef
from schema.node import Node
from schema.of import of


@of(Limit, name="PlanLimit", description="A limit that each user of a plan has for himself.")
class PlanLimit:
    metric: QuotaMetric = strawberry.field(description="What is limited.")
    window: QuotaWindow = strawberry.field(description="The time that it is counted over.")
    soft_limit: Decimal | None = strawberry.field(
        resolver=resolve.soft_limit, description="Past it a send has a notice; null: there is none."
    )
    hard_limit: Decimal | None = strawberry.field(
        resolver=resolve.hard_limit, description="Past it sends are refused; null: there is none."
    )


@of(domain.Plan, name="Plan", description="Which models, features and limits a user has.")
class Plan(Node):
    key: str = strawberry.field(description="Its name in the configuration; for ever the same.")
    name: str = strawberry.field(description="For people.")
    models = strawberry.field(
        resolver=resolve.models,
        graphql_type=list[ModelRef],
        description="Those on offer that it includes; at most 200.",
    )
    features: list[str] = strawberry.field(description="What a client may show for it; at most 50.")
    limits: list[PlanLimit] = strawberry.field(description="At most 50.")
