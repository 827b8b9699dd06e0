"""Whose run it is: leases are renewed, run out, are taken over and given back, all by the database's clock."""

from collections.abc import Sequence
from datetime import timedelta

from domain.generation.entity import Generation, NoticeCode
from domain.generation.log import Claimed
from domain.world import GenerationId, NodeId
from repositories.database import Database
from repositories.generation.row import Kind, to_claimed

# In the order of their ids, as everybody locks more than one run.
_RENEW = """
WITH mine AS (
  SELECT id FROM generations WHERE id = ANY($2) AND node = $1 AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
)
UPDATE generations g SET lease_until = now() + $3::interval FROM mine WHERE g.id = mine.id
"""

# Those that are queued have neither node nor lease.
_ABANDONED = """
SELECT id FROM generations WHERE ended_at IS NULL AND lease_until < now()
ORDER BY lease_until LIMIT $1
"""

_LEFT_BY = "SELECT id FROM generations WHERE node = $1 AND ended_at IS NULL ORDER BY queued_at, id LIMIT $2"

# Higher than any that its log has told of: each fallback has told of one more than the row has.
_FALLBACKS = f"""jsonb_path_query_array(notices, '$[*] ? (@.code == "{NoticeCode.MODEL_FALLBACK.value}")')"""
_NEXT_ATTEMPT = f"attempt + 1 + coalesce(jsonb_array_length({_FALLBACKS}), 0)"

_TAKE = f"""
WITH taken AS (
  UPDATE generations SET attempt = {_NEXT_ATTEMPT}, node = $2, lease_until = now() + $3::interval,
    last_seq = last_seq + (first_token_at IS NULL)::int
  WHERE id = $1 AND status = 'RUNNING' AND (lease_until < now() OR ($4 AND node = $2))
  RETURNING *
), started AS (
  INSERT INTO generation_events (generation_id, seq, at, kind, detail)
  SELECT id, last_seq, now(), $5::smallint, jsonb_build_object('attempt', attempt, 'model_key', model_key)
  FROM taken WHERE first_token_at IS NULL
)
SELECT * FROM taken
"""

# Back to the queue it needs no lease to run out, and by the next attempt its former owner is fenced at once.
_GIVE_BACK = f"""
UPDATE generations SET status = 'QUEUED', attempt = {_NEXT_ATTEMPT}, node = NULL, lease_until = NULL, line = NULL,
  started_at = NULL, queued_event_at = NULL
WHERE id = $1 AND attempt = $2 AND status = 'RUNNING' AND first_token_at IS NULL
"""


async def renew(database: Database, node: NodeId, live: Sequence[GenerationId], lease: timedelta) -> None:
    async with database.session(urgent=True) as session:
        await session.execute(_RENEW, node, live, lease)


async def abandoned(database: Database, limit: int) -> list[GenerationId]:
    async with database.session(urgent=True) as session:
        return [row["id"] for row in await session.fetch(_ABANDONED, limit)]


async def left_by(database: Database, node: NodeId, limit: int) -> list[GenerationId]:
    return [row["id"] for row in await database.fetch(_LEFT_BY, node, limit)]


async def take(
    database: Database, generation_id: GenerationId, node: NodeId, lease: timedelta, *, own: bool
) -> Claimed | None:
    row = await database.fetchrow(_TAKE, generation_id, node, lease, own, Kind.STARTED)
    return None if row is None else to_claimed(row)


async def give_back(database: Database, generation: Generation) -> None:
    await database.execute(_GIVE_BACK, generation.id, generation.attempt)
