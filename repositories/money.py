"""Money: Decimal USD in the domain, integer nano-USD in SQL."""

from decimal import Decimal

from domain.model import NANO_USD


def nano(cost: Decimal | None) -> int | None:
    return None if cost is None else int(cost * NANO_USD)


def usd(amount_nano: int) -> Decimal:
    return Decimal(amount_nano).scaleb(-9)
