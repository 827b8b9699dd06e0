"""Who was asking a moment ago: a process asks storage for one credential every other second at most."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from domain.world import UserId, World

# So old a role may be, and a ban: every operation asks here.
FRESH = timedelta(seconds=2)
MOST = 10_000


class Whose(Protocol):
    @property
    def id(self) -> UserId: ...


C = TypeVar("C", bound=Hashable)
U = TypeVar("U", bound=Whose)
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class _Seen(Generic[U, K]):
    at: datetime
    found: tuple[U, K]


class RecentCredentials(Generic[C, U, K]):
    """By the digest of a key, or by whom a token names.

    A cache, and no truth: what another process changes is seen when an entry is no longer fresh.
    """

    def __init__(self, look: Callable[[C], Awaitable[tuple[U, K] | None]], world: World, *, most: int = MOST) -> None:
        self._look, self._world, self._most = look, world, most
        self._seen: OrderedDict[C, _Seen[U, K]] = OrderedDict()
        self._changes = 0

    async def find(self, named: C) -> tuple[U, K] | None:
        now = self._world.now()
        seen = self._seen.get(named)
        # A clock that was put back makes nothing fresh for longer.
        if seen is not None and timedelta(0) <= now - seen.at < FRESH:
            self._seen.move_to_end(named)
            return seen.found
        changes = self._changes
        found = await self._look(named)
        # What was read while this process changed something may be what was there before.
        if found is not None and changes == self._changes:
            self._keep(named, _Seen(now, found))
        return found

    def forget(self, user_id: UserId) -> None:
        """Of this user something was changed here."""
        self._changes += 1
        for named in [named for named, seen in self._seen.items() if seen.found[0].id == user_id]:
            del self._seen[named]

    def _keep(self, named: C, seen: _Seen[U, K]) -> None:
        self._seen[named] = seen
        self._seen.move_to_end(named)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
