"""What the owner of a run commits to its log: what gathered, and the end."""

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

from domain.generation.entity import Ending, Generation
from domain.generation.log import (
    Append,
    Appended,
    Ended,
    NewCut,
    NewEntry,
    NewNotice,
    NewStart,
    NewText,
    TruncationReason,
)
from domain.job import JobKind
from domain.text import is_blank
from domain.world import GenerationId
from repositories.database import Database
from repositories.generation.detail import (
    attempts_json,
    finished_json,
    notice_json,
    notices_json,
    started_json,
    tokens_json,
    truncated_json,
    turned_to_json,
)
from repositories.generation.row import Kind, to_stop
from repositories.job.rows import enqueue
from repositories.ledger.entry import RUN_ENTERED, used
from repositories.money import nano
from repositories.quota.sql import LOCKED, SETTLED
from repositories.tables import EventKind

# A title that does not come about at the beginning is tried again with the next replies, but not for ever.
MOST_MESSAGES_WITHOUT_TITLE = 10

# The row lock, not the statement's snapshot, decides: a locked row is read as it is now.
# IS TRUE keeps the planner, which expects few events, from comparing each event with each run instead of a hash.
_APPEND = """
WITH held AS (
  SELECT g.id, g.attempt, g.last_seq, g.ended_at, g.stop_requested_at, g.stop_seen_seq, b.last,
    g.stop_reason, b.tokens, b.turned_to, b.notices,
    g.attempt = b.attempt AND g.last_seq = b.previous AND g.ended_at IS NULL AND b.last > b.previous AS taken
  FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::jsonb[], $7::jsonb[])
    AS b (id, attempt, previous, last, tokens, turned_to, notices)
  JOIN generations g ON g.id = b.id
  ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED
), written AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, text, position, detail)
  SELECT e.id, e.seq, now(), e.kind, e.text, e.position, e.detail
  FROM unnest($8::uuid[], $9::int[], $10::smallint[], $11::text[], $12::int[], $13::jsonb[])
    AS e (id, seq, kind, text, position, detail)
  WHERE (e.id IN (SELECT id FROM held WHERE taken)) IS TRUE
), moved AS (
  UPDATE generations g SET last_seq = h.last, produced_tokens = g.produced_tokens + h.tokens,
    first_token_at = coalesce(g.first_token_at, CASE WHEN h.tokens > 0 THEN greatest(now(), g.queued_at) END),
    model_key = coalesce(h.turned_to->>'model', g.model_key),
    settings = CASE WHEN h.turned_to IS NULL THEN g.settings ELSE g.settings || h.turned_to END,
    notices = CASE WHEN h.notices IS NULL THEN g.notices ELSE coalesce(g.notices, '[]') || h.notices END
  FROM held h WHERE g.id = h.id AND h.taken
)
SELECT id, attempt, CASE WHEN taken THEN last ELSE last_seq END AS last_seq, CASE WHEN taken THEN now() END AS at,
  ended_at, stop_requested_at, stop_seen_seq, stop_reason
FROM held
"""

# One statement, so that a process that is frozen or dies in the middle holds no lock. Counters are locked first, and then the
# conversation, as a send does it. Where it has changed since the statement's snapshot was taken, others may have queued up
# behind this run unseen: then nothing is written, and the statement is repeated.
# A run that was asked to stop ends STOPPED: of the two the lock of its row decides which came first.
# Who waits for a run that is stopped before its turn waits for the one before that.
# Nothing is told of a deleted conversation after its deletion. The end of a run that held a slot calls all who wait for
# one: storage does not know which models share a line.
_FINISH = f"""
WITH counters AS MATERIALIZED ({LOCKED.format(run="$1")}), locked AS MATERIALIZED (
  SELECT now.version = c.xmin AS unchanged
  FROM conversations c CROSS JOIN (SELECT count(*) AS count FROM counters) first CROSS JOIN LATERAL (
    SELECT xmin AS version FROM conversations WHERE id = c.id AND first.count >= 0 FOR NO KEY UPDATE
  ) now
  WHERE c.id = $25
), found AS (
  SELECT g.*, (SELECT id FROM generations WHERE id = g.waits_for AND ended_at IS NULL) AS still_ahead
  FROM locked CROSS JOIN LATERAL (
    SELECT id, line, waits_for, stop_requested_at, stop_seen_seq, stop_reason, greatest(now(), queued_at) AS at
    FROM generations
    WHERE id = $1 AND attempt = $2 AND last_seq = $3 AND ended_at IS NULL AND locked.unchanged FOR NO KEY UPDATE
  ) g
), run AS (
  SELECT * FROM found WHERE $7 = 'STOPPED' OR stop_requested_at IS NULL
), moved_up AS (
  UPDATE generations g SET waits_for = run.still_ahead
  FROM run WHERE g.waits_for = run.id AND g.status = 'QUEUED' AND run.still_ahead IS NOT NULL
), written AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, position, detail)
  SELECT run.id, $3 + e.n, now(), e.kind, e.position, e.detail
  FROM run, unnest($4::smallint[], $5::int[], $6::jsonb[]) WITH ORDINALITY AS e (kind, position, detail, n)
), ended AS (
  UPDATE generations g SET ended_at = run.at, last_seq = $3 + cardinality($4), lease_until = NULL,
    queue_position = NULL, status = $7, finish_reason = $8, error_code = $9, error_retryable = $10,
    error_retry_after = $11, input_tokens = $12, output_tokens = $13, cached_input_tokens = $14, reasoning_tokens = $15,
    usage_source = $16, cost_nano = $17, model_key = coalesce($18, g.model_key), notices = coalesce(g.notices, $19),
    attempts = $20, handed_over = $24
  FROM run WHERE g.id = run.id
  RETURNING g.*
), {SETTLED}, {RUN_ENTERED}, reply AS (
  UPDATE messages m SET status = $21, text = $22, tokens = $27::jsonb,
    reasoning = coalesce($23, m.reasoning), model_key = ended.model_key,
    first_token_at = coalesce(m.first_token_at, ended.first_token_at), completed_at = ended.ended_at
  FROM ended WHERE m.id = ended.reply_id
), conversation AS (
  UPDATE conversations c SET last_message_at = greatest(c.last_message_at, ended.ended_at),
    updated_at = greatest(c.updated_at, ended.ended_at), event_seq = c.event_seq + (c.deleted_at IS NULL)::int,
    has_unread = true, {used("ended.error_code IS NOT NULL")}
  FROM ended WHERE c.id = ended.conversation_id
  RETURNING c.event_seq, c.deleted_at, c.title_source, c.message_count
), told AS (
  INSERT INTO conversation_events (conversation_id, seq, at, kind, message_id, generation_id, owner_id)
  SELECT ended.conversation_id, c.event_seq, clock_timestamp(), {EventKind.REPLY_FINISHED:d}, ended.reply_id, ended.id,
    ended.owner_id
  FROM ended, conversation c WHERE c.deleted_at IS NULL
), job AS (
  {
    enqueue(
        JobKind.TITLE,
        key="ended.conversation_id",
        owner="ended.owner_id",
        conversation="ended.conversation_id",
        message="ended.reply_id",
    )
}
  FROM ended, conversation c
  WHERE $26 AND c.title_source = 'NONE' AND c.deleted_at IS NULL AND c.message_count <= {MOST_MESSAGES_WITHOUT_TITLE}
  ON CONFLICT DO NOTHING RETURNING id
)
SELECT locked.unchanged, stop.*, (
    run.still_ahead IS NULL AND EXISTS (SELECT 1 FROM generations q WHERE q.status = 'QUEUED' AND q.waits_for = run.id)
  ) OR (run.line IS NOT NULL AND EXISTS (SELECT 1 FROM generations q WHERE q.status = 'QUEUED')) AS awaited,
  EXISTS (SELECT 1 FROM job) AS left_job
FROM locked LEFT JOIN run ON true LEFT JOIN (
  SELECT stop_requested_at, stop_seen_seq, stop_reason FROM found WHERE id NOT IN (SELECT id FROM run)
) stop ON true
"""


async def append(database: Database, batch: Sequence[Append]) -> dict[GenerationId, Appended]:
    runs = [_run(run) for run in batch]
    events = [
        (run.generation_id, seq, *_event(entry))
        for run in batch
        for seq, entry in enumerate(run.entries, run.previous + 1)
    ]
    async with database.session(urgent=True) as session:
        rows = await session.fetch(_APPEND, *_columns(runs, 7), *_columns(events, 6))
    return {
        GenerationId(row["id"]): Appended(
            row["attempt"], row["last_seq"], ended=row["ended_at"] is not None, stop=to_stop(row), at=row["at"]
        )
        for row in rows
    }


async def finish(
    database: Database,
    generation: Generation,
    ending: Ending,
    cost: Decimal | None,
    *,
    previous: int,
    cut_to: int | None,
    titles: bool,
) -> Ended:
    """`titles`: a conversation without a title is given one, now that a reply has a text."""
    events: list[tuple[object, ...]] = [(Kind.FINISHED, None, finished_json(ending))]
    if cut_to is not None:
        events.insert(0, (Kind.TRUNCATED, cut_to, truncated_json(TruncationReason.STOPPED)))
    run = generation.id, generation.attempt, previous
    left = titles and not is_blank(ending.text), tokens_json(ending.tokens)
    end = *_columns(events, 3), *_ending(ending, cost), generation.conversation_id, *left
    while True:
        row = await database.fetchrow(_FINISH, *run, *end)
        if row is None or row["unchanged"]:
            return Ended() if row is None else Ended(bool(row["awaited"]), to_stop(row), row["left_job"])


def _run(run: Append) -> tuple[object, ...]:
    """With the tokens of its texts, of which each has one at least, the settings of the model that it turns to, and its notices."""
    tokens = sum(entry.tokens for entry in run.entries if isinstance(entry, NewText))
    starts = [entry for entry in run.entries if isinstance(entry, NewStart)]
    notices = [entry.notice for entry in run.entries if isinstance(entry, NewNotice)]
    turned_to = turned_to_json(starts[-1]) if starts else None
    return run.generation_id, run.attempt, run.previous, run.last, tokens, turned_to, notices_json(notices)


def _event(entry: NewEntry) -> tuple[object, ...]:
    """kind, text, position, detail"""
    match entry:
        case NewText(text, offset, reasoning):
            return Kind.REASONING if reasoning else Kind.TEXT, text, offset, None
        case NewStart(attempt, model_key):
            return Kind.STARTED, None, None, started_json(attempt, model_key)
        case NewNotice(notice):
            return Kind.NOTICE, None, None, notice_json(notice)
        case NewCut(length, reason):
            return Kind.TRUNCATED, None, length, truncated_json(reason)
        case _:
            assert_never(entry)


def _ending(ending: Ending, cost: Decimal | None) -> tuple[object, ...]:
    error, usage = ending.error, ending.usage
    return (
        ending.status.value,
        ending.finish_reason.value,
        *((error.code.value, error.retryable, error.retry_after) if error else (None, None, None)),
        *((usage.input_tokens, usage.output_tokens) if usage else (None, None)),
        *((usage.cached_input_tokens, usage.reasoning_tokens, usage.source.value) if usage else (None, None, None)),
        nano(cost),
        ending.model_key,
        notices_json(ending.notices),
        attempts_json(ending.attempts),
        ending.status.of_reply().value,
        ending.text,
        ending.reasoning,
        ending.handed_over,
    )


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows as unnest() takes them."""
    return [[row[column] for row in rows] for column in range(width)]
