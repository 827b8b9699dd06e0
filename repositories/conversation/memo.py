"""What is remembered under an idempotency key, in the first statement of its transaction."""

import json

from domain.conversation.store import Memo

# $2 null: there is nothing to remember. A twin in flight is waited for; what it took in the end is not free.
REMEMBERED = """
WITH remembered AS (
  INSERT INTO idempotency_keys (owner_id, key, fingerprint, ids, created_at)
  SELECT $1, $2, $3, $4, now() WHERE $2::text IS NOT NULL ON CONFLICT DO NOTHING RETURNING true
), key AS (
  SELECT $2 IS NULL OR EXISTS (SELECT 1 FROM remembered) AS free
)
"""


def memo_columns(memo: Memo | None) -> tuple[object, ...]:
    """As REMEMBERED takes them."""
    if memo is None:
        return None, None, None, None
    ids = json.dumps({name: str(value) for name, value in memo.done.ids.items()})
    return memo.owner, memo.key, memo.done.fingerprint, ids
