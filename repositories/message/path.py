"""The path from a root down to a message, read upwards: branch by branch, and no further than asked."""

from collections.abc import Sequence
from uuid import UUID

from domain.errors import BadPage
from domain.message import Message
from domain.page import Page, PageArgs, page_of
from domain.world import MessageId, UserId
from repositories.database import Database
from repositories.message.row import COLUMNS, OWNED, RUN, to_message

# A segment is the part of the path that lies in one branch: from below its fork to `top`. Of the path `high` is the
# lowest message wanted (it has the greatest depth), `low` the highest. LATERAL shows the planner both ends of each
# range of (branch_id, depth).
SEGMENTS = f"""
WITH RECURSIVE segment AS (
  SELECT b.id, b.parent_branch_id, coalesce(b.fork_depth, -1) AS fork, m.depth AS top,
    m.depth - $3 AS high, m.depth - $3 - $4 + 1 AS low
  FROM messages m {OWNED} JOIN branches b ON b.id = m.branch_id
  WHERE m.id = $2
  UNION ALL
  SELECT b.id, b.parent_branch_id, coalesce(b.fork_depth, -1), s.fork, s.high, s.low
  FROM segment s JOIN branches b ON b.id = s.parent_branch_id
  WHERE s.fork >= s.low
)
"""

OF_SEGMENTS = """
FROM segment s CROSS JOIN LATERAL (
  SELECT * FROM messages
  WHERE branch_id = s.id AND depth > greatest(s.fork, s.low - 1) AND depth <= least(s.top, s.high)
  OFFSET 0
) m
"""

_UPWARDS = f"{SEGMENTS} SELECT {COLUMNS} {OF_SEGMENTS} {RUN} WHERE s.fork < s.high ORDER BY m.depth"

# Two climbers, from the leaf ($3 at depth $4) and from a message; the one whose branch begins deeper goes up to the
# message that its branch answers. They meet in the branch of the deepest common ancestor, or leave by two roots.
# OFFSET 0 keeps the planner from making a hash of all branches at each step.
_SHARED_DEPTHS = f"""
WITH RECURSIVE named AS (
  SELECT m.id, m.branch_id, m.depth FROM messages m {OWNED} WHERE m.conversation_id = $2 AND m.id = ANY($5)
), climb AS (
  SELECT n.id, p.id AS path, p.parent_branch_id AS path_parent, coalesce(p.fork_depth, -1) AS path_fork,
    $4::int AS path_depth, o.id AS other, o.parent_branch_id AS other_parent,
    coalesce(o.fork_depth, -1) AS other_fork, n.depth AS other_depth
  FROM named n JOIN branches o ON o.id = n.branch_id JOIN branches p ON p.id = $3
  UNION ALL
  SELECT s.id, p.id, p.parent_branch_id, coalesce(p.fork_depth, -1), s.path_depth,
    o.id, o.parent_branch_id, coalesce(o.fork_depth, -1), s.other_depth
  FROM (
    SELECT id,
      CASE WHEN path_fork >= other_fork THEN path_parent ELSE path END AS path,
      CASE WHEN path_fork >= other_fork THEN path_fork ELSE path_depth END AS path_depth,
      CASE WHEN path_fork >= other_fork THEN other ELSE other_parent END AS other,
      CASE WHEN path_fork >= other_fork THEN other_depth ELSE other_fork END AS other_depth
    FROM climb WHERE path <> other
  ) s
  CROSS JOIN LATERAL (SELECT * FROM branches WHERE id = s.path OFFSET 0) p
  CROSS JOIN LATERAL (SELECT * FROM branches WHERE id = s.other OFFSET 0) o
)
SELECT n.id, coalesce(least(c.path_depth, c.other_depth), -1) AS depth
FROM named n LEFT JOIN climb c ON c.id = n.id AND c.path = c.other
"""


async def path(
    database: Database, owner: UserId, leaf: Message, page: PageArgs, *, highest: int = 0, lowest: int | None = None
) -> Page[Message]:
    low, high = await _bounds(database, owner, leaf, page)
    low, high = max(low, highest), high if lowest is None else min(high, lowest)
    if page.backward:
        low = max(low, high - page.size)
    else:
        high = min(high, low + page.size)
    rows = await upwards(database, owner, leaf.id, skip=leaf.depth - high, limit=high - low + 1)
    return page_of(rows, page, lambda message: str(message.id))


async def upwards(database: Database, owner: UserId, newest: MessageId, *, skip: int, limit: int) -> list[Message]:
    """In the order of depth."""
    if limit <= 0:
        return []
    return [to_message(row, owner) for row in await database.fetch(_UPWARDS, owner, newest, skip, limit)]


async def _bounds(database: Database, owner: UserId, leaf: Message, page: PageArgs) -> tuple[int, int]:
    """The depths between the two cursors."""
    named = {cursor: message_cursor(cursor) for cursor in (page.after, page.before) if cursor is not None}
    if not named:
        return 0, leaf.depth
    depths = await shared_depths(database, owner, leaf, list(named.values()))
    if len(depths) < len(set(named.values())):
        raise no_such_cursor()
    low = depths[named[page.after]] + 1 if page.after is not None else 0
    high = depths[named[page.before]] - 1 if page.before is not None else leaf.depth
    return low, high


async def shared_depths(database: Database, owner: UserId, leaf: Message, others: Sequence[UUID]) -> dict[UUID, int]:
    """Of the deepest message that each path shares with the leaf's; -1 without any."""
    rows = await database.fetch(_SHARED_DEPTHS, owner, leaf.conversation_id, leaf.place.branch_id, leaf.depth, others)
    return {row["id"]: row["depth"] for row in rows}


def message_cursor(cursor: str) -> UUID:
    """Raises BadPage."""
    try:
        return UUID(cursor)
    except ValueError:
        raise no_such_cursor() from None


def no_such_cursor() -> BadPage:
    return BadPage("`after` and `before` take a cursor that this list has given.")
