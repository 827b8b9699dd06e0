"""What was counted in a window, for a user, an API key or an address, and the limits that it is held against."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import NewType, Protocol, assert_never
from uuid import UUID

from domain.quota.limit import PlanLimit, QuotaMetric, QuotaScope, QuotaWindow
from domain.user import Role, User
from domain.world import ApiKeyId, PlanKey

QuotaId = NewType("QuotaId", str)

# When only what other runs hold is in the way, one of them may end any moment.
SOON = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose limits a run is held against. `key_id` None: no API key was used."""

    user: User
    key_id: ApiKeyId | None
    plan: PlanKey

    @property
    def subject(self) -> UUID:
        """Whose own counters they are."""
        return self.user.id

    @property
    def address(self) -> UUID | None:
        """Of a guest: where he came from. All who came from there share its counters, however many sessions they start."""
        digest = self.user.address_digest
        return UUID(bytes=digest[:16]) if digest and self.user.role is Role.GUEST else None


@dataclass(frozen=True, slots=True)
class Counter:
    """One window of one subject: a user, an API key or an address. `told`: the soft limits whose passing was told in this window."""

    subject: UUID
    window: QuotaWindow
    starts_at: datetime
    messages: int = 0
    tokens_used: int = 0
    tokens_reserved: int = 0
    cost_used: Decimal = Decimal(0)
    cost_reserved: Decimal = Decimal(0)
    running: int = 0
    told: frozenset[str] = frozenset()

    @property
    def resets_at(self) -> datetime | None:
        """None: it never does by itself."""
        match self.window:
            case QuotaWindow.MINUTE:
                return self.starts_at + timedelta(minutes=1)
            case QuotaWindow.HOUR:
                return self.starts_at + timedelta(hours=1)
            case QuotaWindow.DAY:
                return self.starts_at + timedelta(days=1)
            case QuotaWindow.MONTH:
                return (self.starts_at + timedelta(days=31)).replace(day=1)
            case QuotaWindow.INSTANT:
                return None
            case _:
                assert_never(self.window)

    def of(self, metric: QuotaMetric) -> tuple[Decimal, Decimal]:
        """Used, and reserved on top of that."""
        match metric:
            case QuotaMetric.MESSAGES:
                return Decimal(self.messages), Decimal(0)
            case QuotaMetric.TOKENS:
                return Decimal(self.tokens_used), Decimal(self.tokens_reserved)
            case QuotaMetric.COST:
                return self.cost_used, self.cost_reserved
            case QuotaMetric.CONCURRENT_GENERATIONS:
                return Decimal(self.running), Decimal(0)
            case _:
                assert_never(metric)


@dataclass(frozen=True, slots=True)
class Override:
    """What an administrator has set for a user, an API key or a plan. `subject`: an id, or a plan's key."""

    scope: QuotaScope
    subject: str
    limit: PlanLimit


@dataclass(frozen=True, slots=True)
class Counted:
    """All of a payer's counters, and what was set for them, in one snapshot. `at`: by the database's clock."""

    at: datetime
    counters: tuple[Counter, ...]
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class LimitInForce:
    """`subject`: whose counter it is held against. A plan's is held against each user's own."""

    scope: QuotaScope
    subject: UUID
    limit: PlanLimit


class QuotaState(Enum):
    OK = "OK"
    SOFT_EXCEEDED = "SOFT_EXCEEDED"
    HARD_EXCEEDED = "HARD_EXCEEDED"


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit and what is taken of it, counts and USD alike. `reserved`: held by runs that have not ended."""

    scope: QuotaScope
    subject: UUID
    metric: QuotaMetric
    window: QuotaWindow
    soft_limit: Decimal | None
    hard_limit: Decimal | None
    used: Decimal
    reserved: Decimal
    resets_at: datetime | None
    is_told: bool = False

    @property
    def id(self) -> QuotaId:
        """Scope, metric and window of somebody, and not the moment."""
        return QuotaId(f"{self.mark}.{self.window.value}.{self.subject}")

    @property
    def mark(self) -> str:
        return mark_of(self.scope, self.metric)

    @property
    def taken(self) -> Decimal:
        return self.used + self.reserved

    @property
    def remaining(self) -> Decimal | None:
        return None if self.hard_limit is None else max(self.hard_limit - self.taken, Decimal(0))

    @property
    def fraction(self) -> float | None:
        if self.hard_limit is None:
            return None
        return min(float(self.taken / self.hard_limit), 1.0) if self.hard_limit else 1.0

    @property
    def state(self) -> QuotaState:
        if self.hard_limit is not None and self.taken >= self.hard_limit:
            return QuotaState.HARD_EXCEEDED
        return QuotaState.SOFT_EXCEEDED if self.is_past_soft else QuotaState.OK

    @property
    def is_past_soft(self) -> bool:
        return self.soft_limit is not None and self.taken > self.soft_limit

    @property
    def is_past_hard(self) -> bool:
        return self.hard_limit is not None and self.taken > self.hard_limit

    def wait(self, at: datetime, wanted: Decimal) -> float:
        """Seconds until as much as is `wanted` may be had, at the earliest."""
        fits_when_others_end = self.hard_limit is not None and self.used + wanted <= self.hard_limit
        if fits_when_others_end or self.resets_at is None:
            return SOON.total_seconds()
        return max((self.resets_at - at).total_seconds(), 1.0)


def amount(of: Decimal | None) -> str:
    """For people: without zeros at its end, and without an exponent."""
    text = f"{of:f}" if of is not None else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def mark_of(scope: QuotaScope, metric: QuotaMetric) -> str:
    return f"{scope.value}.{metric.value}"


class Template(Protocol):
    """A plan, as far as limits go. `address_limits`: what all guests of one address may take together."""

    @property
    def key(self) -> PlanKey: ...

    @property
    def limits(self) -> Sequence[PlanLimit]: ...

    @property
    def address_limits(self) -> Sequence[PlanLimit]: ...


def in_force(payer: Payer, template: Template, overrides: Sequence[Override]) -> list[LimitInForce]:
    """What was set for the user goes before what was set for the plan, and that before the plan's template. What was set
    for the API key holds beside all of them, and so does what a guest's address has.

    Scope, metric and window tell the limits of a viewer apart: a guest's own are the USER's, and PLAN is what he shares."""
    found = list(_own(payer, template.limits, overrides))
    if payer.key_id is not None:
        of_key = (override for override in overrides if override.scope is QuotaScope.API_KEY)
        found += [LimitInForce(QuotaScope.API_KEY, payer.key_id, override.limit) for override in of_key]
    if payer.address is not None:
        found += [LimitInForce(QuotaScope.PLAN, payer.address, limit) for limit in template.address_limits]
    return [each for each in found if (each.limit.soft, each.limit.hard) != (None, None)]


def _own(payer: Payer, template: Iterable[PlanLimit], overrides: Sequence[Override]) -> Iterator[LimitInForce]:
    theirs: dict[tuple[QuotaMetric, QuotaWindow], tuple[QuotaScope, PlanLimit]] = {}
    for limit in template:
        theirs[limit.metric, limit.window] = QuotaScope.PLAN, limit
    for scope in (QuotaScope.PLAN, QuotaScope.USER):
        for override in overrides:
            if override.scope is scope:
                theirs[override.limit.metric, override.limit.window] = scope, override.limit
    for scope, limit in theirs.values():
        yield LimitInForce(scope if payer.address is None else QuotaScope.USER, payer.subject, limit)


def quotas_of(limits: Iterable[LimitInForce], counters: Iterable[Counter]) -> Iterator[Quota]:
    by_place = {(counter.subject, counter.window): counter for counter in counters}
    for each in limits:
        limit = each.limit
        counter = by_place[each.subject, limit.window]
        used, reserved = counter.of(limit.metric)
        yield Quota(
            each.scope,
            each.subject,
            limit.metric,
            limit.window,
            limit.soft,
            limit.hard,
            used,
            reserved,
            counter.resets_at,
            is_told=mark_of(each.scope, limit.metric) in counter.told,
        )
