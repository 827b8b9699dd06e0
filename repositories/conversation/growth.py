"""What a tree grows by, in the statement that opens its conversation or that goes on under its lock."""

from collections.abc import Sequence

from domain.conversation.entity import Conversation
from domain.conversation.store import Draft, NewRun
from domain.generation.entity import GenerationStatus
from domain.job import JobKind
from domain.message import Message, Place
from repositories.generation.context import context_json
from repositories.generation.detail import notices_json, prices_json, settings_json, started_json, tokens_json
from repositories.generation.row import Kind
from repositories.job.rows import enqueue
from repositories.money import nano
from repositories.tables import EventKind

# `run` writes the leaf; $4 null: none does. One that waits for its turn has no lease, and an empty log. $23: the path down to
# that message is to be summed up; one job of a conversation at a time.
BEGIN = f"""
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
  SELECT $4, $16, now(), {Kind.STARTED:d}, $19::jsonb FROM conversation WHERE $16::int = 1
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


# The drafts $33 to $42 at `place`, which is below $31 (null: a root), on the new branch $32 where its own is taken.
PLACED = f"""
, opened AS (
  INSERT INTO branches (id, conversation_id, parent_branch_id, fork_depth, tip_number, active_seq)
  SELECT place.branch_id, c.id, place.parent_branch_id, place.fork_depth, c.message_count, c.activations
  FROM place, conversation c WHERE place.branch_id = $32
), extended AS (
  UPDATE branches b SET tip_number = c.message_count, active_seq = c.activations
  FROM place, conversation c WHERE b.id = place.branch_id AND place.branch_id <> $32
), draft AS (
  SELECT * FROM unnest($33::uuid[], $34::text[], $35::text[], $36::text[], $37::timestamptz[], $38::timestamptz[],
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
  SELECT c.id, c.event_seq - ($4::uuid IS NOT NULL)::int - cardinality($33) + d.n, statement_timestamp(),
    {EventKind.MESSAGE_ADDED:d}, d.id, c.owner_id
  FROM conversation c, draft d
)
"""


def placed(drafts: Sequence[Draft], conversation: Conversation, first: Place) -> tuple[Message, ...]:
    """As a chain from `first` on."""
    parents = [first.parent_id, *(draft.id for draft in drafts)]
    return tuple(
        _message(
            draft,
            Place(
                first.branch_id,
                parents[n],
                first.depth + n,
                first.number + n,
                first.sibling_index if n == 0 else 1,
            ),
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


def draft_columns(drafts: Sequence[Draft]) -> list[list[object]]:
    """As PLACED unnests them."""
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


def run_columns(run: NewRun) -> tuple[object, ...]:
    """As BEGIN takes it."""
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


NO_RUN = (None,) * 27
