"""What a send would do."""

from decimal import Decimal

import strawberry

from domain.conversation import preview as domain
from resolvers import quota as resolve_quota
from schema.generation import Notice
from schema.model import Model
from schema.of import of
from schema.quota import Quota
from schema.refusals import Refusal, told
from schema.window import ContextReport


def refusal_of(root: strawberry.Parent[domain.Preview]) -> object:
    return told(root.refusal) if root.refusal else None


@of(
    domain.Preview,
    name="SendPreview",
    description="A dry run of sendMessage: the same checks, context, price and limits. Do not cache it.",
)
class SendPreview:
    refusal = strawberry.field(
        resolver=refusal_of,
        graphql_type=Refusal | None,
        description="The first that sendMessage would meet, null when it would go through; what was known before it is filled in.",
    )
    notices: list[Notice] = strawberry.field(description="As the send would answer; at most 10.")
    model: Model | None = strawberry.field(description="Who would be asked.")
    context: ContextReport | None = strawberry.field(
        description="What it would be given. `included` ends in the message that is answered: the new text is none yet, but counts."
    )
    estimated_input_tokens: int | None = strawberry.field(description="Our count of all of it.")
    quotas = strawberry.field(
        resolver=resolve_quota.of_viewer,
        graphql_type=list[Quota],
        description="The viewer's limits as they are now, without what would be sent; at most 50.",
    )
    maximum_cost: Decimal | None = strawberry.field(
        description="USD, with the longest answer, and with the dearest of the model and its fallbacks."
    )
