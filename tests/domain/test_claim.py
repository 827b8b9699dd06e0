from dataclasses import replace
from decimal import Decimal

import pytest

from domain.model import ModelKey, Usage, UsageSource
from domain.quota.claim import Claim, Price, claim_of
from domain.quota.counter import Counter, Quota, QuotaState
from domain.quota.limit import QuotaMetric, QuotaScope, QuotaWindow
from tests.domain.fakes import NOW, a_generation, a_model, a_viewer


def test_the_dearest_of_those_who_may_answer_is_claimed() -> None:
    dear = a_model(key=ModelKey("dear"), output_price_per_million=Decimal(30))
    claim = claim_of([a_model(), dear], 1000, 100)
    assert (claim.tokens, claim.cost) == (1100, Decimal("0.0035"))
    assert [price.model_key for price in claim.prices] == ["small", "dear"]


def test_a_run_pays_the_prices_of_when_it_was_accepted() -> None:
    agreed = replace(a_generation(), prices=(Price(ModelKey("small"), Decimal(1), Decimal(2)),))
    usage = Usage(1_000_000, 1_000_000, UsageSource.PROVIDER)
    assert agreed.priced(a_model()).cost(usage) == 3
    assert agreed.priced(a_model(key=ModelKey("newer"))).cost(usage) == 2


@pytest.mark.parametrize(
    ("tokens", "cost", "is_held"), [(100, "1", True), (101, "1", False), (100, "1.000000001", False)]
)
def test_a_run_holds_what_was_reserved(tokens: int, cost: str, is_held: bool) -> None:
    run = replace(a_generation(), reserved=Decimal(1), reserved_tokens=100)
    assert run.holds(Claim(tokens, Decimal(cost), ())) is is_held


def test_windows_turn_at_the_calendars_edges() -> None:
    counter = Counter(a_viewer().id, QuotaWindow.MONTH, NOW.replace(month=12, day=1, hour=0))
    assert counter.resets_at == NOW.replace(year=NOW.year + 1, month=1, day=1, hour=0)
    assert replace(counter, window=QuotaWindow.INSTANT).resets_at is None


@pytest.mark.parametrize(
    ("taken", "state", "remaining", "fraction"),
    [(1, QuotaState.OK, 3, 0.25), (2, QuotaState.SOFT_EXCEEDED, 2, 0.5), (4, QuotaState.HARD_EXCEEDED, 0, 1.0)],
)
def test_a_quota_says_how_it_stands(taken: int, state: QuotaState, remaining: int, fraction: float) -> None:
    quota = Quota(
        QuotaScope.PLAN,
        a_viewer().id,
        QuotaMetric.MESSAGES,
        QuotaWindow.DAY,
        soft_limit=Decimal(1),
        hard_limit=Decimal(4),
        used=Decimal(taken),
        reserved=Decimal(0),
        resets_at=NOW,
    )
    assert (quota.state, quota.remaining, quota.fraction) == (state, Decimal(remaining), fraction)


def test_what_others_hold_may_come_back_soon_and_what_is_used_not_before_the_window_turns() -> None:
    held = Quota(
        QuotaScope.USER,
        a_viewer().id,
        QuotaMetric.TOKENS,
        QuotaWindow.DAY,
        soft_limit=None,
        hard_limit=Decimal(100),
        used=Decimal(10),
        reserved=Decimal(90),
        resets_at=NOW.replace(hour=23),
    )
    assert held.wait(NOW, Decimal(50)) == 5.0
    assert replace(held, used=Decimal(90), reserved=Decimal(10)).wait(NOW, Decimal(50)) == 11 * 3600
