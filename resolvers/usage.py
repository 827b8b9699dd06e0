"""What was taken: reports, running totals, and whether the ledger holds."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain.conversation.entity import Conversation
from domain.ledger import (
    DateRange,
    LedgerMismatch,
    LedgerVerification,
    UsageBucket,
    UsageDimension,
    UsageReport,
    UsageTotals,
)
from domain.message import Message
from domain.model import Model
from domain.user import User, Viewer
from resolvers import node
from resolvers.admin import Admin
from resolvers.context import Info


@strawberry.input(name="DateRange", description="From a time up to a later one, which is not in it.")
class DateRangeInput:
    begin: datetime = strawberry.field(name="from", description="The first moment.")
    end: datetime = strawberry.field(name="to", description="The first moment that is no longer in it.")


Range = Annotated[
    DateRangeInput, strawberry.argument(description="At most 400 days, and 31 where it is grouped by HOUR.")
]
GroupBy = Annotated[
    list[UsageDimension],
    strawberry.argument(description="At most one of HOUR, DAY and MONTH, and at most two others. USER is for admins."),
]


async def of_viewer(root: strawberry.Parent[Viewer], info: Info, range: Range, group_by: GroupBy = []) -> UsageReport:  # noqa: B006  # Strawberry only reads it
    return await info.context.services.ledger.usage(root, _range(range), group_by)


async def of_all(root: strawberry.Parent[Admin], info: Info, range: Range, group_by: GroupBy = []) -> UsageReport:  # noqa: B006  # as above
    return await info.context.services.ledger.usage_of_all(root.viewer, _range(range), group_by)


async def of_message(root: strawberry.Parent[Message], info: Info) -> UsageTotals:
    if root.generation_id is None:
        return UsageTotals()
    return await info.context.loaders.message_usage.load(root.id) or UsageTotals()


async def verify_ledger(
    root: strawberry.Parent[Admin],
    info: Info,
    range: Annotated[DateRangeInput, strawberry.argument(description="At most 31 days.")],
) -> LedgerVerification:
    return await info.context.services.ledger.verify(root.viewer, _range(range))


def model(root: strawberry.Parent[UsageBucket], info: Info) -> Model | None:
    return info.context.services.models.recorded(root.model_key) if root.model_key is not None else None


async def conversation(root: strawberry.Parent[UsageBucket], info: Info) -> Conversation | None:
    found = root.conversation_id
    return await info.context.loaders.conversation.load(found) if found is not None else None


def conversation_id(root: strawberry.Parent[UsageBucket]) -> strawberry.ID | None:
    found = root.conversation_id
    return strawberry.ID(node.encode("Conversation", found)) if found is not None else None


async def user(root: strawberry.Parent[UsageBucket], info: Info) -> User | None:
    return await info.context.loaders.user.load(root.user_id) if root.user_id is not None else None


def generation_id(root: strawberry.Parent[LedgerMismatch]) -> strawberry.ID | None:
    found = root.generation_id
    return strawberry.ID(node.encode("Generation", found)) if found is not None else None


def _range(given: DateRangeInput) -> DateRange:
    return DateRange(given.begin, given.end)
