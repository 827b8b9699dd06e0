"""Whose turn it is: those who wait for one model server, over all processes."""

from collections.abc import Sequence
from datetime import timedelta

from domain.generation.entity import Generation
from domain.generation.log import Claimed, Line
from domain.model import ModelKey
from domain.world import NodeId
from repositories.database import Database, Session
from repositories.generation.row import Kind, to_claimed, to_generation

MOST_TOLD = 500
BETWEEN_POSITIONS = timedelta(seconds=1)
BETWEEN_SIGHTINGS = timedelta(seconds=5)

_ANYBODY = "SELECT EXISTS (SELECT 1 FROM generations WHERE status = 'QUEUED' AND model_key = ANY($1)) AS waits"

# One claim of a line at a time, and of those who wait, where several lines serve one model: the statements after it see what
# the claim before has done. All take the two locks in this order.
_ONE_AT_A_TIME = """
SELECT pg_advisory_xact_lock(hashtextextended($1, 0)), pg_advisory_xact_lock(hashtextextended($2, 0))
"""

# `depth`: how many runs of its conversation it has to wait for. It orders a user's own runs, so that nobody is placed before
# whom they wait for. Between users a turn is due to who has had the fewest: those alive, and those that ended since their
# first one began to wait; among equals to who waits longest. With one slot, too, nobody sits through the whole queue of
# another. Where several lines serve one model (each node its own), turns in any of them count.
# LATERAL and OFFSET 0 look rows up by an index: the planner, which has seen the queue empty, would compare each with each.
_TURNS = """
WITH RECURSIVE waiting AS MATERIALIZED (
  SELECT id, owner_id, queued_at, waits_for, queue_position, queued_event_at FROM generations
  WHERE status = 'QUEUED' AND model_key = ANY($1) AND stop_requested_at IS NULL
), chain AS (
  SELECT w.*, coalesce(before.unfinished, 0) AS depth
  FROM waiting w LEFT JOIN LATERAL (
    SELECT (ended_at IS NULL)::int AS unfinished FROM generations WHERE id = w.waits_for OFFSET 0
  ) before ON true
  WHERE w.waits_for IS NULL OR w.waits_for NOT IN (SELECT id FROM waiting)
  UNION ALL
  SELECT w.*, chain.depth + 1
  FROM chain CROSS JOIN LATERAL (
    SELECT id, owner_id, queued_at, waits_for, queue_position, queued_event_at FROM generations
    WHERE waits_for = chain.id AND status = 'QUEUED' AND model_key = ANY($1) AND stop_requested_at IS NULL OFFSET 0
  ) w
), alive AS MATERIALIZED (
  SELECT owner_id, count(*) AS turns FROM generations
  WHERE line IS NOT NULL AND ended_at IS NULL AND (line = $2 OR model_key = ANY($1)) GROUP BY owner_id
), own AS (
  SELECT *, row_number() OVER (PARTITION BY owner_id ORDER BY depth, queued_at, id) AS number,
    min(queued_at) FILTER (WHERE depth = 0) OVER (PARTITION BY owner_id) AS since
  FROM chain
), turn AS (
  SELECT own.*, row_number() OVER (ORDER BY own.number + coalesce(alive.turns, 0) + (
    SELECT count(*) FROM generations g
    WHERE g.owner_id = own.owner_id AND g.started_at >= own.since AND g.line IS NOT NULL AND g.ended_at IS NOT NULL
      AND (g.line = $2 OR g.model_key = ANY($1))
  ), own.queued_at, own.id) AS place
  FROM own LEFT JOIN alive USING (owner_id)
)
"""

# A deleted conversation's runs are all asked to stop. Those hold no slot: no model is asked for them.
_START = f"""{_TURNS}, slots AS (
  SELECT CASE WHEN $3::int IS NULL THEN $4 ELSE least($3 - count(*), $4) END AS free
  FROM generations WHERE line = $2 AND ended_at IS NULL
), chosen AS (
  SELECT * FROM (
    SELECT id, 0 AS place FROM generations
    WHERE status = 'QUEUED' AND model_key = ANY($1) AND stop_requested_at IS NOT NULL
    UNION ALL
    (SELECT id, place FROM turn WHERE depth = 0 ORDER BY place LIMIT (SELECT greatest(free, 0) FROM slots))
  ) c ORDER BY place LIMIT $4
), held AS (
  SELECT g.*, chosen.place FROM chosen CROSS JOIN LATERAL (
    SELECT id, last_seq, stop_requested_at FROM generations WHERE id = chosen.id AND status = 'QUEUED'
    FOR NO KEY UPDATE SKIP LOCKED
  ) g
), started AS (
  UPDATE generations g SET status = 'RUNNING', node = $5, lease_until = statement_timestamp() + $6::interval,
    started_at = greatest(statement_timestamp(), g.queued_at), queue_position = NULL, last_seq = held.last_seq + 1,
    line = CASE WHEN held.stop_requested_at IS NULL THEN $2 END
  FROM held WHERE g.id = held.id RETURNING g.*, held.place
), written AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, detail)
  SELECT id, last_seq, started_at, $7::smallint, jsonb_build_object('attempt', attempt, 'model_key', model_key)
  FROM started
)
SELECT * FROM started ORDER BY place
"""

# Where everybody ready starts at once, only the conversation's own queue counts. Who was told longest ago comes first.
_TELL = f"""{_TURNS}, due AS (
  SELECT * FROM (
    SELECT id, queue_position, queued_event_at,
      CASE WHEN $3::int IS NULL THEN greatest(depth, 1) ELSE place END AS position
    FROM turn
  ) t
  WHERE queue_position IS DISTINCT FROM position
    AND (queued_event_at IS NULL OR queued_event_at <= statement_timestamp() - $4::interval)
  ORDER BY queued_event_at NULLS FIRST, position LIMIT $5
), told AS (
  SELECT g.id, g.seq, due.position FROM due CROSS JOIN LATERAL (
    SELECT id, last_seq + 1 AS seq FROM generations
    WHERE id = due.id AND status = 'QUEUED' AND queued_event_at IS NOT DISTINCT FROM due.queued_event_at
    FOR NO KEY UPDATE SKIP LOCKED
  ) g
), moved AS (
  UPDATE generations g SET last_seq = told.seq, queue_position = told.position, queued_event_at = statement_timestamp()
  FROM told WHERE g.id = told.id
)
INSERT INTO generation_events (generation_id, seq, at, kind, position)
SELECT id, seq, statement_timestamp(), $6::smallint, position FROM told
"""

# Sorted, as several processes write the same rows; those of a moment ago are not written again.
_KNOW = """
INSERT INTO known_models (key, seen_at) SELECT key, now() FROM unnest($1::text[]) AS k (key) ORDER BY key
ON CONFLICT (key) DO UPDATE SET seen_at = now() WHERE known_models.seen_at < now() - $2::interval
"""

_FORSAKEN = """
SELECT g.* FROM generations g
WHERE g.status = 'QUEUED' AND g.queued_at < now() - $1::interval
  AND NOT EXISTS (SELECT 1 FROM known_models k WHERE k.key = g.model_key AND k.seen_at > now() - $1::interval)
ORDER BY g.queued_at LIMIT $2
"""


async def know(database: Database, models: Sequence[ModelKey]) -> None:
    async with database.session(urgent=True) as session:
        await session.execute(_KNOW, models, BETWEEN_SIGHTINGS)


async def forsaken(database: Database, unseen: timedelta, limit: int) -> list[Generation]:
    async with database.session(urgent=True) as session:
        return [to_generation(row) for row in await session.fetch(_FORSAKEN, unseen, limit)]


async def claim(database: Database, node: NodeId, lease: timedelta, line: Line, limit: int) -> list[Claimed]:
    waits = await database.fetchrow(_ANYBODY, line.models)
    if waits is None or not waits["waits"]:
        return []
    async with database.transaction() as session:
        await session.fetch(_ONE_AT_A_TIME, f"line {line.name}", f"models {sorted(line.models)}")
        rows = await session.fetch(_START, line.models, line.name, line.capacity, limit, node, lease, Kind.STARTED)
        await _tell(session, line)
    return [to_claimed(row) for row in rows]


async def _tell(session: Session, line: Line) -> None:
    await session.execute(_TELL, line.models, line.name, line.capacity, BETWEEN_POSITIONS, MOST_TOLD, Kind.QUEUED)
