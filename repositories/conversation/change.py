"""What changes a conversation without adding to its tree; under its row lock."""

from datetime import datetime

from domain.conversation.entity import Conversation
from domain.message import Message
from repositories.conversation.row import policy_json, to_conversation
from repositories.database import Session
from repositories.generation.detail import settings_json
from repositories.tables import EventKind

_TELL = """
, told AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, owner_id)
  SELECT id, event_seq, clock_timestamp(), {kind}, {message_id}, owner_id FROM changed
)
SELECT * FROM changed
"""

_CHANGE = f"""
WITH changed AS (
  UPDATE conversations SET title = $2, title_source = $3, state = $4, version = $5, updated_at = $6, pinned = $7,
    tags = $8, settings = $9, context_policy = $10, has_unread = $11, event_seq = event_seq + 1
  WHERE id = $1 RETURNING *
)
{_TELL.format(kind="$12::smallint", message_id="NULL::uuid")}
"""

_SHOW = f"""
WITH changed AS (
  UPDATE conversations SET active_leaf_id = $2, activations = activations + 1, updated_at = $4, event_seq = event_seq + 1
  WHERE id = $1 RETURNING *
), marked AS (
  UPDATE branches b SET active_seq = changed.activations FROM changed WHERE b.id = $3
)
{_TELL.format(kind="$5::smallint", message_id="$2::uuid")}
"""


async def change(session: Session, changed: Conversation) -> Conversation:
    [row] = await session.fetch(
        _CHANGE,
        changed.id,
        changed.title,
        changed.title_source.value,
        changed.state.value,
        changed.version,
        changed.updated_at,
        changed.pinned,
        changed.tags,
        settings_json(changed.settings),
        policy_json(changed.context_policy),
        changed.has_unread,
        EventKind.CONVERSATION_CHANGED,
    )
    return to_conversation(row)


async def show(session: Session, conversation: Conversation, leaf: Message, at: datetime) -> Conversation:
    [row] = await session.fetch(_SHOW, conversation.id, leaf.id, leaf.place.branch_id, at, EventKind.BRANCH_SELECTED)
    return to_conversation(row)
