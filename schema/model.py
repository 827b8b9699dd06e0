"""Models on offer."""

from decimal import Decimal

import strawberry

from domain import model as domain
from domain.access import ModelUnavailableReason
from resolvers import model as resolve
from resolvers import plan as resolve_plan
from schema.lazy import ModelRef, PlanRef
from schema.node import Node
from schema.of import of


@of(domain.Model, name="Model", description="A language model that replies can be asked of.")
class Model(Node):
    key: str = strawberry.field(description="Its name in settings and configuration; for ever the same.")
    provider: str = strawberry.field(description="The model server, by its name in the configuration.")
    display_name: str = strawberry.field(description="For people.")
    context_window: int = strawberry.field(description="Tokens that prompt and answer share.")
    max_output_tokens: int | None = strawberry.field(description="The longest answer; null: only the window limits it.")
    capabilities: list[domain.ModelCapability] = strawberry.field(
        resolver=resolve.capabilities, description="What it can do."
    )
    input_price_per_million: Decimal = strawberry.field(description="USD for a million prompt tokens.")
    output_price_per_million: Decimal = strawberry.field(description="USD for a million tokens of answer.")
    available_to_viewer: bool = strawberry.field(
        resolver=resolve_plan.available, description="The viewer may ask for it, and it would answer now."
    )
    unavailable_reason: ModelUnavailableReason | None = strawberry.field(
        resolver=resolve_plan.unavailable_reason, description="Why not; null: it is available."
    )
    required_plan = strawberry.field(
        resolver=resolve_plan.required_plan,
        graphql_type=PlanRef | None,
        description="A plan that would be enough, and that the viewer can get; null where none would do.",
    )
    health: domain.ModelHealth = strawberry.field(resolver=resolve.health, description="How its server does now.")
    fallbacks = strawberry.field(
        resolver=resolve.fallbacks,
        graphql_type=list[ModelRef],
        description="Asked in this order when it does not answer; at most 5.",
    )
    retired: bool = strawberry.field(
        description="Retired models stay readable for old replies and are left out of `Query.models`."
    )
