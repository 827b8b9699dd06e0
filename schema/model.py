"""Models on offer."""

from decimal import Decimal

import strawberry

from domain import model as domain
from resolvers import model as resolve
from schema.lazy import ModelRef
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
    health: domain.ModelHealth = strawberry.field(resolver=resolve.health, description="How its server does now.")
    fallbacks = strawberry.field(
        resolver=resolve.fallbacks,
        graphql_type=list[ModelRef],
        description="Asked in this order when it does not answer; at most 5.",
    )
    retired: bool = strawberry.field(
        description="Retired models stay readable for old replies and are left out of `Query.models`."
    )
