"""The domain's EventStore: what happened in conversations, read by anybody's process."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from domain.conversation.events import (
    BranchSelected,
    ConversationChanged,
    ConversationEvent,
    EventSlice,
    MessageAdded,
    MessageChanged,
    ReplyFinished,
    ReplyStarted,
    Touch,
)
from domain.world import ConversationId, GenerationId, MessageId, UserId
from repositories.database import Database
from repositories.tables import EventKind

_EVENTS = """
SELECT c.event_seq, e.*, (
  SELECT min(first.seq) FROM conversation_events first WHERE first.conversation_id = c.id AND first.seq > 0
) AS first_seq
FROM conversations c
LEFT JOIN LATERAL (
  SELECT seq, at, kind, message_id, generation_id FROM conversation_events
  WHERE conversation_id = c.id AND seq > $3 ORDER BY seq LIMIT $4
) e ON true
WHERE c.id = $2 AND c.owner_id = $1 AND c.deleted_at IS NULL
ORDER BY e.seq
"""

_TOUCHES = """
SELECT DISTINCT ON (conversation_id) conversation_id, seq, kind FROM conversation_events
WHERE owner_id = $1 AND at > now() - $2::interval ORDER BY conversation_id, seq DESC
"""

# In the order in which they happened, so that what is left of a conversation's log is its end.
_FORGET = """
DELETE FROM conversation_events WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM conversation_events WHERE at < now() - $1::interval ORDER BY at, seq LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""


class SqlEvents:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def events(self, owner: UserId, conversation_id: ConversationId, after: int, limit: int) -> EventSlice | None:
        rows = await self._database.fetch(_EVENTS, owner, conversation_id, after, limit)
        if not rows:
            return None
        last_seq, first_seq = rows[0]["event_seq"], rows[0]["first_seq"]
        found = tuple(to_event(conversation_id, row) for row in rows if row["seq"] is not None)
        return EventSlice(found, last_seq, kept_after=last_seq if first_seq is None else first_seq - 1)

    async def touches(self, owner: UserId, within: timedelta) -> list[Touch]:
        rows = await self._database.fetch(_TOUCHES, owner, within)
        return [
            Touch(ConversationId(row["conversation_id"]), row["seq"], removed=row["kind"] == EventKind.DELETED)
            for row in rows
        ]

    async def forget_events(self, older_than: timedelta, limit: int) -> int:
        return await self._database.execute(_FORGET, older_than, limit)


def to_event(conversation_id: ConversationId, row: Mapping[str, Any]) -> ConversationEvent:
    seq, at, message_id = row["seq"], row["at"], MessageId(row["message_id"])
    match EventKind(row["kind"]):
        case EventKind.CONVERSATION_CHANGED:
            return ConversationChanged(seq, at, conversation_id)
        case EventKind.MESSAGE_ADDED:
            return MessageAdded(seq, at, conversation_id, message_id)
        case EventKind.MESSAGE_CHANGED:
            return MessageChanged(seq, at, conversation_id, message_id)
        case EventKind.BRANCH_SELECTED:
            return BranchSelected(seq, at, conversation_id, message_id)
        case EventKind.REPLY_STARTED:
            return ReplyStarted(seq, at, conversation_id, message_id, GenerationId(row["generation_id"]))
        case EventKind.REPLY_FINISHED:
            return ReplyFinished(seq, at, conversation_id, message_id, GenerationId(row["generation_id"]))
        case EventKind.OPENED | EventKind.DELETED:
            raise AssertionError("what is for sidebars stands outside of what readers are shown")
