"""A part of a tree copied into another conversation: set by set, and without a lock that writers of the origin wait for."""

from uuid import UUID

from domain.conversation.commands import ForkScope
from domain.conversation.entity import Conversation
from domain.conversation.store import Part
from domain.message import Message
from domain.world import MessageId
from repositories.conversation.row import to_conversation
from repositories.database import Session
from repositories.message.row import COLUMNS, RUN, to_message

# Forks of one user wait for each other, as what they store is counted. Of the origin only the purge is kept away.
_LOCK = """
SELECT 1 FROM conversations c JOIN users u ON u.id = c.owner_id
WHERE c.id = $2 AND c.owner_id = $1 AND c.deleted_at IS NULL
FOR NO KEY UPDATE OF u FOR KEY SHARE OF c
"""

# Each scope picks messages of conversation $1 for a copy that ends in, or begins with, message $2 of branch $3 at depth $4:
# their branches and places as they will be. LATERAL and OFFSET 0 keep every step on its index.
_SEGMENTS = """
segment AS (
  SELECT b.id, b.parent_branch_id, coalesce(b.fork_depth, -1) AS fork, $4::int AS top FROM branches b WHERE b.id = $3
  UNION ALL
  SELECT b.id, b.parent_branch_id, coalesce(b.fork_depth, -1), s.fork
  FROM segment s CROSS JOIN LATERAL (SELECT * FROM branches WHERE id = s.parent_branch_id OFFSET 0) b
), path AS (
  SELECT m.* FROM segment s CROSS JOIN LATERAL (
    SELECT id, parent_id, number FROM messages WHERE branch_id = s.id AND depth > s.fork AND depth <= s.top OFFSET 0
  ) m
)
"""

_PICKED = {
    ForkScope.PATH: f"""
{_SEGMENTS}, picked AS (
  SELECT id, $3::uuid AS branch_id, number, 1 AS place, CASE WHEN id = $2 THEN 0 ELSE 1 END AS child_count,
    $1::uuid AS conversation_id
  FROM path
)
""",
    ForkScope.PATH_AND_SIBLINGS: f"""
{_SEGMENTS}, picked AS (
  SELECT m.id, m.branch_id, m.number, m.sibling_index AS place,
    CASE WHEN m.id = path.id AND m.id <> $2 THEN m.child_count ELSE 0 END AS child_count, m.conversation_id
  FROM path CROSS JOIN LATERAL (
    (SELECT * FROM messages WHERE conversation_id = $1 AND parent_id = path.parent_id OFFSET 0)
    UNION ALL
    (SELECT * FROM messages WHERE path.parent_id IS NULL AND conversation_id = $1 AND parent_id IS NULL OFFSET 0)
  ) m
)
""",
    ForkScope.SUBTREE: """
below AS (
  SELECT $3::uuid AS id, $4::int AS highest
  UNION ALL
  SELECT b.id, 0 FROM below CROSS JOIN LATERAL (
    SELECT id FROM branches WHERE parent_branch_id = below.id AND fork_depth >= below.highest OFFSET 0
  ) b
), picked AS (
  SELECT m.id, m.branch_id, m.number, CASE WHEN m.id = $2 THEN 1 ELSE m.sibling_index END AS place, m.child_count,
    m.conversation_id
  FROM below CROSS JOIN LATERAL (
    SELECT * FROM messages WHERE branch_id = below.id AND depth >= below.highest OFFSET 0
  ) m
)
""",
}

_MEASURE = """
WITH RECURSIVE {picked}
SELECT count(*) AS size, (
    SELECT coalesce(sum(f.forked_count), 0) FROM conversations f
    WHERE f.owner_id = $5 AND f.forked_count > 0 AND f.deleted_at IS NULL
  ) AS stored, array_agg(p.id) FILTER (WHERE p.id IN (
    SELECT g.reply_id FROM generations g WHERE g.conversation_id = $1 AND g.ended_at IS NULL
  )) AS unfinished
FROM picked p
"""

_UNFINISHED = f"SELECT {COLUMNS} FROM messages m {RUN} WHERE m.id = ANY($1)"

# What a copy is called follows from the conversation and from what it is a copy of: so parents and branches need no join.
_COPY_OF = "encode(substr(sha256(convert_to($5::uuid::text || {}::text, 'UTF8')), 1, 16), 'hex')::uuid"

# One snapshot. A copy's root branch, where the origin's goes further up ($6), has no parent; depths are less by $7.
_COPY = """
WITH RECURSIVE {picked}, numbered AS MATERIALIZED (
  SELECT *, row_number() OVER (ORDER BY number) AS new_number FROM picked
), grown AS MATERIALIZED (
  SELECT n.branch_id, max(n.new_number) AS tip, b.active_seq, b.parent_branch_id, b.fork_depth
  FROM numbered n CROSS JOIN LATERAL (SELECT * FROM branches WHERE id = n.branch_id OFFSET 0) b
  GROUP BY n.branch_id, b.active_seq, b.parent_branch_id, b.fork_depth
), shown AS (
  SELECT branch_id, tip FROM grown
  ORDER BY (branch_id = $8) DESC NULLS LAST, active_seq DESC NULLS LAST, tip DESC LIMIT 1
), seen AS (
  SELECT activations + 1 AS times FROM conversations WHERE id = $1
), branched AS (
  INSERT INTO branches (id, conversation_id, parent_branch_id, fork_depth, tip_number, active_seq)
  SELECT {branch}, $5, CASE WHEN g.branch_id = $6 THEN NULL ELSE {parent_branch} END,
    CASE WHEN g.branch_id = $6 THEN NULL ELSE g.fork_depth - $7 END, g.tip,
    CASE WHEN g.branch_id = shown.branch_id THEN seen.times ELSE g.active_seq END
  FROM grown g, shown, seen
), copied AS (
  INSERT INTO messages (id, conversation_id, branch_id, parent_id, depth, number, sibling_index, child_count, role,
    status, text, reasoning, sent_at, received_at, first_token_at, completed_at, model_key, tokens)
  SELECT {id}, $5, {branch_of_message}, CASE WHEN m.depth = $7 THEN NULL ELSE {parent} END, m.depth - $7, n.new_number,
    n.place, n.child_count, m.role,
    CASE WHEN m.status IN ('PENDING', 'STREAMING') THEN 'INTERRUPTED' ELSE m.status END,
    coalesce(u.text, m.text), coalesce(u.reasoning, m.reasoning), m.sent_at, m.received_at, m.first_token_at,
    CASE WHEN m.status IN ('PENDING', 'STREAMING') THEN greatest(now(), m.received_at) ELSE m.completed_at END,
    coalesce(m.model_key, u.model_key), m.tokens
  FROM numbered n
  CROSS JOIN LATERAL (SELECT * FROM messages WHERE id = n.id OFFSET 0) m
  LEFT JOIN unnest($9::uuid[], $10::text[], $11::text[], $12::text[]) AS u (id, text, reasoning, model_key) ON u.id = n.id
  RETURNING id, parent_id, number
)
UPDATE conversations c SET message_count = counted.messages, forked_count = counted.messages, root_count = counted.roots,
  active_leaf_id = counted.leaf, activations = seen.times
FROM seen, (
  SELECT count(*) AS messages, count(*) FILTER (WHERE copied.parent_id IS NULL) AS roots,
    (array_agg(copied.id) FILTER (WHERE copied.number = shown.tip))[1] AS leaf
  FROM copied, shown
) counted
WHERE c.id = $5
RETURNING c.*
"""


async def part(session: Session, message: Message, scope: ForkScope) -> Part | None:
    if await session.fetchrow(_LOCK, message.owner_id, message.conversation_id) is None:
        return None
    sql = _MEASURE.format(picked=_PICKED[scope])
    [row] = await session.fetch(sql, *_picked_by(message), message.owner_id)
    return Part(message, scope, row["size"], row["stored"], tuple(map(MessageId, row["unfinished"] or ())))


async def copy(session: Session, part: Part, fork: Conversation) -> Conversation:
    """Into `fork`, which is stored and empty."""
    unfinished = await _unfinished(session, part) if part.unfinished else []
    message, scope = part.message, part.scope
    root_branch = None if scope is ForkScope.PATH_AND_SIBLINGS else message.place.branch_id
    [row] = await session.fetch(
        _statement(scope),
        *_picked_by(message),
        fork.id,
        root_branch,
        message.depth if scope is ForkScope.SUBTREE else 0,
        None if scope is ForkScope.SUBTREE else message.place.branch_id,
        [reply.id for reply in unfinished],
        [reply.text for reply in unfinished],
        [reply.reasoning for reply in unfinished],
        [reply.model_key for reply in unfinished],
    )
    return to_conversation(row)


def _statement(scope: ForkScope) -> str:
    return _COPY.format(
        picked=_PICKED[scope],
        id=_COPY_OF.format("n.id"),
        parent=_COPY_OF.format("m.parent_id"),
        branch=_COPY_OF.format("g.branch_id"),
        parent_branch=_COPY_OF.format("g.parent_branch_id"),
        branch_of_message=_COPY_OF.format("n.branch_id"),
    )


def _picked_by(message: Message) -> tuple[UUID, UUID, UUID, int]:
    return message.conversation_id, message.id, message.place.branch_id, message.depth


async def _unfinished(session: Session, part: Part) -> list[Message]:
    """With the text that their logs say."""
    rows = await session.fetch(_UNFINISHED, list(part.unfinished))
    return [to_message(row, part.message.owner_id) for row in rows]
