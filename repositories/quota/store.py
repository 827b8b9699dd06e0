"""The domain's CounterStore and OverrideStore."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from domain.quota.claim import Claim
from domain.quota.counter import Counted, Override, Payer, Quota
from domain.quota.limit import QuotaWindow
from domain.world import ApiKeyId, GenerationId, UserId
from repositories.database import Database, Session
from repositories.money import nano
from repositories.quota.row import to_counted
from repositories.quota.sql import READ, STRETCHED, TELL

_SET = """
INSERT INTO quota_overrides (subject, scope, metric, span, soft, hard, set_at, set_by)
VALUES ($1, $2, $3, $4, $5, $6, now(), $7)
ON CONFLICT (subject, scope, metric, span) DO UPDATE SET soft = $5, hard = $6, set_at = now(), set_by = $7
"""

_HAS_KEY = "SELECT 1 FROM api_keys WHERE id = $1"

# Each kind for as long as it may still be asked about, with time to spare for what is settled late.
_PURGE = """
DELETE FROM quota_windows WHERE (subject_id, span, starts_at) IN (
  SELECT subject_id, span, starts_at FROM quota_windows
  WHERE span = $1 AND starts_at < now() - $2::interval AND running = 0 LIMIT $3 FOR UPDATE SKIP LOCKED
)
"""
KEPT = {
    QuotaWindow.MINUTE: timedelta(days=1),
    QuotaWindow.HOUR: timedelta(days=3),
    QuotaWindow.DAY: timedelta(days=70),
    QuotaWindow.MONTH: timedelta(days=800),
}


class SqlStretching:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def stretch(self, generation_id: GenerationId, payer: Payer, claim: Claim) -> Counted | None:
        [row] = await self._session.fetch(
            STRETCHED,
            generation_id,
            claim.tokens,
            nano(claim.cost),
            str(payer.user.id),
            payer.key_id,
            payer.plan,
        )
        return to_counted(row) if row["counters"] is not None else None


class SqlQuotas:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def counted(self, payer: Payer) -> Counted:
        [row] = await self._database.fetch(
            READ, payer.subject, payer.key_id, str(payer.user.id), payer.plan, payer.address
        )
        return to_counted(row)

    @asynccontextmanager
    async def stretching(self) -> AsyncIterator[SqlStretching]:
        async with self._database.transaction() as session:
            yield SqlStretching(session)

    async def set(self, override: Override, by: UserId) -> None:
        limit = override.limit
        values = limit.metric.value, limit.window.value, limit.soft, limit.hard
        await self._database.execute(_SET, override.subject, override.scope.value, *values, by)

    async def has_key(self, key_id: ApiKeyId) -> bool:
        return await self._database.fetchrow(_HAS_KEY, key_id) is not None

    async def purge(self, limit: int) -> int:
        return sum([await self._database.execute(_PURGE, span.value, age, limit) for span, age in KEPT.items()])


async def tell(session: Session, crossed: Sequence[Quota]) -> None:
    """In the transaction in which they were crossed: the counters are locked by it."""
    columns = zip(*((quota.subject, quota.window.value, quota.mark) for quota in crossed), strict=True)
    await session.execute(TELL, *map(list, columns))
