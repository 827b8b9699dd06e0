"""The edge: so many requests and so much work a minute, by address and by credential, in this process.

It keeps a single client from occupying a process. What a user may spend is a quota, which is durable and shared by all processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

from limits import RateLimitItem, RateLimitItemPerMinute
from litestar.types import Scope
from slowapi import Limiter

from domain.throttle import RateLimit, network_of
from server.graphql.edge import Caller
from server.graphql.errors import throttled
from server.throttle.addresses import Addresses
from server.throttle.storage import BoundedStorage

__all__ = ["Allowances", "Throttle", "bounded_limiter"]

WINDOW_SECONDS = 60
CONFIGURATION = Path(__file__).with_name("slowapi.env")


@dataclass(frozen=True, slots=True)
class Allowances:
    """A minute's. An operation costs the number of fields that it may resolve, were every page full."""

    requests_per_address: int
    requests_per_credential: int
    cost_per_credential: int


class Throttle:
    def __init__(self, allowances: Allowances, addresses: Addresses, limiter: Limiter | None = None) -> None:
        self._limiter = limiter or bounded_limiter()
        self._addresses = addresses
        self._by_address = RateLimitItemPerMinute(allowances.requests_per_address, namespace="address")
        self._by_credential = RateLimitItemPerMinute(allowances.requests_per_credential, namespace="credential")
        self._cost = RateLimitItemPerMinute(allowances.cost_per_credential, namespace="cost")

    def address(self, scope: Scope) -> str:
        return self._addresses.of(scope)

    def arrive(self, caller: Caller) -> None:
        """Raises RequestError with 429."""
        self._take(self._by_address, network_of(caller.address))
        if caller.credential is not None:
            self._take(self._by_credential, caller.credential)

    def charge(self, caller: Caller, cost: int) -> RateLimit:
        """Raises RequestError with 429."""
        spender = _spender(caller)
        self._take(self._cost, spender, cost)
        remaining, reset_at = self._left(self._cost, spender)
        return RateLimit(self._cost.amount, cost, remaining, datetime.fromtimestamp(reset_at, UTC))

    def headers(self, caller: Caller) -> Mapping[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers says them."""
        told = [
            ("address", self._by_address, network_of(caller.address)),
            ("cost", self._cost, _spender(caller)),
        ]
        if caller.credential is not None:
            told.insert(1, ("credential", self._by_credential, caller.credential))
        return {
            "RateLimit-Policy": ", ".join(f'"{name}";q={item.amount};w={WINDOW_SECONDS}' for name, item, _ in told),
            "RateLimit": ", ".join(self._told(name, item, key) for name, item, key in told),
        }

    def _told(self, name: str, item: RateLimitItem, key: str) -> str:
        remaining, reset_at = self._left(item, key)
        return f'"{name}";r={remaining};t={max(0, ceil(reset_at - self._storage.now()))}'

    def _take(self, item: RateLimitItem, key: str, cost: int = 1) -> None:
        if not self._limiter.limiter.hit(item, key, cost=cost):
            wait = self._storage.wait(item.key_for(key), item.amount, WINDOW_SECONDS, cost)
            raise throttled("Too much in one minute: wait before the next request.", wait)

    def _left(self, item: RateLimitItem, key: str) -> tuple[int, float]:
        """What remains, and when all of it is there again, as a Unix time."""
        used, reset_at = self._storage.used(item.key_for(key), WINDOW_SECONDS)
        return max(0, item.amount - used), reset_at

    @property
    def _storage(self) -> BoundedStorage:
        storage = self._limiter._storage
        assert isinstance(storage, BoundedStorage)
        return storage


def bounded_limiter() -> Limiter:
    # limits' own storage in memory starts a thread for almost every hit, and grows without a bound.
    return Limiter(
        key_func=_nobody,
        strategy="sliding-window-counter",
        storage_uri="gus-bounded://",
        config_filename=str(CONFIGURATION),
    )


def _nobody() -> str:
    """slowapi asks for a key function for its decorators, which are not used."""
    return ""


def _spender(caller: Caller) -> str:
    return caller.credential or network_of(caller.address)
