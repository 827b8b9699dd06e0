"""What can be limited, and over which time."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum


class QuotaMetric(Enum):
    MESSAGES = "MESSAGES"
    TOKENS = "TOKENS"
    COST = "COST"
    CONCURRENT_GENERATIONS = "CONCURRENT_GENERATIONS"


class QuotaWindow(Enum):
    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"
    INSTANT = "INSTANT"


@dataclass(frozen=True, slots=True)
class PlanLimit:
    """A template for each user who has the plan. Past `soft_limit` a notice is raised, past `hard_limit` a send is refused.

    COST is in USD.
    """

    metric: QuotaMetric
    window: QuotaWindow
    soft_limit: Decimal | None = None
    hard_limit: Decimal | None = None
