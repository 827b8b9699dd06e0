"""What the owner of a run commits to its log: what gathered, and the end."""

from collections.abc import Sequence
from decimal import Decimal

from domain.generation.entity import Ending, Generation
from domain.generation.log import Append, Appended, TruncationReason
from domain.world import GenerationId
from repositories.database import Database
from repositories.generation.row import Kind, finished_json, kind_of, nano, to_stop, truncated_json

# The row lock, not the statement's snapshot, decides: a locked row is read as it is now.
# IS TRUE keeps the planner, which expects few events, from comparing each event with each run instead of a hash.
_APPEND = """
WITH held AS (
  SELECT g.id, g.attempt, g.last_seq, g.ended_at, g.stop_requested_at, g.stop_seen_seq, b.last,
    g.attempt = b.attempt AND g.last_seq = b.previous AND g.ended_at IS NULL AND b.last > b.previous AS taken
  FROM unnest($1::uuid[], $2::int[], $3::int[], $4::int[]) AS b (id, attempt, previous, last)
  JOIN generations g ON g.id = b.id
  ORDER BY g.id FOR NO KEY UPDATE OF g SKIP LOCKED
), written AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, text, position)
  SELECT e.id, e.seq, now(), e.kind, e.text, e.position
  FROM unnest($5::uuid[], $6::int[], $7::smallint[], $8::text[], $9::int[]) AS e (id, seq, kind, text, position)
  WHERE (e.id IN (SELECT id FROM held WHERE taken)) IS TRUE
), moved AS (
  UPDATE generations g SET last_seq = h.last, first_token_at = coalesce(g.first_token_at, greatest(now(), g.queued_at))
  FROM held h WHERE g.id = h.id AND h.taken
)
SELECT id, attempt, CASE WHEN taken THEN last ELSE last_seq END AS last_seq, CASE WHEN taken THEN now() END AS at,
  ended_at, stop_requested_at, stop_seen_seq
FROM held
"""

_FINISH = """
WITH run AS (
  SELECT id, greatest(now(), queued_at) AS at FROM generations
  WHERE id = $1 AND attempt = $2 AND last_seq = $3 AND ended_at IS NULL FOR NO KEY UPDATE
), written AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, position, detail)
  SELECT run.id, $3 + e.n, now(), e.kind, e.position, e.detail
  FROM run, unnest($4::smallint[], $5::int[], $6::jsonb[]) WITH ORDINALITY AS e (kind, position, detail, n)
), ended AS (
  UPDATE generations g SET ended_at = run.at, last_seq = $3 + cardinality($4), lease_until = NULL,
    status = $7, finish_reason = $8, error_code = $9, error_retryable = $10, error_retry_after = $11,
    input_tokens = $12, output_tokens = $13, cached_input_tokens = $14, reasoning_tokens = $15, usage_source = $16,
    cost_nano = $17
  FROM run WHERE g.id = run.id
  RETURNING g.conversation_id, g.reply_id, g.first_token_at, g.ended_at, g.model_key
), reply AS (
  UPDATE messages m SET status = $18, text = $19, reasoning = $20, model_key = ended.model_key,
    first_token_at = ended.first_token_at, completed_at = ended.ended_at
  FROM ended WHERE m.id = ended.reply_id
)
UPDATE conversations c SET last_message_at = greatest(c.last_message_at, ended.ended_at),
  updated_at = greatest(c.updated_at, ended.ended_at)
FROM ended WHERE c.id = ended.conversation_id
"""

_LOCK_CONVERSATION = "SELECT 1 FROM conversations WHERE id = $1 FOR NO KEY UPDATE"


async def append(database: Database, batch: Sequence[Append]) -> dict[GenerationId, Appended]:
    runs = [(run.generation_id, run.attempt, run.previous, run.last) for run in batch]
    events = [
        (run.generation_id, seq, kind_of(delta), delta.text, delta.offset)
        for run in batch
        for seq, delta in enumerate(run.deltas, run.previous + 1)
    ]
    rows = await database.fetch(_APPEND, *_columns(runs, 4), *_columns(events, 5))
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
) -> bool:
    events: list[tuple[object, ...]] = [(Kind.FINISHED, None, finished_json(ending))]
    if cut_to is not None:
        events.insert(0, (Kind.TRUNCATED, cut_to, truncated_json(TruncationReason.STOPPED)))
    async with database.transaction() as session:
        # The conversation before anything else, as a send does it.
        await session.fetch(_LOCK_CONVERSATION, generation.conversation_id)
        ended = await session.execute(
            _FINISH, generation.id, generation.attempt, previous, *_columns(events, 3), *_ending(ending, cost)
        )
    return ended == 1


def _ending(ending: Ending, cost: Decimal | None) -> tuple[object, ...]:
    error, usage = ending.error, ending.usage
    return (
        ending.status.value,
        ending.finish_reason.value,
        *((error.code.value, error.retryable, error.retry_after) if error else (None, None, None)),
        *((usage.input_tokens, usage.output_tokens) if usage else (None, None)),
        *((usage.cached_input_tokens, usage.reasoning_tokens, usage.source.value) if usage else (None, None, None)),
        nano(cost),
        ending.status.of_reply().value,
        ending.text,
        ending.reasoning,
    )


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows as unnest() takes them."""
    return [[row[column] for row in rows] for column in range(width)]
