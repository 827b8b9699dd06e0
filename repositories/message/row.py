"""One message as it is now: its row, its latest run, and while that is unfinished what its log says."""

import json
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from domain.generation.entity import GenerationStatus
from domain.generation.log import LogEntry, reasoning_of, text_of
from domain.message import Message, MessageRole, MessageStatus, Place
from domain.model import ModelKey
from domain.world import BranchId, ConversationId, GenerationId, MessageId, UserId
from repositories.generation.row import Kind, to_entry

_STATUS_WHILE_IT_RUNS = " ".join(
    f"WHEN '{status.value}' THEN '{status.of_reply().value}'"
    for status in (GenerationStatus.QUEUED, GenerationStatus.RUNNING)
)

# `m` is a row of messages, `run` its latest run. OFFSET 0 keeps the planner from making a hash of all generations,
# and only the log of an unfinished run is read.
RUN = f"""
LEFT JOIN LATERAL (
  SELECT g.last_seq AS run_last_seq, g.first_token_at AS run_first_token_at, g.model_key AS run_model_key,
    CASE WHEN g.ended_at IS NULL THEN CASE g.status {_STATUS_WHILE_IT_RUNS} END END AS live_status,
    CASE WHEN g.ended_at IS NULL THEN (
      SELECT json_agg(json_build_array(e.seq, e.at, e.kind, e.text, e.position, e.detail::text) ORDER BY e.seq)
      FROM generation_events e
      WHERE e.generation_id = g.id AND e.kind IN ({Kind.TEXT:d}, {Kind.REASONING:d}, {Kind.TRUNCATED:d})
    ) END AS log
  FROM generations g WHERE g.id = m.generation_id OFFSET 0
) run ON true
"""

COLUMNS = """
m.id, m.conversation_id, m.branch_id, m.parent_id, m.depth, m.number, m.sibling_index, m.child_count, m.role,
coalesce(run.live_status, m.status) AS status, m.text, m.reasoning, m.sent_at, m.received_at,
coalesce(m.first_token_at, run.run_first_token_at) AS first_token_at, m.completed_at, m.idempotency_key,
m.generation_id, m.tokens, coalesce(m.model_key, run.run_model_key) AS model_key, coalesce(run.run_last_seq, 0) AS through_seq,
run.log
"""

# Not yours, deleted and not there are the same.
OWNED = "JOIN conversations c ON c.id = m.conversation_id AND c.owner_id = $1 AND c.deleted_at IS NULL"


def to_message(row: Record, owner: UserId) -> Message:
    text, reasoning = _words(row)
    return Message(
        id=MessageId(row["id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        owner_id=owner,
        place=Place(
            BranchId(row["branch_id"]),
            None if row["parent_id"] is None else MessageId(row["parent_id"]),
            row["depth"],
            row["number"],
            row["sibling_index"],
        ),
        role=MessageRole(row["role"]),
        status=MessageStatus(row["status"]),
        text=text,
        received_at=row["received_at"],
        reasoning=reasoning,
        sent_at=row["sent_at"],
        first_token_at=row["first_token_at"],
        completed_at=row["completed_at"],
        idempotency_key=row["idempotency_key"],
        child_count=row["child_count"],
        generation_id=None if row["generation_id"] is None else GenerationId(row["generation_id"]),
        model_key=None if row["model_key"] is None else ModelKey(row["model_key"]),
        text_through_seq=row["through_seq"],
        tokens=max(json.loads(row["tokens"]).values(), default=None) if row["tokens"] else None,
    )


def _words(row: Record) -> tuple[str, str | None]:
    if not row["log"]:
        return row["text"], row["reasoning"]
    entries = [_entry(row["generation_id"], *event) for event in json.loads(row["log"])]
    return text_of(entries, kept=row["text"]), reasoning_of(entries) or row["reasoning"]


def _entry(run_id: UUID, seq: int, at: str, *event: object) -> LogEntry:
    logged = zip(("kind", "text", "position", "detail"), event, strict=True)
    return to_entry(run_id, {"seq": seq, "at": datetime.fromisoformat(at), **dict(logged)})
