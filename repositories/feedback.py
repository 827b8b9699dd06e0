"""Feedback in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

from domain.feedback import Feedback, Rating
from domain.message import Message
from domain.world import MessageId, UserId
from repositories.database import Database
from repositories.tables import EventKind

_BY_MESSAGE = """
SELECT f.* FROM feedback f JOIN messages m ON m.id = f.message_id
JOIN conversations c ON c.id = m.conversation_id AND c.owner_id = $1 AND c.deleted_at IS NULL
WHERE f.message_id = ANY($2)
"""

# The conversation first, as everybody who writes to it.
_RATE = f"""
WITH changed AS (
  UPDATE conversations SET updated_at = greatest(updated_at, $4), event_seq = event_seq + 1
  WHERE id = $2 AND owner_id = $1 AND deleted_at IS NULL RETURNING id, owner_id, event_seq
), rated AS (
  INSERT INTO feedback (message_id, rating, tags, comment, updated_at)
  SELECT $3::uuid, $5::text, $6::text[], $7::text, $4::timestamptz FROM changed WHERE $5 IS NOT NULL
  ON CONFLICT (message_id) DO UPDATE SET rating = excluded.rating, tags = excluded.tags, comment = excluded.comment,
    updated_at = excluded.updated_at
), taken_away AS (
  DELETE FROM feedback f USING changed WHERE f.message_id = $3 AND $5 IS NULL
)
INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, owner_id)
SELECT id, event_seq, clock_timestamp(), {EventKind.MESSAGE_CHANGED:d}, $3, owner_id FROM changed
"""


class SqlFeedback:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def feedback(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, Feedback]:
        rows = await self._database.fetch(_BY_MESSAGE, owner, ids)
        return {
            MessageId(row["message_id"]): Feedback(
                Rating(row["rating"]), tuple(row["tags"]), row["comment"], row["updated_at"]
            )
            for row in rows
        }

    async def rate(self, message: Message, feedback: Feedback | None, at: datetime) -> bool:
        said = (feedback.rating.value, feedback.tags, feedback.comment) if feedback else (None, (), None)
        told = await self._database.execute(_RATE, message.owner_id, message.conversation_id, message.id, at, *said)
        return told == 1
