"""The domain's SummaryStore: summaries stand on a place of the tree, so every branch below it shares them."""

from collections.abc import Mapping
from typing import Any

from domain.model import ModelKey
from domain.window.summary import ContextSummary
from domain.world import MessageId, SummaryId, UserId
from repositories.database import Database

# The climb from the leaf ends at the highest summary of the conversation, and at once without any.
_NEWEST = """
WITH RECURSIVE leaf AS (
  SELECT m.conversation_id, m.branch_id, m.depth FROM messages m JOIN conversations c ON c.id = m.conversation_id
  WHERE m.id = $2 AND c.owner_id = $1 AND c.deleted_at IS NULL
), standing AS MATERIALIZED (
  SELECT id, branch_id, depth FROM context_summaries
  WHERE conversation_id = (SELECT conversation_id FROM leaf) AND depth <= (SELECT depth FROM leaf)
), segment AS (
  SELECT b.id, b.parent_branch_id, b.fork_depth, leaf.depth AS top FROM leaf JOIN branches b ON b.id = leaf.branch_id
  WHERE EXISTS (SELECT 1 FROM standing)
  UNION ALL
  SELECT b.id, b.parent_branch_id, b.fork_depth, s.fork_depth
  FROM segment s JOIN branches b ON b.id = s.parent_branch_id
  WHERE s.fork_depth >= (SELECT min(depth) FROM standing)
)
SELECT s.* FROM standing JOIN segment g ON g.id = standing.branch_id AND standing.depth <= g.top
JOIN context_summaries s ON s.id = standing.id
ORDER BY s.depth DESC LIMIT 1
"""

_RECORDED = """
SELECT s.* FROM context_summaries s JOIN conversations c ON c.id = s.conversation_id
WHERE s.id = $2 AND c.owner_id = $1 AND c.deleted_at IS NULL
"""

# What it covers may have been purged with its conversation while it was made: the lock keeps the purge away.
_ADD = """
INSERT INTO context_summaries
  (id, conversation_id, covers_through, branch_id, depth, text, model_key, tokens, created_at, supersedes)
SELECT $3, c.id, m.id, m.branch_id, m.depth, $4, $5, $6, $7, $8
FROM messages m JOIN conversations c ON c.id = m.conversation_id
WHERE m.id = $2 AND c.owner_id = $1 AND c.deleted_at IS NULL
FOR KEY SHARE OF c
ON CONFLICT (covers_through) DO NOTHING
"""


class SqlSummaries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, owner: UserId, leaf: MessageId) -> ContextSummary | None:
        return _summary(await self._database.fetchrow(_NEWEST, owner, leaf))

    async def recorded(self, owner: UserId, summary: SummaryId) -> ContextSummary | None:
        return _summary(await self._database.fetchrow(_RECORDED, owner, summary))

    async def add(self, owner: UserId, summary: ContextSummary, supersedes: SummaryId | None) -> bool:
        added = await self._database.execute(
            _ADD,
            owner,
            summary.covers_through,
            summary.id,
            summary.text,
            summary.model_key,
            summary.tokens,
            summary.created_at,
            supersedes,
        )
        return added == 1


def _summary(row: Mapping[str, Any] | None) -> ContextSummary | None:
    return None if row is None else to_summary(row)


def to_summary(row: Mapping[str, Any]) -> ContextSummary:
    return ContextSummary(
        SummaryId(row["id"]),
        row["text"],
        MessageId(row["covers_through"]),
        row["depth"],
        ModelKey(row["model_key"]),
        row["tokens"],
        row["created_at"],
    )
