from decimal import Decimal

import pytest

from domain.quota.limit import PlanLimit, QuotaMetric, QuotaWindow

MESSAGES, COST, AT_ONCE = QuotaMetric.MESSAGES, QuotaMetric.COST, QuotaMetric.CONCURRENT_GENERATIONS
DAY, INSTANT = QuotaWindow.DAY, QuotaWindow.INSTANT


@pytest.mark.parametrize(
    "limit",
    [
        PlanLimit(MESSAGES, DAY),
        PlanLimit(MESSAGES, DAY, Decimal(0), Decimal(0)),
        PlanLimit(COST, DAY, Decimal("0.000000001"), Decimal("0.50")),
        PlanLimit(AT_ONCE, INSTANT, hard=Decimal(5)),
    ],
)
def test_a_limit_that_can_be(limit: PlanLimit) -> None:
    assert list(limit.flaws()) == []


@pytest.mark.parametrize(
    ("limit", "fields"),
    [
        (PlanLimit(MESSAGES, INSTANT, hard=Decimal(5)), ["window"]),
        (PlanLimit(AT_ONCE, DAY, hard=Decimal(5)), ["window"]),
        (PlanLimit(MESSAGES, DAY, hard=Decimal("1.5")), ["hard"]),
        (PlanLimit(COST, DAY, hard=Decimal("0.0000000001")), ["hard"]),
        (PlanLimit(MESSAGES, DAY, Decimal(-1), Decimal("1e10")), ["soft", "hard"]),
        (PlanLimit(COST, DAY, Decimal("NaN"), Decimal("Infinity")), ["soft", "hard"]),
        (PlanLimit(MESSAGES, DAY, Decimal(6), Decimal(5)), ["soft"]),
    ],
)
def test_a_limit_that_cannot_be(limit: PlanLimit, fields: list[str]) -> None:
    assert [field for field, _ in limit.flaws()] == fields
