"""The leaf that is shown below a message: the one last active there, else the latest."""

from collections.abc import Sequence

from domain.message import Message
from domain.world import MessageId, UserId
from repositories.database import Database, Session
from repositories.message.row import COLUMNS, OWNED, RUN, to_message

# Nearly always the answer is the conversation's active leaf: one climb from it, shared by all messages of a
# conversation and no further up than the highest of them (`shown`), finds out. Only where it is not are the branches
# below the message searched: its own, those that leave it at the message or deeper, and all of theirs.
_LEAVES_BELOW = f"""
WITH RECURSIVE wanted AS (
  SELECT m.id, m.conversation_id, m.branch_id, m.depth, c.active_leaf_id FROM messages m {OWNED} WHERE m.id = ANY($2)
), shown AS (
  SELECT leaf.number, b.id, b.parent_branch_id, coalesce(b.fork_depth, -1) AS fork, leaf.depth AS top, w.low
  FROM (SELECT active_leaf_id, min(depth) AS low FROM wanted GROUP BY active_leaf_id) w
  JOIN messages leaf ON leaf.id = w.active_leaf_id AND leaf.child_count = 0
  JOIN branches b ON b.id = leaf.branch_id
  UNION ALL
  SELECT s.number, b.id, b.parent_branch_id, coalesce(b.fork_depth, -1), s.fork, s.low
  FROM shown s JOIN branches b ON b.id = s.parent_branch_id
  WHERE s.fork >= s.low
), found AS (
  SELECT w.id AS below, w.conversation_id, coalesce(s.number, (
    WITH RECURSIVE branch AS (
      SELECT b.id, b.tip_number, b.active_seq, w.depth AS lowest_fork FROM branches b WHERE b.id = w.branch_id
      UNION ALL
      SELECT b.id, b.tip_number, b.active_seq, 0
      FROM branch JOIN branches b ON b.parent_branch_id = branch.id AND b.fork_depth >= branch.lowest_fork
    )
    SELECT tip_number FROM branch ORDER BY active_seq DESC NULLS LAST, tip_number DESC LIMIT 1
  )) AS number
  FROM wanted w LEFT JOIN shown s ON s.id = w.branch_id AND s.top >= w.depth
)
SELECT found.below, {COLUMNS}
FROM found JOIN messages m ON m.conversation_id = found.conversation_id AND m.number = found.number {RUN}
"""


async def leaves_below(
    database: Database | Session, owner: UserId, ids: Sequence[MessageId]
) -> dict[MessageId, Message]:
    rows = await database.fetch(_LEAVES_BELOW, owner, ids)
    return {MessageId(row["below"]): to_message(row, owner) for row in rows}
