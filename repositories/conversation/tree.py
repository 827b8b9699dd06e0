"""One conversation's tree under its row lock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.conversation.entity import Conversation
from domain.conversation.store import Draft, Grown, NewRun, Standing
from domain.generation.entity import Generation
from domain.instruction import InstructionScope
from domain.message import Message, Place
from domain.world import BranchId, GenerationId, MessageId, World
from repositories.conversation.change import change, show
from repositories.conversation.growth import BEGIN, NO_RUN, PLACED, draft_columns, placed, run_columns
from repositories.conversation.row import to_conversation
from repositories.database import Session
from repositories.generation.row import to_generation
from repositories.instruction import say
from repositories.message.leaf import leaves_below
from repositories.message.row import COLUMNS, RUN, to_message

# A statement of its own after the lock: the snapshot of the one that waits for the lock is older than the lock.
# Unfinished runs are few: the climb from the message ends at the highest reply among them, and at once without any.
_LOOK = f"""
WITH RECURSIVE unfinished AS (
  SELECT id, reply_id, status FROM generations WHERE conversation_id = $1 AND ended_at IS NULL
), named AS (
  SELECT id, branch_id, depth FROM messages WHERE conversation_id = $1 AND id = $2
), running AS (
  SELECT g.id, m.branch_id, m.depth FROM unfinished g JOIN messages m ON m.id = g.reply_id
  WHERE m.depth <= (SELECT depth FROM named)
), segment AS (
  SELECT b.id, b.parent_branch_id, b.fork_depth, named.depth AS top FROM named JOIN branches b ON b.id = named.branch_id
  WHERE EXISTS (SELECT 1 FROM running)
  UNION ALL
  SELECT b.id, b.parent_branch_id, b.fork_depth, s.fork_depth
  FROM segment s JOIN branches b ON b.id = s.parent_branch_id
  WHERE s.fork_depth >= (SELECT min(depth) FROM running)
)
SELECT {COLUMNS}, (
    SELECT r.id FROM running r JOIN segment s ON s.id = r.branch_id AND s.top >= r.depth ORDER BY r.depth DESC LIMIT 1
  ) AS unfinished_id, (SELECT count(*) FROM unfinished WHERE status = 'QUEUED') AS waiting
FROM named JOIN messages m ON m.id = named.id {RUN}
"""

_RUN = "SELECT * FROM generations WHERE id = $1"

_SHOWN = """
active_leaf_id = $2, activations = activations + 1, last_message_at = $3, updated_at = $3,
state = CASE state WHEN 'INACTIVE' THEN 'ACTIVE' ELSE state END, has_unread = false
"""

# `place` is where the first draft goes. A parent without children was the tip of its branch, which then goes on.
_GROW = f"""
WITH conversation AS (
  UPDATE conversations SET message_count = message_count + cardinality($33::uuid[]),
    root_count = root_count + ($31::uuid IS NULL)::int,
    event_seq = event_seq + cardinality($33) + ($4::uuid IS NOT NULL)::int, {_SHOWN}
  WHERE id = $1 RETURNING *
), parent AS (
  UPDATE messages SET child_count = child_count + 1 WHERE conversation_id = $1 AND id = $31
  RETURNING branch_id, depth, child_count
), place AS (
  SELECT $32::uuid AS branch_id, branch_id AS parent_branch_id, depth AS fork_depth, depth + 1 AS depth,
    child_count AS sibling_index
  FROM parent WHERE child_count > 1
  UNION ALL
  SELECT branch_id, NULL, NULL, depth + 1, 1 FROM parent WHERE child_count = 1
  UNION ALL
  SELECT $32, NULL, NULL, 0, root_count FROM conversation WHERE $31 IS NULL
)
{PLACED}
{BEGIN}
SELECT c.*, place.branch_id, place.depth, place.sibling_index FROM conversation c, place
"""

_REOPEN = f"""
WITH conversation AS (
  UPDATE conversations SET event_seq = event_seq + 1, {_SHOWN} WHERE id = $1 RETURNING *
), reply AS (
  UPDATE messages SET generation_id = $4, status = $31, completed_at = NULL WHERE conversation_id = $1 AND id = $2
  RETURNING branch_id
), marked AS (
  UPDATE branches b SET active_seq = c.activations FROM reply, conversation c WHERE b.id = reply.branch_id
)
{BEGIN}
SELECT * FROM conversation
"""

_TAKE_UP = "UPDATE generations SET handed_over = false WHERE id = $1 AND handed_over"


class SqlTree:
    def __init__(self, session: Session, conversation: Conversation, world: World) -> None:
        self._session, self._conversation, self._world = session, conversation, world

    @property
    def conversation(self) -> Conversation:
        return self._conversation

    async def look(self, message_id: MessageId | None) -> Standing:
        row = None
        if message_id is not None:
            row = await self._session.fetchrow(_LOOK, self.conversation.id, message_id)
        if row is None:
            return Standing(None, None, 0)
        message = to_message(row, self.conversation.owner_id)
        return Standing(message, await self._run(row["unfinished_id"]), row["waiting"])

    async def grow(self, drafts: Sequence[Draft], parent: Message | None, run: NewRun | None = None) -> Grown:
        leaf, parent_id = drafts[-1], None if parent is None else parent.id
        written = run_columns(run) if run else NO_RUN
        # No row where the parent is of another conversation: then it is a bug, and nothing is kept.
        [row] = await self._session.fetch(
            _GROW,
            self.conversation.id,
            leaf.id,
            leaf.received_at,
            *written,
            parent_id,
            self._world.new_id(),
            *draft_columns(drafts),
        )
        self._conversation = to_conversation(row)
        first = Place(
            BranchId(row["branch_id"]),
            parent_id,
            row["depth"],
            self._conversation.message_count - len(drafts) + 1,
            row["sibling_index"],
        )
        return Grown(self._conversation, placed(drafts, self._conversation, first))

    async def reopen(self, reply: Message, run: NewRun) -> Grown:
        begun, status = run.generation, run.generation.status.of_reply()
        [row] = await self._session.fetch(
            _REOPEN, self.conversation.id, reply.id, begun.queued_at, *run_columns(run), status.value
        )
        self._conversation = to_conversation(row)
        reopened = replace(reply, generation_id=begun.id, status=status, completed_at=None, text_through_seq=0)
        return Grown(self._conversation, (reopened,))

    async def instruct(self, text: str | None) -> bool:
        scope, conversation = InstructionScope.CONVERSATION, self.conversation
        return await say(self._session, self._world, scope, str(conversation.id), text or "", by=conversation.owner_id)

    async def change(self, changed: Conversation) -> Conversation:
        self._conversation = await change(self._session, changed)
        return self._conversation

    async def leaf_below(self, message_id: MessageId) -> Message:
        return (await leaves_below(self._session, self.conversation.owner_id, [message_id]))[message_id]

    async def show(self, leaf: Message, at: datetime) -> Conversation:
        self._conversation = await show(self._session, self.conversation, leaf, at)
        return self._conversation

    async def take_up(self, generation_id: GenerationId) -> bool:
        return await self._session.execute(_TAKE_UP, generation_id) == 1

    async def _run(self, run_id: UUID | None) -> Generation | None:
        """A path that is busy costs a statement more."""
        row = await self._session.fetchrow(_RUN, run_id) if run_id else None
        return None if row is None else to_generation(row)
