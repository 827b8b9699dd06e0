"""The domain's LedgerStore."""

from collections.abc import Sequence

from domain.ledger import DateRange, LedgerVerification, UsageDimension, UsageReport, UsageTotals
from domain.world import MessageId, UserId
from repositories.database import Database
from repositories.ledger.report import of_messages, report
from repositories.ledger.verify import verify


class SqlLedger:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, owner: UserId | None, range: DateRange, by: Sequence[UsageDimension]) -> UsageReport:
        return await report(self._database, owner, range, by)

    async def of_messages(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, UsageTotals]:
        return await of_messages(self._database, owner, ids)

    async def verify(self, range: DateRange, most: int) -> LedgerVerification:
        return await verify(self._database, range, most)
