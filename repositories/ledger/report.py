"""Sums of the ledger: for a user, for everybody, for messages."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.ledger import (
    MOST_BUCKETS,
    TIMES,
    DateRange,
    UsageBucket,
    UsageDimension,
    UsageReport,
    UsageTotals,
)
from domain.model import ModelKey
from domain.usage import UsagePurpose
from domain.world import ConversationId, MessageId, UserId
from repositories.database import Database
from repositories.money import usd

_SUMS = """
count(*) AS requests, coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
coalesce(sum(output_tokens), 0)::bigint AS output_tokens, coalesce(sum(amount_nano), 0)::bigint AS cost_nano,
count(*) FILTER (WHERE failed) AS errors
"""

# Of each transaction the user's side: of one user, or of everybody.
_OF_ONE = "FROM ledger_entries WHERE at >= $1 AND at < $2 AND account = 'user:' || $3::uuid"
_OF_ALL = "FROM ledger_entries WHERE at >= $1 AND at < $2 AND account = 'user:' || owner_id"

_KEYS = {
    UsageDimension.HOUR: "date_trunc('hour', at, 'UTC')",
    UsageDimension.DAY: "date_trunc('day', at, 'UTC')",
    UsageDimension.MONTH: "date_trunc('month', at, 'UTC')",
    UsageDimension.MODEL: "model_key",
    UsageDimension.CONVERSATION: "conversation_id",
    UsageDimension.PURPOSE: "purpose",
    UsageDimension.USER: "owner_id",
}

_OF_MESSAGES = f"""
SELECT m.id, {_SUMS} FROM unnest($2::uuid[]) AS m (id)
JOIN generations g ON g.reply_id = m.id AND g.owner_id = $1
JOIN ledger_entries e ON e.transaction_id = g.id AND e.account = 'user:' || $1::uuid
GROUP BY m.id
""".replace("sum(input_tokens)", "sum(e.input_tokens)").replace("sum(output_tokens)", "sum(e.output_tokens)")


async def report(
    database: Database, owner: UserId | None, range: DateRange, by: Sequence[UsageDimension]
) -> UsageReport:
    entries = _OF_ALL if owner is None else _OF_ONE
    asked = range.begin, range.end, *([] if owner is None else [owner])
    async with database.session() as session:
        [total] = await session.fetch(f"SELECT {_SUMS} {entries}", *asked)
        rows = await session.fetch(_buckets(by, entries), *asked)
    buckets = tuple(_bucket(row, range, by) for row in rows[:MOST_BUCKETS])
    return UsageReport(to_totals(total), buckets, truncated=len(rows) > MOST_BUCKETS)


async def of_messages(database: Database, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, UsageTotals]:
    rows = await database.fetch(_OF_MESSAGES, owner, ids)
    return {MessageId(row["id"]): to_totals(row) for row in rows}


def to_totals(row: Mapping[str, Any]) -> UsageTotals:
    return UsageTotals(row["requests"], row["input_tokens"], row["output_tokens"], usd(row["cost_nano"]), row["errors"])


def _buckets(by: Sequence[UsageDimension], entries: str) -> str:
    """Only of what is selected: nothing in it was written by a client."""
    keys = "".join(f"{_KEYS[each]} AS {each.value.lower()}_key, " for each in by)
    groups = ", ".join(_KEYS[each] for each in by)
    first = "".join(f"{_KEYS[each]}, " for each in by if each in TIMES)
    return f"""
    SELECT {keys} {_SUMS},
      percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50,
      percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95
    {entries} {f"GROUP BY {groups}" if by else ""} HAVING count(*) > 0
    ORDER BY {first} sum(amount_nano) DESC, count(*) DESC LIMIT {MOST_BUCKETS + 1}
    """


def _bucket(row: Mapping[str, Any], range: DateRange, by: Sequence[UsageDimension]) -> UsageBucket:
    keys = {each: row[f"{each.value.lower()}_key"] for each in by}
    time = next((each for each in by if each in TIMES), None)
    model, purpose = keys.get(UsageDimension.MODEL), keys.get(UsageDimension.PURPOSE)
    conversation, user = keys.get(UsageDimension.CONVERSATION), keys.get(UsageDimension.USER)
    start = keys[time] if time else range.begin
    return UsageBucket(
        to_totals(row),
        start,
        _end(time, start) if time else range.end,
        model_key=ModelKey(model) if model is not None else None,
        conversation_id=ConversationId(conversation) if conversation is not None else None,
        purpose=UsagePurpose(purpose) if purpose is not None else None,
        user_id=UserId(user) if user is not None else None,
        p50_latency_ms=row["p50"],
        p95_latency_ms=row["p95"],
    )


def _end(time: UsageDimension, start: datetime) -> datetime:
    if time is UsageDimension.MONTH:
        return (start + timedelta(days=31)).replace(day=1)
    return start + (timedelta(days=1) if time is UsageDimension.DAY else timedelta(hours=1))
