"""Generations as their owners read them."""

from collections.abc import Sequence
from datetime import timedelta

from domain.generation.entity import Generation
from domain.generation.log import GenerationFilter
from domain.model import ModelKey
from domain.page import Page, PageArgs
from domain.world import ConversationId, GenerationId, MessageId, UserId
from repositories.database import Database
from repositories.generation import listing
from repositories.generation.row import to_generation

RUNS_IN_A_COMMIT = 20

_BY_ID = """
SELECT g.* FROM generations g JOIN conversations c ON c.id = g.conversation_id AND c.deleted_at IS NULL
WHERE g.id = ANY($2) AND g.owner_id = $1
"""

_UNFINISHED = """
SELECT g.* FROM generations g JOIN conversations c ON c.id = g.conversation_id AND c.deleted_at IS NULL
WHERE g.owner_id = $1 AND g.ended_at IS NULL
ORDER BY g.queued_at, g.id LIMIT $2
"""

_HANDED_OVER = """
SELECT g.* FROM generations g
JOIN messages m ON m.id = g.reply_id AND m.generation_id = g.id AND m.child_count = 0
JOIN conversations c ON c.id = g.conversation_id AND c.deleted_at IS NULL
WHERE g.handed_over AND g.model_key = ANY($1) AND g.ended_at > now() - $2::interval
ORDER BY g.ended_at LIMIT $3
"""

_LET_BE = "UPDATE generations SET handed_over = false WHERE id = $1"

# The end stays: who comes late is told of it, and by the stored reply of all before it.
# By ctid, as events never change: the planner, which takes any limit for a tenth of the table, would read all of it.
_COMPACT = """
WITH done AS (
  SELECT id, last_seq - 1 AS through FROM generations
  WHERE ended_at < now() - $1::interval AND compacted_through = 0 AND last_seq > 1
  ORDER BY ended_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
), dropped AS (
  DELETE FROM generation_events WHERE ctid = ANY(ARRAY(
    SELECT e.ctid FROM done CROSS JOIN LATERAL (
      SELECT ctid FROM generation_events WHERE generation_id = done.id AND seq <= done.through OFFSET 0
    ) e
  ))
)
UPDATE generations SET compacted_through = last_seq - 1 WHERE id = ANY(ARRAY(SELECT id FROM done))
"""


class SqlGenerations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def generations(self, owner: UserId, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]:
        rows = await self._database.fetch(_BY_ID, owner, ids)
        return {GenerationId(row["id"]): to_generation(row) for row in rows}

    async def of_conversation(
        self, owner: UserId, conversation_id: ConversationId, having: GenerationFilter, page: PageArgs
    ) -> Page[Generation]:
        return await listing.of_conversation(self._database, owner, conversation_id, having, page)

    async def of_replies(
        self, owner: UserId, replies: Sequence[MessageId], page: PageArgs
    ) -> dict[MessageId, Page[Generation]]:
        return await listing.of_replies(self._database, owner, replies, page)

    async def unfinished(self, owner: UserId, limit: int) -> list[Generation]:
        return [to_generation(row) for row in await self._database.fetch(_UNFINISHED, owner, limit)]

    async def handed_over(self, models: Sequence[ModelKey], within: timedelta, limit: int) -> list[Generation]:
        return [to_generation(row) for row in await self._database.fetch(_HANDED_OVER, models, within, limit)]

    async def let_be(self, generation_id: GenerationId) -> None:
        await self._database.execute(_LET_BE, generation_id)

    async def compact(self, older_than: timedelta, limit: int) -> int:
        """In commits of a few runs each: a run may have thousands of entries."""
        compacted, batch = 0, RUNS_IN_A_COMMIT
        while batch == RUNS_IN_A_COMMIT and compacted < limit:
            batch = await self._database.execute(_COMPACT, older_than, min(RUNS_IN_A_COMMIT, limit - compacted))
            compacted += batch
        return compacted
