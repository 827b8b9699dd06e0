"""What is left of deleted conversations, removed a little at a time: a cascade would make the token log wait."""

from uuid import UUID

from asyncpg import Connection

from repositories.database import Database

# Its runs end first: whoever writes them still writes to their rows.
_ONE = """
SELECT id FROM conversations c
WHERE deleted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM generations g WHERE g.conversation_id = c.id AND g.ended_at IS NULL)
ORDER BY deleted_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""

_SHOW_NOTHING = "UPDATE conversations SET active_leaf_id = NULL WHERE id = $1 AND active_leaf_id IS NOT NULL"

# The latest first, so that children go before their parents, and a branch with its first message.
_PURGE_MESSAGES = """
WITH gone AS (
  DELETE FROM messages WHERE id IN (
    SELECT id FROM messages WHERE conversation_id = $1 ORDER BY number DESC LIMIT $2
  ) RETURNING id, branch_id, depth
), runs AS (
  DELETE FROM generations g USING gone WHERE g.reply_id = gone.id RETURNING g.id
), events AS (
  DELETE FROM generation_events e USING runs WHERE e.generation_id = runs.id
), branches AS (
  DELETE FROM branches b USING gone WHERE b.id = gone.branch_id AND gone.depth = coalesce(b.fork_depth, -1) + 1
)
SELECT count(*) FROM gone
"""

_PURGE_CONVERSATION = "DELETE FROM conversations WHERE id = $1"


async def purge_deleted(database: Database, limit: int) -> int:
    """How many messages and conversations it removed."""
    removed = 0
    while removed < limit:
        async with database.transaction() as connection:
            conversation_id = await connection.fetchval(_ONE)
            if conversation_id is None:
                break
            removed += await _purge(connection, conversation_id, limit - removed)
    return removed


async def _purge(connection: Connection, conversation_id: UUID, limit: int) -> int:
    await connection.execute(_SHOW_NOTHING, conversation_id)
    removed: int = await connection.fetchval(_PURGE_MESSAGES, conversation_id, limit)
    if removed < limit:
        await connection.execute(_PURGE_CONVERSATION, conversation_id)
        removed += 1
    return removed
