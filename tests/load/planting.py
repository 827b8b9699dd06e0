"""Big trees of honest structure, made by a few statements instead of a hundred thousand sends."""

from dataclasses import dataclass
from uuid import UUID

from asyncpg import Connection

from domain.world import ConversationId, MessageId, UserId

WORDS = 16

_CONVERSATION = """
INSERT INTO conversations (id, owner_id, title_source, state, version, created_at, updated_at, last_message_at, pinned,
  tags, message_count, root_count, settings, activations)
SELECT gen_random_uuid(), $1, 'NONE', 'ACTIVE', 1, now(), now(), now(), false, '{}', $2, 1, '{}', 1
RETURNING id
"""

_COLUMNS = """
messages (id, conversation_id, branch_id, parent_id, depth, number, sibling_index, child_count, role, status, text,
  received_at)
"""

# Ids follow from the conversation and a name, so that the statements agree on them.
_LINE = f"""
WITH trunk AS (
  INSERT INTO branches (id, conversation_id, tip_number, active_seq) VALUES (md5($1::uuid::text || 'b0')::uuid, $1, $2, 1)
  RETURNING id
)
INSERT INTO {_COLUMNS}
SELECT md5($1::uuid::text || n)::uuid, $1, trunk.id, CASE WHEN n > 1 THEN md5($1::uuid::text || (n - 1))::uuid END, n - 1, n, 1,
  CASE WHEN n < $2 THEN 1 ELSE 0 END, CASE n % 2 WHEN 1 THEN 'USER' ELSE 'ASSISTANT' END, 'COMPLETE',
  repeat('word ', $3), now()
FROM trunk, generate_series(1, $2::int) n
"""

# In turn k a question (u), its answer (a) and the answer regenerated (r), below which the talk goes on: branch k is
# r of turn k - 1, u and a of turn k.
_REGENERATED = f"""
WITH branch AS (
  INSERT INTO branches (id, conversation_id, parent_branch_id, fork_depth, tip_number, active_seq)
  SELECT md5($1::uuid::text || 'b' || k)::uuid, $1, CASE WHEN k > 0 THEN md5($1::uuid::text || 'b' || (k - 1))::uuid END,
    CASE WHEN k > 0 THEN 2 * (k - 1) END, CASE WHEN k < $2 THEN 3 * k + 2 ELSE 3 * k END, k + 1
  FROM generate_series(0, $2::int) k
)
INSERT INTO {_COLUMNS}
SELECT md5($1::uuid::text || kind || k)::uuid, $1, md5($1::uuid::text || 'b' || CASE kind WHEN 'r' THEN k + 1 ELSE k END)::uuid,
  CASE WHEN kind <> 'u' THEN md5($1::uuid::text || 'u' || k)::uuid WHEN k > 0 THEN md5($1::uuid::text || 'r' || (k - 1))::uuid END,
  CASE kind WHEN 'u' THEN 2 * k ELSE 2 * k + 1 END, 3 * k + CASE kind WHEN 'u' THEN 1 WHEN 'a' THEN 2 ELSE 3 END,
  CASE kind WHEN 'r' THEN 2 ELSE 1 END,
  CASE WHEN kind = 'u' THEN 2 WHEN kind = 'r' AND k < $2 - 1 THEN 1 ELSE 0 END,
  CASE kind WHEN 'u' THEN 'USER' ELSE 'ASSISTANT' END, 'COMPLETE', repeat('word ', $3), now()
FROM generate_series(0, $2::int - 1) k, unnest(ARRAY['u', 'a', 'r']) kind
"""

_SHOW = "UPDATE conversations SET active_leaf_id = $2 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Planted:
    id: ConversationId
    first: MessageId
    leaf: MessageId


async def plant_line(connection: Connection, owner: UserId, messages: int, words: int = WORDS) -> Planted:
    """Never forked. `words`: of each message."""
    return await _planted(connection, owner, _LINE, (messages, words), messages)


async def plant_regenerated(connection: Connection, owner: UserId, turns: int) -> Planted:
    """Every answer regenerated: as many branches as turns, each a branch of the one before."""
    return await _planted(connection, owner, _REGENERATED, (turns, WORDS), 3 * turns)


async def _planted(connection: Connection, owner: UserId, sql: str, size: tuple[int, int], messages: int) -> Planted:
    async with connection.transaction():
        conversation_id: UUID = await connection.fetchval(_CONVERSATION, owner, messages)
        await connection.execute(sql, conversation_id, *size)
        first, leaf = [await _message(connection, conversation_id, number) for number in (1, messages)]
        await connection.execute(_SHOW, conversation_id, leaf)
    return Planted(ConversationId(conversation_id), first, leaf)


async def _message(connection: Connection, conversation_id: UUID, number: int) -> MessageId:
    found: MessageId = await connection.fetchval(
        "SELECT id FROM messages WHERE conversation_id = $1 AND number = $2", conversation_id, number
    )
    return found
