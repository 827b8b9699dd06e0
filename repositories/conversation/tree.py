"""One conversation's tree under its row lock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter

from asyncpg import Record

from domain.conversation.entity import Conversation
from domain.conversation.store import Draft
from domain.generation.entity import Generation, GenerationStatus
from domain.message import Message, MessageStatus, Place
from domain.world import BranchId, GenerationId, MessageId, NodeId, World
from repositories.conversation.row import to_conversation
from repositories.database import Session
from repositories.generation.detail import settings_json, started_json
from repositories.generation.row import Kind, to_generation
from repositories.message.row import COLUMNS, RUN, to_message
from repositories.tables import EventKind

_MESSAGE = f"SELECT {COLUMNS} FROM messages m {RUN} WHERE m.conversation_id = $1 AND m.id = $2"

# Unfinished runs are few: the climb from the message ends at the highest reply among them, and at once without any.
_UNFINISHED_ABOVE = """
WITH RECURSIVE running AS (
  SELECT g.id, m.branch_id, m.depth FROM generations g JOIN messages m ON m.id = g.reply_id
  WHERE g.conversation_id = $1 AND g.ended_at IS NULL AND m.depth <= $3
), segment AS (
  SELECT b.id, b.parent_branch_id, b.fork_depth, $3::int AS top FROM branches b
  WHERE b.id = $2 AND EXISTS (SELECT 1 FROM running)
  UNION ALL
  SELECT b.id, b.parent_branch_id, b.fork_depth, s.fork_depth
  FROM segment s JOIN branches b ON b.id = s.parent_branch_id
  WHERE s.fork_depth >= (SELECT min(depth) FROM running)
)
SELECT g.* FROM running r JOIN segment s ON s.id = r.branch_id AND s.top >= r.depth JOIN generations g ON g.id = r.id
ORDER BY r.depth DESC LIMIT 1
"""

# `place` is where the first draft goes. A parent without children was the tip of its branch, which then goes on.
_PLACE_BELOW = """
WITH parent AS (
  UPDATE messages SET child_count = child_count + 1 WHERE conversation_id = $1 AND id = $2
  RETURNING branch_id, depth, child_count
), opened AS (
  INSERT INTO branches (id, conversation_id, parent_branch_id, fork_depth, tip_number)
  SELECT $3, $1, branch_id, depth, $4 FROM parent WHERE child_count > 1
), extended AS (
  UPDATE branches b SET tip_number = $4 FROM parent WHERE b.id = parent.branch_id AND parent.child_count = 1
), counted AS (
  UPDATE conversations SET message_count = $4, event_seq = event_seq + $5 WHERE id = $1
), place AS (
  SELECT CASE WHEN child_count = 1 THEN branch_id ELSE $3 END AS branch_id, depth + 1 AS depth, child_count AS sibling_index
  FROM parent
)
"""

_PLACE_OF_ROOT = """
WITH opened AS (
  INSERT INTO branches (id, conversation_id, tip_number) VALUES ($3, $1, $4)
), counted AS (
  UPDATE conversations SET message_count = $4, root_count = root_count + 1, event_seq = event_seq + $5
  WHERE id = $1 RETURNING root_count
), place AS (
  SELECT $3::uuid AS branch_id, 0 AS depth, root_count AS sibling_index FROM counted
)
"""

_ADD = """
, told AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, owner_id)
  SELECT $1, $15 + d.n, clock_timestamp(), $16::smallint, d.id, $17
  FROM place, unnest($6::uuid[]) WITH ORDINALITY AS d (id, n)
)
INSERT INTO messages (id, conversation_id, branch_id, parent_id, depth, number, sibling_index, child_count,
  role, status, text, sent_at, received_at, idempotency_key, generation_id, model_key)
SELECT d.id, $1, place.branch_id, coalesce(lag(d.id) OVER (ORDER BY d.n), $2), place.depth + d.n - 1, $4 - $5 + d.n,
  CASE WHEN d.n = 1 THEN place.sibling_index ELSE 1 END, CASE WHEN d.n = $5 THEN 0 ELSE 1 END,
  d.role, d.status, d.text, d.sent_at, d.received_at, d.idempotency_key, d.generation_id, d.model_key
FROM place, unnest($6::uuid[], $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[],
  $12::text[], $13::uuid[], $14::text[]) WITH ORDINALITY
  AS d (id, role, status, text, sent_at, received_at, idempotency_key, generation_id, model_key, n)
RETURNING branch_id, depth, sibling_index
"""

_WAITING = "SELECT count(*) FROM generations WHERE conversation_id = $1 AND ended_at IS NULL AND status = 'QUEUED'"

_REOPEN = """
UPDATE messages SET generation_id = $3, status = $4, completed_at = NULL WHERE conversation_id = $1 AND id = $2
"""

# A run that waits for its turn has no lease, and an empty log.
_BEGIN = """
WITH run AS (
  INSERT INTO generations (id, conversation_id, owner_id, reply_id, trigger, status, model_key, requested_model_key,
    settings, estimated_input_tokens, queued_at, started_at, text_offset, attempt, waits_for, node, lease_until, last_seq)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, now() + $17::interval, $18)
), started AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, detail)
  SELECT $1, 1, now(), $19::smallint, $20::jsonb WHERE $18 = 1
), told AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, generation_id, owner_id)
  VALUES ($2, $21, clock_timestamp(), $22, $4, $1, $3)
)
UPDATE conversations SET event_seq = $21 WHERE id = $2
"""

_ACTIVATE = """
WITH shown AS (
  UPDATE conversations SET active_leaf_id = $2, activations = activations + 1, last_message_at = $4, updated_at = $4,
    state = CASE state WHEN 'INACTIVE' THEN 'ACTIVE' ELSE state END
  WHERE id = $1 RETURNING *
), marked AS (
  UPDATE branches b SET active_seq = shown.activations FROM shown WHERE b.id = $3
)
SELECT * FROM shown
"""


class SqlTree:
    def __init__(self, session: Session, conversation: Conversation, world: World) -> None:
        self._session, self._conversation, self._world = session, conversation, world

    @property
    def conversation(self) -> Conversation:
        return self._conversation

    async def message(self, message_id: MessageId) -> Message | None:
        row = await self._session.fetchrow(_MESSAGE, self.conversation.id, message_id)
        return None if row is None else to_message(row, self.conversation.owner_id)

    async def unfinished_above(self, message: Message) -> Generation | None:
        row = await self._session.fetchrow(
            _UNFINISHED_ABOVE, self.conversation.id, message.place.branch_id, message.depth
        )
        return None if row is None else to_generation(row)

    async def add(self, drafts: Sequence[Draft], parent: Message | None) -> list[Message]:
        place = _PLACE_OF_ROOT if parent is None else _PLACE_BELOW
        tip_number = self.conversation.message_count + len(drafts)
        rows: list[Record] = await self._session.fetch(
            place + _ADD,
            self.conversation.id,
            None if parent is None else parent.id,
            self._world.new_id(),
            tip_number,
            len(drafts),
            *_columns(drafts),
            self.conversation.event_seq,
            EventKind.MESSAGE_ADDED,
            self.conversation.owner_id,
        )
        return self._added(drafts, parent, rows)

    async def waiting(self) -> int:
        [row] = await self._session.fetch(_WAITING, self.conversation.id)
        return int(row["count"])

    async def reopen(self, reply: Message, generation_id: GenerationId) -> Message:
        status = MessageStatus.PENDING
        await self._session.execute(_REOPEN, self.conversation.id, reply.id, generation_id, status.value)
        return replace(reply, generation_id=generation_id, status=status, completed_at=None, text_through_seq=0)

    async def begin(self, generation: Generation, node: NodeId, lease: timedelta) -> Generation:
        queued = generation.status is GenerationStatus.QUEUED
        begun = replace(generation, last_seq=0 if queued else 1)
        event_seq = self.conversation.event_seq + 1
        await self._session.execute(
            _BEGIN,
            *_run(begun),
            *((None, None) if queued else (node, lease)),
            begun.last_seq,
            Kind.STARTED,
            started_json(begun.attempt, begun.model_key),
            event_seq,
            EventKind.REPLY_STARTED,
        )
        self._conversation = replace(self.conversation, event_seq=event_seq)
        return begun

    async def activate(self, leaf: Message, at: datetime) -> Conversation:
        [row] = await self._session.fetch(_ACTIVATE, self.conversation.id, leaf.id, leaf.place.branch_id, at)
        self._conversation = to_conversation(row)
        return self._conversation

    def _added(self, drafts: Sequence[Draft], parent: Message | None, rows: Sequence[Record]) -> list[Message]:
        first_number, parent_id = self.conversation.message_count + 1, None if parent is None else parent.id
        added: list[Message] = []
        for row, draft in zip(sorted(rows, key=itemgetter("depth")), drafts, strict=True):
            place = Place(
                BranchId(row["branch_id"]), parent_id, row["depth"], first_number + len(added), row["sibling_index"]
            )
            added.append(_message(draft, place, self.conversation, child_count=int(draft is not drafts[-1])))
            parent_id = draft.id
        self._conversation = replace(
            self.conversation,
            message_count=self.conversation.message_count + len(added),
            root_count=self.conversation.root_count + int(parent is None),
            event_seq=self.conversation.event_seq + len(added),
        )
        return added


def _message(draft: Draft, place: Place, conversation: Conversation, *, child_count: int) -> Message:
    return Message(
        draft.id,
        conversation.id,
        conversation.owner_id,
        place,
        draft.role,
        draft.status,
        draft.text,
        draft.received_at,
        sent_at=draft.sent_at,
        idempotency_key=draft.idempotency_key,
        child_count=child_count,
        generation_id=draft.generation_id,
        model_key=draft.model_key,
    )


def _columns(drafts: Sequence[Draft]) -> list[list[object]]:
    """As _ADD unnests them."""
    return [
        [draft.id for draft in drafts],
        [draft.role.value for draft in drafts],
        [draft.status.value for draft in drafts],
        [draft.text for draft in drafts],
        [draft.sent_at for draft in drafts],
        [draft.received_at for draft in drafts],
        [draft.idempotency_key for draft in drafts],
        [draft.generation_id for draft in drafts],
        [draft.model_key for draft in drafts],
    ]


def _run(generation: Generation) -> tuple[object, ...]:
    """As _BEGIN takes it."""
    return (
        generation.id,
        generation.conversation_id,
        generation.owner_id,
        generation.reply_id,
        generation.trigger.value,
        generation.status.value,
        generation.model_key,
        generation.requested_model_key,
        settings_json(generation.settings),
        generation.estimated_input_tokens,
        generation.queued_at,
        generation.started_at,
        generation.text_offset,
        generation.attempt,
        generation.waits_for,
    )
