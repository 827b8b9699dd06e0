"""Admission: whether a run may begin, over all limits at once, and what is held for it until it ends."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from domain.errors import QuotaExceeded
from domain.quota.claim import Claim
from domain.quota.counter import Counted, Counter, Payer, Quota, Template, in_force, quotas_of
from domain.quota.limit import QuotaMetric
from domain.user import User, UserStore, Viewer
from domain.world import ApiKeyId, GenerationId, PlanKey, UserId

GROWING = frozenset({QuotaMetric.TOKENS, QuotaMetric.COST})


class Crowded(Exception):
    """`active` runs of at most `limit` have not ended."""

    def __init__(self, active: int, limit: int) -> None:
        super().__init__()
        self.active, self.limit = active, limit


class Templates(Protocol):
    def of(self, user: User) -> Template: ...

    def find(self, key: PlanKey) -> Template | None: ...


class Counting(Protocol):
    """The part of a transaction in which a claim is counted. Leaving the transaction by an exception takes it back."""

    async def reserve(self, payer: Payer, claim: Claim) -> Counted:
        """Adds `claim` to each of the payer's counters, locked in the order of their keys; they are as they are with it."""

    async def tell(self, crossed: Sequence[Quota]) -> None:
        """Notes that these soft limits were told of in their windows."""


class Stretching(Protocol):
    async def stretch(self, generation_id: GenerationId, payer: Payer, claim: Claim) -> Counted | None:
        """What the run is missing of the claim is counted in the windows in which it was accepted. None: it has ended."""


class CounterStore(Protocol):
    async def counted(self, payer: Payer) -> Counted: ...

    def stretching(self) -> AbstractAsyncContextManager[Stretching]:
        """One short transaction: commits at its end, rolls back when left by an exception."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """`crossed`: soft limits that were passed for the first time in their windows."""

    payer: Payer
    claim: Claim
    crossed: tuple[Quota, ...] = ()


class Admission:
    def __init__(self, store: CounterStore, users: UserStore, templates: Templates) -> None:
        self._store, self._users, self._templates = store, users, templates

    def payer(self, viewer: Viewer) -> Payer:
        return self._payer(viewer.user, viewer.key.id if viewer.key else None)

    async def payer_of(self, owner: UserId, key_id: ApiKeyId | None) -> Payer | None:
        """None: there is no such user any more."""
        user = await self._users.user(owner)
        return None if user is None else self._payer(user, key_id)

    async def admit(self, counting: Counting, payer: Payer, claim: Claim) -> Admitted:
        """Holds the claim until the run ends. Raises QuotaExceeded, Crowded: then the transaction must be left by it."""
        counted = await counting.reserve(payer, claim)
        quotas = self._quotas(payer, counted)
        refuse(quotas, counted, claim)
        crossed = tuple(quota for quota in quotas if quota.is_past_soft and not quota.is_told)
        if crossed:
            await counting.tell(crossed)
        return Admitted(payer, claim, crossed)

    async def foresee(self, payer: Payer, claim: Claim) -> Admitted:
        """What `admit` would answer now; nothing is counted. Raises QuotaExceeded, Crowded."""
        counted = await self._store.counted(payer)
        with_claim = replace(counted, counters=tuple(_with(claim, counter) for counter in counted.counters))
        quotas = self._quotas(payer, with_claim)
        refuse(quotas, with_claim, claim)
        return Admitted(payer, claim, tuple(quota for quota in quotas if quota.is_past_soft and not quota.is_told))

    async def stretch(self, generation_id: GenerationId, owner: UserId, key_id: ApiKeyId | None, claim: Claim) -> bool:
        """For a run whose context has grown since it was accepted. False: a limit is in the way, and nothing was changed."""
        payer = await self.payer_of(owner, key_id)
        if payer is None:
            return False
        try:
            async with self._store.stretching() as stretching:
                counted = await stretching.stretch(generation_id, payer, claim)
                if counted is not None:
                    # It is no new run: what it may take grows, and nothing else.
                    grown = [quota for quota in self._quotas(payer, counted) if quota.metric in GROWING]
                    refuse(grown, counted, claim)
        except QuotaExceeded:
            return False
        return True

    async def quotas(self, payer: Payer) -> list[Quota]:
        """As they are now, in a steady order."""
        return self._quotas(payer, await self._store.counted(payer))

    def _payer(self, user: User, key_id: ApiKeyId | None) -> Payer:
        return Payer(user, key_id, self._templates.of(user).key)

    def _quotas(self, payer: Payer, counted: Counted) -> list[Quota]:
        limits = in_force(payer, self._templates.of(payer.user), counted.overrides)
        return list(quotas_of(limits, counted.counters))


def refuse(quotas: Sequence[Quota], counted: Counted, claim: Claim) -> None:
    """Raises QuotaExceeded, for the limit that has to be waited for longest, or Crowded."""
    past = [quota for quota in quotas if quota.is_past_hard]
    windows = [quota for quota in past if quota.metric is not QuotaMetric.CONCURRENT_GENERATIONS]
    if windows:
        raise max((_exceeded(quota, counted, claim) for quota in windows), key=_wait)
    for quota in past:
        assert quota.hard_limit is not None
        raise Crowded(int(quota.taken) - 1, int(quota.hard_limit))


def _exceeded(quota: Quota, counted: Counted, claim: Claim) -> QuotaExceeded:
    """With the quota as it is without the claim."""
    wanted = _wanted(claim, quota.metric)
    before = replace(
        quota,
        used=quota.used - (wanted if quota.metric is QuotaMetric.MESSAGES else 0),
        reserved=quota.reserved - (wanted if quota.metric is not QuotaMetric.MESSAGES else 0),
    )
    assert quota.hard_limit is not None
    return QuotaExceeded(before, before.wait(counted.at, wanted), fits_ever=wanted <= quota.hard_limit)


def _wait(exceeded: QuotaExceeded) -> float:
    return exceeded.retry_after or 0.0


def _wanted(claim: Claim, metric: QuotaMetric) -> Decimal:
    match metric:
        case QuotaMetric.MESSAGES:
            return Decimal(claim.messages)
        case QuotaMetric.TOKENS:
            return Decimal(claim.tokens)
        case QuotaMetric.COST:
            return claim.cost
        case QuotaMetric.CONCURRENT_GENERATIONS:
            return Decimal(1)


def _with(claim: Claim, counter: Counter) -> Counter:
    return replace(
        counter,
        messages=counter.messages + claim.messages,
        tokens_reserved=counter.tokens_reserved + claim.tokens,
        cost_reserved=counter.cost_reserved + claim.cost,
        running=counter.running + 1,
    )
