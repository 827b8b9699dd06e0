"""How claims are counted and settled. Each is a part of a statement that does more, as neither may happen without it.

All lock counters in the order of their keys: subject, span, start.
"""

from domain.quota.claim import Claim
from domain.quota.counter import Payer
from repositories.money import nano

# $5 the payer, $6 the API key, $12 the address, $7 messages, $8 tokens, $9 nano-USD. ON CONFLICT takes the row's lock and its latest state;
# the INSERT takes them in the order of its SELECT. Whether it was too much is seen from what comes back, and a refusal
# rolls all of it back: counters are locked, checked and changed together in one round trip.
# The windows are those of the transaction's beginning, which everything else in it is dated by.
COUNTED = """
counted AS (
  INSERT INTO quota_windows AS q (subject_id, span, starts_at, messages, tokens_reserved, cost_reserved_nano, running)
  SELECT w.subject_id, w.span, w.starts_at, $7::bigint, $8::bigint, $9::bigint, 1
  FROM key CROSS JOIN quota_windows_at(ARRAY[$5::uuid, $6, $12], now()) w WHERE key.free
  ORDER BY w.subject_id, w.span, w.starts_at
  ON CONFLICT (subject_id, span, starts_at) DO UPDATE SET
    messages = q.messages + EXCLUDED.messages,
    tokens_reserved = q.tokens_reserved + EXCLUDED.tokens_reserved,
    cost_reserved_nano = q.cost_reserved_nano + EXCLUDED.cost_reserved_nano,
    running = q.running + 1
  RETURNING q.*
)
"""

# Of a payer whose subject is {payer}, with an API key and a plan; overrides are read anew each time, so they hold at once.
_OVERRIDES = """
(
  SELECT json_agg(o) FROM quota_overrides o
  WHERE o.subject = ANY(ARRAY[{user}::text, {key}::text, {plan}::text])
    AND (o.scope, o.subject) IN (('USER', {user}::text), ('API_KEY', {key}::text), ('PLAN', {plan}::text))
) AS overrides
"""

COUNTERS_NOW = f"""
SELECT now() AS at, (SELECT json_agg(c) FROM counted c) AS counters,
{_OVERRIDES.format(user="$10", key="$6::uuid", plan="$11")}
"""

READ = f"""
SELECT now() AS at, (
  SELECT json_agg(json_build_object(
    'subject_id', w.subject_id, 'span', w.span, 'starts_at', w.starts_at, 'messages', coalesce(q.messages, 0),
    'tokens_used', coalesce(q.tokens_used, 0), 'tokens_reserved', coalesce(q.tokens_reserved, 0),
    'cost_used_nano', coalesce(q.cost_used_nano, 0), 'cost_reserved_nano', coalesce(q.cost_reserved_nano, 0),
    'running', coalesce(q.running, 0), 'told', q.told
  ))
  FROM quota_windows_at(ARRAY[$1::uuid, $2, $5], now()) w LEFT JOIN quota_windows q USING (subject_id, span, starts_at)
) AS counters,
{_OVERRIDES.format(user="$3", key="$2::uuid", plan="$4")}
"""

TELL = """
UPDATE quota_windows q SET told = array_append(q.told, t.mark)
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (subject_id, span, mark)
WHERE q.subject_id = t.subject_id AND q.span = t.span
  AND (q.subject_id, q.span, q.starts_at) IN (SELECT * FROM quota_windows_at(ARRAY[t.subject_id], now()))
"""

# The counters of the run {run}, locked. LATERAL and OFFSET 0: one look-up by the key for each, in their order.
LOCKED = """
  SELECT q.* FROM (
    SELECT w.* FROM generations g
    CROSS JOIN LATERAL quota_windows_at(ARRAY[g.payer_id, g.api_key_id, g.address_id], g.reserved_at) w
    WHERE g.id = {run} AND g.ended_at IS NULL
    ORDER BY w.subject_id, w.span, w.starts_at OFFSET 0
  ) w CROSS JOIN LATERAL (
    SELECT subject_id, span, starts_at FROM quota_windows
    WHERE subject_id = w.subject_id AND span = w.span AND starts_at = w.starts_at FOR NO KEY UPDATE
  ) q
"""

# Of `ended`, which is one run or none: what it held is released, and what it took is taken.
SETTLED = """
settled AS (
  UPDATE quota_windows q SET running = q.running - 1,
    tokens_reserved = q.tokens_reserved - ended.reserved_tokens,
    cost_reserved_nano = q.cost_reserved_nano - ended.reserved_nano,
    tokens_used = q.tokens_used + coalesce(ended.input_tokens, 0) + coalesce(ended.output_tokens, 0),
    cost_used_nano = q.cost_used_nano + coalesce(ended.cost_nano, 0)
  FROM ended, counters c WHERE q.subject_id = c.subject_id AND q.span = c.span AND q.starts_at = c.starts_at
)
"""

# What the run $1 is missing of $2 tokens and $3 nano-USD.
STRETCHED = f"""
WITH counters AS MATERIALIZED ({LOCKED.format(run="$1")}), run AS (
  SELECT g.* FROM (SELECT count(*) AS locked FROM counters) c CROSS JOIN LATERAL (
    SELECT id, reserved_tokens, reserved_nano FROM generations
    WHERE id = $1 AND ended_at IS NULL AND reserved_nano IS NOT NULL AND c.locked > 0 FOR NO KEY UPDATE
  ) g
), held AS (
  UPDATE generations g SET reserved_tokens = greatest(run.reserved_tokens, $2),
    reserved_nano = greatest(run.reserved_nano, $3)
  FROM run WHERE g.id = run.id
), counted AS (
  UPDATE quota_windows q SET tokens_reserved = q.tokens_reserved + greatest($2 - run.reserved_tokens, 0),
    cost_reserved_nano = q.cost_reserved_nano + greatest($3 - run.reserved_nano, 0)
  FROM run, counters c WHERE q.subject_id = c.subject_id AND q.span = c.span AND q.starts_at = c.starts_at
  RETURNING q.*
)
SELECT now() AS at, (SELECT json_agg(c) FROM counted c) AS counters,
{_OVERRIDES.format(user="$4", key="$5::uuid", plan="$6")}
"""


def claim_columns(payer: Payer, claim: Claim) -> tuple[object, ...]:
    """As COUNTED and COUNTERS_NOW take them, from $5 on."""
    user, cost = str(payer.user.id), nano(claim.cost)
    return payer.subject, payer.key_id, claim.messages, claim.tokens, cost, user, payer.plan, payer.address
