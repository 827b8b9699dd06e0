"""The domain's TokenLog: appended by the run's owner, read by anybody's process, ended once."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

from asyncpg import Record

from domain.generation.entity import Ending, Generation
from domain.generation.log import Append, Appended, Claimed, Ended, Line, Slice, Stopping, StopRequest, Want
from domain.model import ModelKey
from domain.world import GenerationId, NodeId, UserId
from repositories.database import Database
from repositories.generation import leases
from repositories.generation.commit import append, finish
from repositories.generation.line import claim, forsaken, know
from repositories.generation.row import to_entry, to_generation, to_stop

_READ = """
SELECT w.n, g.id, g.last_seq, g.ended_at, g.compacted_through, e.*
FROM unnest($1::uuid[], $2::int[], $3::int[]) WITH ORDINALITY AS w (id, after, most, n)
JOIN generations g ON g.id = w.id
LEFT JOIN LATERAL (
  SELECT e.seq, e.at, e.kind, e.text, e.position, e.detail FROM generation_events e
  WHERE e.generation_id = w.id AND e.seq > w.after ORDER BY e.seq LIMIT w.most
) e ON true
ORDER BY w.n, e.seq
"""

_ASK_TO_STOP = """
WITH run AS (
  SELECT g.* FROM generations g JOIN conversations c ON c.id = g.conversation_id AND c.deleted_at IS NULL
  WHERE g.id = $2 AND g.owner_id = $1 FOR NO KEY UPDATE OF g
), asked AS (
  UPDATE generations g SET stop_requested_at = now(), stop_reason = $4,
    stop_seen_seq = CASE WHEN $3::int IS NOT NULL THEN least(greatest($3, 0), run.last_seq) END
  FROM run WHERE g.id = run.id AND run.ended_at IS NULL AND run.stop_requested_at IS NULL
  RETURNING g.id
), let_be AS (
  UPDATE generations g SET handed_over = false FROM run WHERE g.id = run.id AND run.handed_over
)
SELECT run.*, asked.id IS NULL AS already FROM run LEFT JOIN asked ON true
"""

_STOPS = """
SELECT id, stop_requested_at, stop_seen_seq, stop_reason FROM generations
WHERE node = $1 AND ended_at IS NULL AND stop_requested_at IS NOT NULL
"""


class SqlTokenLog:
    def __init__(self, database: Database, *, titles: bool = False) -> None:
        """`titles`: conversations without one are given one."""
        self._database, self._titles = database, titles

    async def append(self, batch: Sequence[Append]) -> dict[GenerationId, Appended]:
        return await append(self._database, batch)

    async def read(self, wants: Sequence[Want]) -> list[Slice | None]:
        columns = zip(*((want.generation_id, want.after, want.limit) for want in wants), strict=True)
        rows = await self._database.fetch(_READ, *map(list, columns)) if wants else []
        slices: list[Slice | None] = [None] * len(wants)
        for n, events in groupby(rows, key=itemgetter("n")):
            slices[n - 1] = _slice(list(events))
        return slices

    async def finish(
        self, generation: Generation, ending: Ending, cost: Decimal | None, *, previous: int, cut_to: int | None
    ) -> Ended:
        return await finish(
            self._database, generation, ending, cost, previous=previous, cut_to=cut_to, titles=self._titles
        )

    async def ask_to_stop(self, owner: UserId, generation_id: GenerationId, request: StopRequest) -> Stopping | None:
        row = await self._database.fetchrow(_ASK_TO_STOP, owner, generation_id, request.seen_seq, request.reason.value)
        return None if row is None else Stopping(to_generation(row), row["already"], row["node"])

    async def stops(self, node: NodeId) -> dict[GenerationId, StopRequest]:
        rows = await self._database.fetch(_STOPS, node)
        return {GenerationId(row["id"]): stop for row in rows if (stop := to_stop(row)) is not None}

    async def renew(self, node: NodeId, live: Sequence[GenerationId], lease: timedelta) -> None:
        await leases.renew(self._database, node, live, lease)

    async def abandoned(self, limit: int) -> list[GenerationId]:
        return await leases.abandoned(self._database, limit)

    async def left_by(self, node: NodeId, limit: int) -> list[GenerationId]:
        return await leases.left_by(self._database, node, limit)

    async def take(self, generation_id: GenerationId, node: NodeId, lease: timedelta, *, own: bool) -> Claimed | None:
        return await leases.take(self._database, generation_id, node, lease, own=own)

    async def give_back(self, generation: Generation) -> None:
        await leases.give_back(self._database, generation)

    async def claim(self, node: NodeId, lease: timedelta, line: Line, limit: int) -> list[Claimed]:
        return await claim(self._database, node, lease, line, limit)

    async def know(self, models: Sequence[ModelKey]) -> None:
        await know(self._database, models)

    async def forsaken(self, unseen: timedelta, limit: int) -> list[Generation]:
        return await forsaken(self._database, unseen, limit)


def _slice(events: Sequence[Record]) -> Slice:
    """A run without entries after the cursor is one row whose event is null."""
    run = events[0]
    entries = tuple(to_entry(run["id"], event) for event in events if event["seq"] is not None)
    return Slice(entries, run["last_seq"], ended=run["ended_at"] is not None, kept_after=run["compacted_through"])
