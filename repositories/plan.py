"""Plans that were applied, in PostgreSQL: every version stays, with who applied it and when."""

from domain.applied import Applied
from repositories.database import Database

_NEWEST = "SELECT version, document FROM applied_plans WHERE version > $1 ORDER BY version DESC LIMIT 1"

# One at a time: whoever reads a version has seen all before it.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('applied_plans', 0))"

_APPLY = """
INSERT INTO applied_plans (version, document, applied_at, applied_by)
SELECT coalesce(max(version), 0) + 1, $1, now(), $2 FROM applied_plans RETURNING version
"""


class SqlPlans:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self, after: int) -> Applied | None:
        row = await self._database.fetchrow(_NEWEST, after)
        return None if row is None else Applied(row["version"], row["document"])

    async def apply(self, document: str, by: str) -> int:
        """The version."""
        async with self._database.transaction() as session:
            await session.fetch(_ONE_AT_A_TIME)
            [row] = await session.fetch(_APPLY, document, by)
        version: int = row["version"]
        return version
