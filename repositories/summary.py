"""The domain's SummaryStore: summaries stand on a place of the tree, so every branch below it shares them."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.model import ModelKey
from domain.window.summary import ContextSummary, Standing
from domain.world import MessageId, SummaryId, UserId
from repositories.database import Database

# The deepest one, and the deepest refused one. The climb from the leaf ends at the highest of the conversation, and at once
# without any.
_STANDING = """
WITH RECURSIVE leaf AS (
  SELECT m.conversation_id, m.branch_id, m.depth FROM messages m JOIN conversations c ON c.id = m.conversation_id
  WHERE m.id = $2 AND c.owner_id = $1 AND c.deleted_at IS NULL
), standing AS MATERIALIZED (
  SELECT id, branch_id, depth, refused FROM context_summaries
  WHERE conversation_id = (SELECT conversation_id FROM leaf) AND depth <= (SELECT depth FROM leaf)
), segment AS (
  SELECT b.id, b.parent_branch_id, b.fork_depth, leaf.depth AS top FROM leaf JOIN branches b ON b.id = leaf.branch_id
  WHERE EXISTS (SELECT 1 FROM standing)
  UNION ALL
  SELECT b.id, b.parent_branch_id, b.fork_depth, s.fork_depth
  FROM segment s JOIN branches b ON b.id = s.parent_branch_id
  WHERE s.fork_depth >= (SELECT min(depth) FROM standing)
)
SELECT s.* FROM (
  SELECT DISTINCT ON (standing.refused) standing.id
  FROM standing JOIN segment g ON g.id = standing.branch_id AND standing.depth <= g.top
  ORDER BY standing.refused, standing.depth DESC
) deepest JOIN context_summaries s ON s.id = deepest.id
"""

_BY_ID = """
SELECT s.* FROM context_summaries s JOIN conversations c ON c.id = s.conversation_id
WHERE s.id = ANY($2) AND c.owner_id = $1 AND c.deleted_at IS NULL AND NOT s.refused
"""

# What it covers may have been purged with its conversation while it was made: the lock keeps the purge away.
_OF_PLACE = """
INSERT INTO context_summaries
  (id, conversation_id, covers_through, branch_id, depth, text, model_key, tokens, created_at, supersedes, refused)
SELECT $3, c.id, m.id, m.branch_id, m.depth, {values}
FROM messages m JOIN conversations c ON c.id = m.conversation_id
WHERE m.id = $2 AND c.owner_id = $1 AND c.deleted_at IS NULL
FOR KEY SHARE OF c
ON CONFLICT (covers_through) DO
"""

_ADD = f"""
{_OF_PLACE.format(values="$4, $5, $6, $7, $8, false")} UPDATE SET id = excluded.id, text = excluded.text,
  model_key = excluded.model_key, tokens = excluded.tokens, created_at = excluded.created_at,
  supersedes = excluded.supersedes, refused = false
WHERE context_summaries.refused
"""

_REFUSE = f"""{_OF_PLACE.format(values="'', '', 0, now(), NULL, true")} NOTHING"""


class SqlSummaries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def standing(self, owner: UserId, leaf: MessageId) -> Standing:
        rows = await self._database.fetch(_STANDING, owner, leaf)
        summary = next((to_summary(row) for row in rows if not row["refused"]), None)
        return Standing(summary, next((row["depth"] for row in rows if row["refused"]), None))

    async def by_id(self, owner: UserId, ids: Sequence[SummaryId]) -> dict[SummaryId, ContextSummary]:
        found = [to_summary(row) for row in await self._database.fetch(_BY_ID, owner, ids)]
        return {summary.id: summary for summary in found}

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

    async def refuse(self, owner: UserId, summary: SummaryId, through: MessageId) -> None:
        await self._database.execute(_REFUSE, owner, through, summary)


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
