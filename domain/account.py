"""Accounts as their administrators see them: found, banned, signed out."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from domain.errors import NotFound
from domain.page import Page, PageArgs
from domain.text import storable
from domain.user import ApiKey, Ban, User, UserStore
from domain.world import ApiKeyId, UserId, World


class AccountStore(Protocol):
    async def listed(self, query: str | None, page: PageArgs) -> Page[User]:
        """Newest first; `query` is an id, or a part of the name in any case."""

    async def set_ban(self, user_id: UserId, ban: Ban | None, at: datetime) -> User | None:
        """None: there is no such user."""

    async def end_credentials(self, user_id: UserId, at: datetime) -> User | None:
        """Revokes every key, and refuses every token that was signed before. None: there is no such user."""

    async def revoke_key(self, key_id: ApiKeyId, at: datetime) -> bool:
        """False: there is no such live key."""


class Accounts:
    """For the command line, whose user has the database anyway.

    `changed` is told of whom something was changed: what a process remembers of credentials is to be forgotten.
    """

    def __init__(
        self, store: AccountStore, users: UserStore, world: World, changed: Callable[[UserId], None] = lambda _: None
    ) -> None:
        self._store, self._users, self._world, self._changed = store, users, world, changed

    async def found(self, query: str | None, page: PageArgs) -> Page[User]:
        if query is not None and not storable(query):
            return Page((), has_next_page=False, has_previous_page=False)
        return await self._store.listed(query or None, page)

    async def ban(self, user_id: UserId, until: datetime | None) -> User:
        """Raises NotFound."""
        return self._told(await self._store.set_ban(user_id, Ban(until), self._world.now()))

    async def unban(self, user_id: UserId) -> User:
        """Raises NotFound."""
        return self._told(await self._store.set_ban(user_id, None, self._world.now()))

    async def sign_out(self, user_id: UserId) -> User:
        """Of everything: the user needs a new credential. Raises NotFound."""
        return self._told(await self._store.end_credentials(user_id, self._world.now()))

    async def keys(self, user_id: UserId) -> list[ApiKey]:
        """Raises NotFound."""
        _there(await self._users.user(user_id))
        return await self._users.live_keys(user_id)

    async def revoke_key(self, key_id: ApiKeyId) -> None:
        """Raises NotFound."""
        if not await self._store.revoke_key(key_id, self._world.now()):
            raise NotFound("key")

    def _told(self, changed: User | None) -> User:
        user = _there(changed)
        self._changed(user.id)
        return user


def _there(user: User | None) -> User:
    if user is None:
        raise NotFound("user")
    return user
