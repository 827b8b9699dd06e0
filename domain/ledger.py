"""The ledger: what was taken, by whom, of which model; summed up for its users, and checked against everything else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Protocol

from domain.errors import BadVariables
from domain.model import ModelKey
from domain.usage import UsagePurpose
from domain.user import Viewer, require_admin
from domain.world import ConversationId, GenerationId, MessageId, UserId

MOST_BUCKETS = 1000
MOST_MISMATCHES = 100
LONGEST = timedelta(days=400)
LONGEST_BY_HOUR = LONGEST_CHECKED = timedelta(days=31)


class UsageDimension(Enum):
    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"
    MODEL = "MODEL"
    CONVERSATION = "CONVERSATION"
    PURPOSE = "PURPOSE"
    USER = "USER"


TIMES = frozenset({UsageDimension.HOUR, UsageDimension.DAY, UsageDimension.MONTH})


@dataclass(frozen=True, slots=True)
class DateRange:
    """[begin, end)."""

    begin: datetime
    end: datetime

    def require(self, longest: timedelta) -> None:
        """Raises BadVariables."""
        # By their difference: there is no time some days after the last one.
        if not timedelta() < self.end - self.begin <= longest:
            raise BadVariables(f"`range` goes from a time to a later one, at most {longest.days} days on.")


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """`errors`: requests that failed, timed out or were lost."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    errors: int = 0


@dataclass(frozen=True, slots=True)
class UsageBucket:
    """`start` and `end` None: those of the range. The others None: it is not grouped by them."""

    totals: UsageTotals
    start: datetime
    end: datetime
    model_key: ModelKey | None = None
    conversation_id: ConversationId | None = None
    purpose: UsagePurpose | None = None
    user_id: UserId | None = None
    p50_latency_ms: int | None = None
    p95_latency_ms: int | None = None


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Ascending in time, then dearest first; `truncated`: `total` counts more than the buckets hold."""

    total: UsageTotals
    buckets: tuple[UsageBucket, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class LedgerMismatch:
    """`expected` by what the account was made from, `actual` in it; USD, or a count of tokens where the account says so."""

    account: str
    expected: Decimal
    actual: Decimal
    generation_id: GenerationId | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerVerification:
    checked_entries: int
    mismatches: tuple[LedgerMismatch, ...]
    truncated: bool

    @property
    def balanced(self) -> bool:
        return not self.mismatches


class LedgerStore(Protocol):
    async def report(self, owner: UserId | None, range: DateRange, by: Sequence[UsageDimension]) -> UsageReport:
        """`owner` None: of everybody."""

    async def of_messages(self, owner: UserId, ids: Sequence[MessageId]) -> dict[MessageId, UsageTotals]: ...

    async def verify(self, range: DateRange, most: int) -> LedgerVerification:
        """In one snapshot."""


class Ledger:
    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    async def usage(self, viewer: Viewer, range: DateRange, by: Sequence[UsageDimension]) -> UsageReport:
        """The viewer's own. Raises BadVariables."""
        if UsageDimension.USER in by:
            raise BadVariables("Only administrators group by USER, in `admin.usage`.")
        _check(range, by)
        return await self._store.report(viewer.id, range, by)

    async def usage_of_all(self, viewer: Viewer, range: DateRange, by: Sequence[UsageDimension]) -> UsageReport:
        """Raises NotAllowed, BadVariables."""
        require_admin(viewer)
        _check(range, by)
        return await self._store.report(None, range, by)

    async def of_messages(self, viewer: Viewer, ids: Sequence[MessageId]) -> dict[MessageId, UsageTotals]:
        return await self._store.of_messages(viewer.id, ids)

    async def verify(self, viewer: Viewer, range: DateRange) -> LedgerVerification:
        """Raises NotAllowed, BadVariables."""
        require_admin(viewer)
        range.require(LONGEST_CHECKED)
        return await self._store.verify(range, MOST_MISMATCHES)


def _check(range: DateRange, by: Sequence[UsageDimension]) -> None:
    """Raises BadVariables."""
    times = [dimension for dimension in by if dimension in TIMES]
    if len(times) > 1 or len(by) - len(times) > 2 or len(set(by)) < len(by):
        raise BadVariables("`groupBy` takes at most one of HOUR, DAY and MONTH and two others, each once.")
    range.require(LONGEST_BY_HOUR if UsageDimension.HOUR in by else LONGEST)
