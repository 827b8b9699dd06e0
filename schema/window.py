"""What a model was given."""

from datetime import datetime

import strawberry

from domain.window import policy
from domain.window import report as domain
from domain.window import summary as summaries
from resolvers import window as resolve
from schema.instruction import InstructionRef
from schema.lazy import MessageRef, ModelRef
from schema.node import Connection, Node
from schema.of import of


@of(
    summaries.ContextSummary,
    name="ContextSummary",
    description="Stands in for the oldest turns of a path, in every branch below what it covers. Made by a model, in the background.",
)
class ContextSummary(Node):
    text: str = strawberry.field(description="What the model is told instead of them.")
    covers_through = strawberry.field(
        resolver=resolve.covers_through,
        graphql_type=MessageRef,
        description="The last message that it covers; it covers all that stands above it too.",
    )
    model = strawberry.field(
        resolver=resolve.model_of_summary,
        graphql_type=ModelRef,
        description="Who has written it: the cheapest that was up.",
    )
    tokens: int = strawberry.field(description="How long the text is, as the model that wrote it counts.")
    created_at: datetime = strawberry.field(description="When it was written; it never changes.")


@of(
    domain.ContextReport,
    name="ContextReport",
    description="Exactly what was sent: enough to rebuild the model server's request byte for byte.",
)
class ContextReport:
    strategy: policy.ContextStrategy = strawberry.field(description="What was done with what did not fit.")
    instructions: list[InstructionRef] = strawberry.field(
        description="The versions that it was told, strongest first; at most one of each scope and key, 20."
    )
    included = strawberry.field(
        resolver=resolve.included,
        graphql_type=Connection[MessageRef],
        description="The messages of it, root first; the last is the one that is answered. One without a text took no place.",
    )
    excluded = strawberry.field(
        resolver=resolve.excluded,
        graphql_type=Connection[MessageRef],
        description="What of the path was left out, root first: the messages above the first of `included`.",
    )
    included_count: int = strawberry.field(description="How many messages of the path it was given.")
    excluded_count: int = strawberry.field(description="How many of the path, its oldest, were left out.")
    summary = strawberry.field(
        resolver=resolve.summary,
        graphql_type=ContextSummary | None,
        description="What stood in for turns that were left out, with strategy SUMMARIZE; null: nothing did.",
    )
    estimated_input_tokens: int = strawberry.field(description="Our count, taken before it was sent.")
    provider_input_tokens: int | None = strawberry.field(
        description="The model server's count; null until it ends, when it tells none, and where an answer in JSON was asked for twice."
    )
    context_window: int = strawberry.field(description="The model's window in tokens, which prompt and answer share.")
    trimmed: bool = strawberry.field(description="Something was left out.")
    provider_truncated: bool = strawberry.field(
        description="The model server counted far fewer tokens than it was sent: it has cut the prompt, and answered nevertheless."
    )
    prompt_sha256: str = strawberry.field(
        name="promptSha256", description="SHA-256 of the request's body, in hexadecimal."
    )
