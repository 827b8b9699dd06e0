"""What can be limited, and over which time."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum


class QuotaMetric(Enum):
    MESSAGES = "MESSAGES"
    TOKENS = "TOKENS"
    COST = "COST"
    CONCURRENT_GENERATIONS = "CONCURRENT_GENERATIONS"


class QuotaWindow(Enum):
    """INSTANT: now, and no time at all."""

    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"
    INSTANT = "INSTANT"


class QuotaScope(Enum):
    USER = "USER"
    API_KEY = "API_KEY"
    PLAN = "PLAN"


# Far beyond what anybody counts or pays, and within what is stored.
HIGHEST = Decimal(1_000_000_000)
SMALLEST_COST = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class PlanLimit:
    """A template for each user who has the plan, and no counter that they share. None: there is no such limit.

    Past `soft` a send has a notice; what would go past `hard` is refused. COST is in USD, all else are counts.
    """

    metric: QuotaMetric
    window: QuotaWindow
    soft: Decimal | None = None
    hard: Decimal | None = None

    def flaws(self) -> Iterator[tuple[str, str]]:
        """What no limit can be: the field, and what to do about it."""
        if (self.metric is QuotaMetric.CONCURRENT_GENERATIONS) is not (self.window is QuotaWindow.INSTANT):
            yield "window", "CONCURRENT_GENERATIONS are counted in the window INSTANT, and nothing else is."
        bounds = [(name, bound) for name, bound in (("soft", self.soft), ("hard", self.hard)) if bound is not None]
        beyond = [name for name, bound in bounds if not bound.is_finite() or not 0 <= bound <= HIGHEST]
        yield from ((name, f"From 0 to {HIGHEST}.") for name in beyond)
        if not beyond:
            yield from ((name, self._words) for name, bound in bounds if bound % self._step)
            if self.soft is not None and self.hard is not None and self.soft > self.hard:
                yield "soft", "At most as high as the hard limit, or nobody would ever be told."

    @property
    def _words(self) -> str:
        return "At most nine decimals." if self.metric is QuotaMetric.COST else "A whole number."

    @property
    def _step(self) -> Decimal:
        return SMALLEST_COST if self.metric is QuotaMetric.COST else Decimal(1)
