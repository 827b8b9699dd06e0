"""Visitors without an account: a session is a user of its own, with a signed token and a guest's limits."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.errors import NotAllowed
from domain.throttle import network_of
from domain.token import Tokens
from domain.user import Role, User
from domain.world import UserId, World


@dataclass(frozen=True, slots=True)
class GuestPolicy:
    """`sessions_per_day`: from one address, on one day of UTC."""

    welcome: bool = False
    sessions_per_day: int = 20
    lifetime: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class GuestSession:
    user: User
    token: str
    expires_at: datetime


class GuestStore(Protocol):
    async def admit(self, guest: User, *, most: int) -> timedelta | None:
        """Adds the guest and counts the session for its address and today, and answers None.

        Or, where the address has started `most` sessions today, how long today still lasts. Exact under any race.
        """

    async def forget_days(self) -> int:
        """The counts of days that are over; how many there were."""


class Guests:
    def __init__(self, store: GuestStore, tokens: Tokens, world: World, secret_key: str, policy: GuestPolicy) -> None:
        self._store, self._tokens, self._world, self._policy = store, tokens, world, policy
        # Of its own, so that a digest of an address never is one of an API key.
        self._digest_key = hmac.new(secret_key.encode(), b"guest addresses", hashlib.sha256).digest()

    async def forget_days(self) -> int:
        """The counts of days that are over; how many there were."""
        return await self._store.forget_days()

    async def start(self, address: str) -> GuestSession:
        """Raises NotAllowed."""
        if not self._policy.welcome:
            raise NotAllowed("This server takes no guests: make an account.", required_role=Role.USER)
        now = self._world.now()
        digest = hmac.new(self._digest_key, network_of(address).encode(), hashlib.sha256).digest()
        guest = User(UserId(self._world.new_id()), None, Role.GUEST, now, address_digest=digest)
        wait = await self._store.admit(guest, most=self._policy.sessions_per_day)
        if wait is not None:
            raise NotAllowed(
                "Too many guest sessions were started from this address today: take one of them up again, or wait.",
                required_role=Role.USER,
                retry_after=wait.total_seconds(),
            )
        expires_at = now + self._policy.lifetime
        return GuestSession(guest, self._tokens.sign(guest.id, issued_at=now, expires_at=expires_at), expires_at)
