"""What was taken, and whether the ledger holds."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain import ledger as domain
from domain.usage import UsagePurpose
from resolvers import usage as resolve
from schema.lazy import ConversationRef, UserRef
from schema.model import Model
from schema.of import of
from schema.scalars import Long


@of(domain.UsageTotals, name="UsageTotals", description="Sums over runs that have ended, by the ledger.")
class UsageTotals:
    requests: Long = strawberry.field(description="How often a model was to answer.")
    input_tokens: Long = strawberry.field(description="Tokens of prompts, templates and all.")
    output_tokens: Long = strawberry.field(description="Tokens of answers.")
    cost: Decimal = strawberry.field(description="USD.")
    errors: Long = strawberry.field(description="Requests that failed, timed out or were lost.")


@of(
    domain.UsageBucket,
    name="UsageBucket",
    description="Sums of one group. What it is not grouped by is null; without HOUR, DAY or MONTH its time is the range's.",
)
class UsageBucket:
    start: datetime = strawberry.field(description="Of the hour, day or month, of UTC.")
    end: datetime = strawberry.field(description="The first moment after it.")
    model = strawberry.field(resolver=resolve.model, graphql_type=Model | None, description="Grouped by MODEL.")
    conversation = strawberry.field(
        resolver=resolve.conversation,
        graphql_type=ConversationRef | None,
        description="Grouped by CONVERSATION; null for an admin, and where it was deleted since.",
    )
    conversation_id = strawberry.field(
        resolver=resolve.conversation_id,
        graphql_type=strawberry.ID | None,
        description="Grouped by CONVERSATION, whatever became of it.",
    )
    purpose: UsagePurpose | None = strawberry.field(description="What it was for, where grouped by PURPOSE.")
    user = strawberry.field(
        resolver=resolve.user, graphql_type=UserRef | None, description="Grouped by USER; null also where erased."
    )
    totals: UsageTotals = strawberry.field(description="What was taken.")
    p50_latency_ms: int | None = strawberry.field(
        description="Half of its runs took no longer, from acceptance to end."
    )
    p95_latency_ms: int | None = strawberry.field(description="95 of 100 of them took no longer.")


@of(
    domain.UsageReport,
    name="UsageReport",
    description="A chart needs all its points: there is no paging.",
)
class UsageReport:
    total: UsageTotals = strawberry.field(description="Of the whole range, left-out buckets too.")
    buckets: list[UsageBucket] = strawberry.field(
        description="Ascending in time, then dearest first; at most 1,000, and none without anything in it."
    )
    truncated: bool = strawberry.field(description="There are more buckets.")


@of(
    domain.LedgerMismatch,
    name="LedgerMismatch",
    description="Two records of one thing that differ. Amounts are USD; of accounts of tokens and runs, counts.",
)
class LedgerMismatch:
    account: str = strawberry.field(description="A user, a conversation, a counter of limits, or a transaction.")
    expected: Decimal = strawberry.field(description="By what it was made from.")
    actual: Decimal = strawberry.field(description="What it says.")
    generation = strawberry.field(
        resolver=resolve.generation_id, graphql_type=strawberry.ID | None, description="The run, where it is about one."
    )
    at: datetime | None = strawberry.field(description="When it was entered, or its window began.")


@of(domain.LedgerVerification, name="LedgerVerification", description="Whether the ledger holds.")
class LedgerVerification:
    balanced: bool = strawberry.field(description="Nothing differs.")
    checked_entries: Long = strawberry.field(description="Entries in the range; two to a run.")
    mismatches: list[LedgerMismatch] = strawberry.field(description="What differs; at most 100.")
    truncated: bool = strawberry.field(description="There are more mismatches.")
