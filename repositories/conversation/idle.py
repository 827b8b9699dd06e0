"""Conversations that nobody has used for long."""

from datetime import timedelta

from repositories.database import Database
from repositories.tables import EventKind

# Nothing that lists go by moves: it is no use of the conversation.
_REST = """
WITH idle AS (
  SELECT id FROM conversations
  WHERE state = 'ACTIVE' AND deleted_at IS NULL AND coalesce(last_message_at, created_at) < now() - $1::interval
  ORDER BY coalesce(last_message_at, created_at) LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
), rested AS (
  UPDATE conversations c SET state = 'INACTIVE', event_seq = event_seq + 1 FROM idle WHERE c.id = idle.id
  RETURNING c.id, c.event_seq, c.owner_id
)
INSERT INTO conversation_events (conversation_id, seq, at, kind, owner_id)
SELECT id, event_seq, clock_timestamp(), $3::smallint, owner_id FROM rested
"""


async def rest_idle(database: Database, idle_for: timedelta, limit: int) -> int:
    return await database.execute(_REST, idle_for, limit, EventKind.CONVERSATION_CHANGED)
