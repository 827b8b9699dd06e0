"""What a call from outside tells of itself before anybody looks into it, and what it may still spend at the edge."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Points of one minute and one credential, in this process; `cost` is what the operation has taken of them."""

    limit: int
    cost: int
    remaining: int
    reset_at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """`rate_limit` None: nothing is counted."""

    address: str
    rate_limit: RateLimit | None = None
