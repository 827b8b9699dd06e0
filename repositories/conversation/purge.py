"""What is left of deleted conversations, removed a little at a time: a cascade would make the token log wait."""

from uuid import UUID

from repositories.database import Database, Session

# Its runs end first: whoever writes them still writes to their rows.
_ONE = """
SELECT id FROM conversations c
WHERE deleted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM generations g WHERE g.conversation_id = c.id AND g.ended_at IS NULL)
ORDER BY deleted_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_SHOW_NOTHING = "UPDATE conversations SET active_leaf_id = NULL WHERE id = $1 AND active_leaf_id IS NOT NULL"

# The latest first: children go before their parents, and a branch goes with its first message.
_LATEST = "SELECT id, branch_id FROM messages WHERE conversation_id = $1 ORDER BY number DESC LIMIT $2"

_PURGE_RUNS = "DELETE FROM generations WHERE reply_id = ANY($1) RETURNING id"
_PURGE_EVENTS = "DELETE FROM generation_events WHERE generation_id = ANY($1)"
_PURGE_FEEDBACK = "DELETE FROM feedback WHERE message_id = ANY($1)"
_PURGE_MESSAGES = "DELETE FROM messages WHERE id = ANY($1)"

_PURGE_BRANCHES = """
DELETE FROM branches b WHERE b.id = ANY($1) AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.branch_id = b.id)
"""

_PURGE_INSTRUCTION = "DELETE FROM instructions WHERE scope = 'CONVERSATION' AND key = $1::uuid::text"
_PURGE_SUMMARIES = "DELETE FROM context_summaries WHERE conversation_id = $1"
_PURGE_CONVERSATION = "DELETE FROM conversations WHERE id = $1"


async def purge_deleted(database: Database, limit: int) -> int:
    """How many messages and conversations it removed."""
    removed = 0
    while removed < limit:
        async with database.transaction() as session:
            found = await session.fetchrow(_ONE)
            if found is None:
                break
            removed += await _purge(session, found["id"], limit - removed)
    return removed


async def _purge(session: Session, conversation_id: UUID, limit: int) -> int:
    await session.execute(_SHOW_NOTHING, conversation_id)
    latest = await session.fetch(_LATEST, conversation_id, limit)
    ids = [message["id"] for message in latest]
    runs = await session.fetch(_PURGE_RUNS, ids)
    await session.execute(_PURGE_EVENTS, [run["id"] for run in runs])
    await session.execute(_PURGE_FEEDBACK, ids)
    removed = await session.execute(_PURGE_MESSAGES, ids)
    await session.execute(_PURGE_BRANCHES, list({message["branch_id"] for message in latest}))
    if removed < limit:
        await session.execute(_PURGE_INSTRUCTION, conversation_id)
        await session.execute(_PURGE_SUMMARIES, conversation_id)
        removed += await session.execute(_PURGE_CONVERSATION, conversation_id)
    return removed
