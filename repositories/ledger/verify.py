"""Whether the ledger and everything that was counted beside it say the same."""

from decimal import Decimal
from typing import Any

from asyncpg import Record

from domain.ledger import DateRange, LedgerMismatch, LedgerVerification
from domain.world import GenerationId
from repositories.database import Database
from repositories.money import usd

# The two sides of a transaction have one time, so both lie in the range or neither.
_UNBALANCED = """
SELECT 'transaction' AS account, 0::numeric AS expected, sum(amount_nano) AS actual, transaction_id AS generation_id,
  min(at) AS at, true AS money
FROM entries GROUP BY transaction_id HAVING sum(amount_nano) <> 0 OR count(*) <> 2
"""

# As long as a run is there, it says what it cost.
_RUNS = """
SELECT 'user:' || g.owner_id, coalesce(g.cost_nano, 0), coalesce(e.amount_nano, 0), g.id, g.ended_at, true
FROM generations g
LEFT JOIN ledger_entries e ON e.transaction_id = g.id AND e.account = 'user:' || g.owner_id
WHERE g.ended_at >= $1 AND g.ended_at < $2 AND e.amount_nano IS DISTINCT FROM coalesce(g.cost_nano, 0)
"""

_CONVERSATIONS = """
SELECT 'conversation:' || c.id, e.amount, c.used_cost_nano, NULL, NULL, true
FROM conversations c CROSS JOIN LATERAL (
  SELECT sum(amount_nano) AS amount FROM ledger_entries
  WHERE conversation_id = c.id AND account = 'user:' || owner_id
) e
WHERE c.id IN (SELECT conversation_id FROM entries) AND c.used_cost_nano <> e.amount
"""

# Counters of the windows that begin in the range, and those of all time of whoever has taken something in it. Spans are
# named, as an index begins with them.
_WINDOWS = """
SELECT q.*, until.at AS ends_at
FROM (
  SELECT * FROM quota_windows
  WHERE span = ANY(ARRAY['MINUTE', 'HOUR', 'DAY', 'MONTH']) AND starts_at >= $1 AND starts_at < $2
  UNION ALL
  SELECT q.* FROM (
    SELECT payer_id AS id FROM entries UNION SELECT api_key_id FROM entries UNION SELECT address_id FROM entries
  ) taker CROSS JOIN LATERAL (
    SELECT * FROM quota_windows WHERE subject_id = taker.id AND span = 'INSTANT' OFFSET 0
  ) q
) q CROSS JOIN LATERAL (
  SELECT CASE q.span WHEN 'INSTANT' THEN 'infinity'::timestamptz
    ELSE date_trunc(lower(q.span), q.starts_at + ('1.5 ' || q.span)::interval, 'UTC') END AS at
) until
"""

# What runs that have not ended hold, once for each whose counters it stands in.
_HELD = """
SELECT holder.id AS subject_id, g.reserved_at, g.reserved_nano, g.reserved_tokens
FROM generations g CROSS JOIN unnest(ARRAY[g.payer_id, g.api_key_id, g.address_id]) AS holder (id)
WHERE g.ended_at IS NULL AND holder.id IS NOT NULL
"""

_TAKEN = """
SELECT w.*, coalesce(e.cost, 0) AS cost, coalesce(e.tokens, 0) AS tokens, coalesce(h.cost, 0) AS held_cost,
  coalesce(h.tokens, 0) AS held_tokens, coalesce(h.runs, 0) AS runs
FROM windows w CROSS JOIN LATERAL (
  SELECT sum(amount_nano) AS cost, sum(input_tokens + output_tokens) AS tokens FROM (
    SELECT amount_nano, input_tokens, output_tokens FROM ledger_entries
    WHERE payer_id = w.subject_id AND sent_at >= w.starts_at AND sent_at < w.ends_at AND account = 'user:' || owner_id
    UNION ALL
    SELECT amount_nano, input_tokens, output_tokens FROM ledger_entries
    WHERE api_key_id = w.subject_id AND sent_at >= w.starts_at AND sent_at < w.ends_at AND account = 'user:' || owner_id
    UNION ALL
    SELECT amount_nano, input_tokens, output_tokens FROM ledger_entries
    WHERE address_id = w.subject_id AND sent_at >= w.starts_at AND sent_at < w.ends_at AND account = 'user:' || owner_id
  ) each
) e CROSS JOIN LATERAL (
  SELECT sum(reserved_nano) AS cost, sum(reserved_tokens) AS tokens, count(*) AS runs FROM held
  WHERE subject_id = w.subject_id AND reserved_at >= w.starts_at AND reserved_at < w.ends_at
) h
"""

_COUNTERS = """
SELECT v.name || ':' || t.span || ':' || t.subject_id, v.expected, v.actual, NULL, t.starts_at, v.money
FROM taken t CROSS JOIN LATERAL (VALUES
  ('cost used', t.cost, t.cost_used_nano::numeric, true), ('tokens used', t.tokens, t.tokens_used, false),
  ('cost reserved', t.held_cost, t.cost_reserved_nano, true), ('tokens reserved', t.held_tokens, t.tokens_reserved, false),
  ('running', t.runs, t.running, false)
) AS v (name, expected, actual, money)
WHERE v.expected <> v.actual
"""

_VERIFY = f"""
WITH entries AS MATERIALIZED (SELECT * FROM ledger_entries WHERE at >= $1 AND at < $2),
held AS MATERIALIZED ({_HELD}),
windows AS MATERIALIZED ({_WINDOWS}), taken AS MATERIALIZED ({_TAKEN}),
mismatches AS ({_UNBALANCED} UNION ALL {_RUNS} UNION ALL {_CONVERSATIONS} UNION ALL {_COUNTERS})
SELECT checked.count AS checked, m.*
FROM (SELECT count(*) FROM entries) checked LEFT JOIN (SELECT * FROM mismatches ORDER BY at, account LIMIT $3) m ON true
"""


async def verify(database: Database, range: DateRange, most: int) -> LedgerVerification:
    rows = await database.fetch(_VERIFY, range.begin, range.end, most + 1)
    found = [_mismatch(row) for row in rows if row["account"] is not None]
    return LedgerVerification(rows[0]["checked"], tuple(found[:most]), truncated=len(found) > most)


def _mismatch(row: Record) -> LedgerMismatch:
    generation_id = row["generation_id"]
    return LedgerMismatch(
        row["account"],
        _amount(row["expected"], money=row["money"]),
        _amount(row["actual"], money=row["money"]),
        GenerationId(generation_id) if generation_id is not None else None,
        row["at"],
    )


def _amount(found: Any, *, money: bool) -> Decimal:
    return usd(int(found)) if money else Decimal(int(found))
