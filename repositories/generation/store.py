"""Generations as their owners read them."""

from collections.abc import Sequence

from domain.generation.entity import Generation
from domain.world import GenerationId, UserId
from repositories.database import Database
from repositories.generation.row import to_generation

_BY_ID = """
SELECT g.* FROM generations g JOIN conversations c ON c.id = g.conversation_id AND c.deleted_at IS NULL
WHERE g.id = ANY($2) AND g.owner_id = $1
"""

_UNFINISHED = """
SELECT g.* FROM generations g JOIN conversations c ON c.id = g.conversation_id AND c.deleted_at IS NULL
WHERE g.owner_id = $1 AND g.ended_at IS NULL
ORDER BY g.queued_at, g.id LIMIT $2
"""


class SqlGenerations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def generations(self, owner: UserId, ids: Sequence[GenerationId]) -> dict[GenerationId, Generation]:
        rows = await self._database.fetch(_BY_ID, owner, ids)
        return {GenerationId(row["id"]): to_generation(row) for row in rows}

    async def unfinished(self, owner: UserId, limit: int) -> list[Generation]:
        return [to_generation(row) for row in await self._database.fetch(_UNFINISHED, owner, limit)]
