"""One conversation's tree under its row lock."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from domain.conversation.entity import Conversation
from domain.conversation.store import Draft, Grown, NewRun, Standing
from domain.generation.entity import Generation, GenerationStatus
from domain.instruction import InstructionScope
from domain.job import JobKind
from domain.message import Message, Place
from domain.world import BranchId, GenerationId, MessageId, World
from repositories.conversation.change import change, show
from repositories.conversation.row import to_conversation
from repositories.database import Session
from repositories.generation.context import context_json
from repositories.generation.detail import notices_json, prices_json, settings_json, started_json, tokens_json
from repositories.generation.row import Kind, to_generation
from repositories.instruction import say
from repositories.job.rows import enqueue
from repositories.message.leaf import leaves_below
from repositories.message.row import COLUMNS, RUN, to_message
from repositories.money import nano
from repositories.tables import EventKind

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

# `run` writes the leaf; $4 null: none does. One that waits for its turn has no lease, and an empty log. $23: the path down to
# that message is to be summed up; one job of a conversation at a time.
_BEGIN = f"""
, run AS (
  INSERT INTO generations (id, conversation_id, owner_id, reply_id, trigger, status, model_key, requested_model_key,
    settings, estimated_input_tokens, queued_at, started_at, text_offset, attempt, waits_for, last_seq, node, lease_until,
    instruction, context, notices, payer_id, api_key_id, reserved_at, reserved_messages, reserved_tokens, reserved_nano,
    prices, address_id)
  SELECT $4, id, owner_id, $2, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, now() + $18::interval,
    $20, $21, $22, $24, $25, CASE WHEN $24::uuid IS NOT NULL THEN now() END, $26, $27, $28, $29, $30
  FROM conversation WHERE $4::uuid IS NOT NULL
), started AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, detail)
  SELECT $4, $16, now(), {Kind.STARTED:d}, $19::jsonb WHERE $16::int = 1
), told_of_run AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, generation_id, owner_id)
  SELECT id, event_seq, statement_timestamp(), {EventKind.REPLY_STARTED:d}, $2, $4, owner_id
  FROM conversation WHERE $4::uuid IS NOT NULL
), job AS (
  {
    enqueue(
        JobKind.SUMMARY,
        key="id",
        owner="owner_id",
        conversation="id",
        message="$23::uuid",
    )
}
  FROM conversation WHERE $23::uuid IS NOT NULL
  ON CONFLICT DO NOTHING
)
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
), opened AS (
  INSERT INTO branches (id, conversation_id, parent_branch_id, fork_depth, tip_number, active_seq)
  SELECT place.branch_id, c.id, place.parent_branch_id, place.fork_depth, c.message_count, c.activations
  FROM place, conversation c WHERE place.branch_id = $32
), extended AS (
  UPDATE branches b SET tip_number = c.message_count, active_seq = c.activations
  FROM place, conversation c WHERE b.id = place.branch_id AND place.branch_id <> $32
), draft AS (
  SELECT * FROM unnest($33, $34::text[], $35::text[], $36::text[], $37::timestamptz[], $38::timestamptz[],
    $39::text[], $40::uuid[], $41::text[], $42::jsonb[]) WITH ORDINALITY
    AS d (id, role, status, text, sent_at, received_at, idempotency_key, generation_id, model_key, tokens, n)
), added AS (
  INSERT INTO messages (id, conversation_id, branch_id, parent_id, depth, number, sibling_index, child_count,
    role, status, text, sent_at, received_at, idempotency_key, generation_id, model_key, tokens)
  SELECT d.id, c.id, place.branch_id, coalesce(lag(d.id) OVER (ORDER BY d.n), $31), place.depth + d.n - 1,
    c.message_count - cardinality($33) + d.n, CASE WHEN d.n = 1 THEN place.sibling_index ELSE 1 END,
    (d.n < cardinality($33))::int, d.role, d.status, d.text, d.sent_at, d.received_at, d.idempotency_key,
    d.generation_id, d.model_key, d.tokens
  FROM conversation c, place, draft d
), told_of_messages AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, owner_id)
  SELECT c.id, c.event_seq - ($4 IS NOT NULL)::int - cardinality($33) + d.n, statement_timestamp(),
    {EventKind.MESSAGE_ADDED:d}, d.id, c.owner_id
  FROM conversation c, draft d
)
{_BEGIN}
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
{_BEGIN}
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
        written = _run(run) if run else _NO_RUN
        # No row where the parent is of another conversation: then it is a bug, and nothing is kept.
        [row] = await self._session.fetch(
            _GROW,
            self.conversation.id,
            leaf.id,
            leaf.received_at,
            *written,
            parent_id,
            self._world.new_id(),
            *_columns(drafts),
        )
        self._conversation = to_conversation(row)
        return Grown(self._conversation, _placed(drafts, self._conversation, row, parent_id))

    async def reopen(self, reply: Message, run: NewRun) -> Grown:
        begun, status = run.generation, run.generation.status.of_reply()
        [row] = await self._session.fetch(
            _REOPEN, self.conversation.id, reply.id, begun.queued_at, *_run(run), status.value
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


def _placed(
    drafts: Sequence[Draft], conversation: Conversation, row: Record, parent_id: MessageId | None
) -> tuple[Message, ...]:
    branch_id, number = BranchId(row["branch_id"]), conversation.message_count - len(drafts) + 1
    parents = [parent_id, *(draft.id for draft in drafts)]
    return tuple(
        _message(
            draft,
            Place(branch_id, parents[n], row["depth"] + n, number + n, row["sibling_index"] if n == 0 else 1),
            conversation,
            child_count=int(n + 1 < len(drafts)),
        )
        for n, draft in enumerate(drafts)
    )


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
        tokens=None if draft.tokens is None else draft.tokens.tokens,
    )


def _columns(drafts: Sequence[Draft]) -> list[list[object]]:
    """As _GROW unnests them."""
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
        [tokens_json(draft.tokens) for draft in drafts],
    ]


def _run(run: NewRun) -> tuple[object, ...]:
    """As _BEGIN takes it."""
    generation, queued = run.generation, run.generation.status is GenerationStatus.QUEUED
    return (
        generation.id,
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
        generation.last_seq,
        *((None, None) if queued else (run.node, run.lease)),
        started_json(generation.attempt, generation.model_key),
        generation.instruction,
        context_json(generation.context),
        notices_json(generation.notices),
        run.sums_up,
        *_held(run),
    )


def _held(run: NewRun) -> tuple[object, ...]:
    """What was counted for it in this transaction."""
    if run.admitted is None:
        return None, None, 0, 0, None, None, None
    payer, claim = run.admitted.payer, run.admitted.claim
    reserved = claim.messages, claim.tokens, nano(claim.cost), prices_json(claim.prices)
    return payer.subject, payer.key_id, *reserved, payer.address


_NO_RUN = (None,) * 27
