"""Accounts as their administrators see them: found, given roles and plans, banned, signed out."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from domain.errors import InputProblem, InputRule, InvalidInput, NotFound
from domain.page import Page, PageArgs
from domain.plan import Plans
from domain.text import storable
from domain.user import ApiKey, Ban, Role, User, UserStore, Viewer, require_admin
from domain.world import ApiKeyId, PlanKey, UserId, World


class AccountStore(Protocol):
    async def listed(self, query: str | None, page: PageArgs) -> Page[User]:
        """Newest first; `query` is an id, or a part of the name in any case."""

    async def set_ban(self, user_id: UserId, ban: Ban | None, at: datetime) -> User | None:
        """None: there is no such user."""

    async def end_credentials(self, user_id: UserId, at: datetime) -> User | None:
        """Revokes every key, and refuses every token that was signed before. None: there is no such user."""

    async def set_role(self, user_id: UserId, role: Role) -> User | None:
        """Raises LastAdmin, exact under any race. None: there is no such user."""

    async def set_plan(self, user_id: UserId, plan: PlanKey) -> User | None:
        """None: there is no such user."""

    async def revoke_key(self, key_id: ApiKeyId, at: datetime) -> bool:
        """False: there is no such live key."""


class LastAdmin(Exception):
    """Without this one nobody would be left who could name another."""


class Accounts:
    """What takes no viewer is for the command line, whose user has the database anyway.

    `changed` is told of whom something was changed: what a process remembers of credentials is to be forgotten.
    """

    def __init__(
        self,
        store: AccountStore,
        users: UserStore,
        world: World,
        plans: Plans,
        changed: Callable[[UserId], None] = lambda _: None,
    ) -> None:
        self._store, self._users, self._world = store, users, world
        self._plans, self._changed = plans, changed

    async def found(self, query: str | None, page: PageArgs) -> Page[User]:
        if query is not None and not storable(query):
            return Page((), has_next_page=False, has_previous_page=False)
        return await self._store.listed(query or None, page)

    async def listed(self, viewer: Viewer, query: str | None, page: PageArgs) -> Page[User]:
        """Raises NotAllowed."""
        require_admin(viewer)
        return await self.found(query, page)

    async def set_role(self, viewer: Viewer, user_id: UserId | None, role: Role) -> User:
        """Raises NotAllowed, NotFound, InvalidInput."""
        require_admin(viewer)
        return await self.give_role(user_id, role)

    async def set_plan(self, viewer: Viewer, user_id: UserId | None, key: PlanKey) -> User:
        """Raises NotAllowed, NotFound, InvalidInput."""
        require_admin(viewer)
        return await self.give_plan(user_id, key)

    async def give_role(self, user_id: UserId | None, role: Role) -> User:
        """Raises NotFound, InvalidInput."""
        try:
            return self._told(await self._store.set_role(user_id, role) if user_id else None)
        except LastAdmin:
            words = "This is the last admin: name another one first."
            raise InvalidInput([InputProblem(InputRule.WRONG_ROLE, ("role",), words)]) from None

    async def give_plan(self, user_id: UserId | None, key: PlanKey) -> User:
        """Raises NotFound, InvalidInput."""
        user, plan = _there(await self._users.user(user_id) if user_id else None), self._plans.find(key)
        if plan is None:
            raise InvalidInput([InputProblem(InputRule.UNKNOWN_VALUE, ("plan",), "No plan has this key.")])
        if user.role not in plan.roles:
            words = f"A user of the role {user.role.value} cannot have this plan."
            raise InvalidInput([InputProblem(InputRule.WRONG_ROLE, ("plan",), words)])
        return self._told(await self._store.set_plan(user.id, key))

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
