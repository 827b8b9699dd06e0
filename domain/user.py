"""Who is asking: users, their API keys, and the viewer that a credential stands for."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from domain.credentials import RecentCredentials
from domain.errors import (
    InputProblem,
    InputRule,
    InvalidInput,
    LimitedResource,
    LimitReached,
    NotAllowed,
    NotAuthenticated,
    NotFound,
)
from domain.text import is_blank, storable, units
from domain.world import ApiKeyId, UserId, World

KEY_PREFIX = "gus_"
MOST_API_KEYS = 50
LONGEST_NAME = 100


class Role(Enum):
    GUEST = "GUEST"
    USER = "USER"
    PREMIUM = "PREMIUM"
    ADMIN = "ADMIN"
    SERVICE = "SERVICE"


@dataclass(frozen=True, slots=True)
class User:
    id: UserId
    display_name: str | None
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`prefix` is the part of the secret that may be shown."""

    id: ApiKeyId
    user_id: UserId
    name: str
    prefix: str
    can_manage: bool
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    user: User
    key: ApiKey

    @property
    def id(self) -> UserId:
        return self.user.id


@dataclass(frozen=True, slots=True)
class IssuedKey:
    key: ApiKey
    secret: str


class UserStore(Protocol):
    async def add_user(self, user: User) -> None: ...

    async def user(self, user_id: UserId) -> User | None: ...

    async def users_by_id(self, user_ids: Sequence[UserId]) -> dict[UserId, User]: ...

    async def credential(self, digest: bytes) -> tuple[User, ApiKey] | None:
        """The key with this digest, revoked and expired ones too; notes its use, at most once a minute."""

    async def add_key(self, key: ApiKey, digest: bytes, *, most: int) -> int | None:
        """None when added; else the number of live keys the user has, which is at least `most`. Exact under any race."""

    async def keep_key(self, key: ApiKey, digest: bytes) -> None:
        """Adds the key unless its digest is there already."""

    async def live_keys(self, user_id: UserId) -> list[ApiKey]:
        """Not revoked, oldest first; at most MOST_API_KEYS."""

    async def revoke_key(self, user_id: UserId, key_id: ApiKeyId, at: datetime) -> bool:
        """False when there is no such live key of this user."""


class Users:
    def __init__(self, store: UserStore, world: World, secret_key: str) -> None:
        self._store, self._world, self._secret_key = store, world, secret_key.encode()
        self._recent = RecentCredentials(store.credential, world)

    async def authenticate(self, secret: str) -> Viewer:
        """Raises NotAuthenticated, with the same words for every bad credential."""
        found = await self._recent.find(self._digest(secret)) if secret.startswith(KEY_PREFIX) else None
        if found is None:
            raise NotAuthenticated("This credential is not valid.")
        user, key = found
        if key.revoked_at is not None:
            raise NotAuthenticated("This credential is not valid.", lasting=True)
        if key.expires_at is not None and key.expires_at <= self._world.now():
            raise NotAuthenticated("This credential is not valid.")
        return Viewer(user, key)

    async def user(self, viewer: Viewer, user_id: UserId) -> User | None:
        return await self._store.user(user_id) if user_id == viewer.id else None

    async def by_id(self, viewer: Viewer, ids: Sequence[UserId]) -> dict[UserId, User]:
        """Admins find everybody, others themselves."""
        return await self._store.users_by_id([id for id in ids if viewer.user.role is Role.ADMIN or id == viewer.id])

    async def keys(self, viewer: Viewer) -> list[ApiKey]:
        return await self._store.live_keys(viewer.id)

    async def keys_by_id(self, viewer: Viewer) -> dict[ApiKeyId, ApiKey]:
        return {key.id: key for key in await self.keys(viewer)}

    async def create_key(self, viewer: Viewer, name: str, expires_at: datetime | None) -> IssuedKey:
        """Raises NotAllowed, InvalidInput, LimitReached."""
        _require_management(viewer)
        self._check_key(name, expires_at)
        return await self._issue(viewer.id, name.strip(), can_manage=False, expires_at=expires_at)

    async def revoke_key(self, viewer: Viewer, key_id: ApiKeyId | None) -> ApiKeyId:
        """Raises NotAllowed, NotFound."""
        _require_management(viewer)
        if key_id is None or not await self._store.revoke_key(viewer.id, key_id, self._world.now()):
            raise NotFound("apiKey")
        self._recent.forget(viewer.id)
        return key_id

    async def create_user(self, display_name: str | None, role: Role) -> User:
        """For the command line: whoever can run it has the database."""
        user = User(UserId(self._world.new_id()), display_name, role, self._world.now())
        await self._store.add_user(user)
        return user

    async def issue_key(self, user_id: UserId, name: str, *, can_manage: bool) -> IssuedKey:
        """For the command line. Raises NotFound, LimitReached."""
        if await self._store.user(user_id) is None:
            raise NotFound("user")
        return await self._issue(user_id, name, can_manage=can_manage, expires_at=None)

    async def keep_development_key(self, user_id: UserId, secret: str) -> None:
        """Makes `secret` the development user's managing key, once, however often and in however many processes it is called."""
        if await self._store.user(user_id) is None:
            await self._store.add_user(User(user_id, "Developer", Role.ADMIN, self._world.now()))
        await self._store.keep_key(self._new_key(user_id, "development", secret, True, None), self._digest(secret))

    async def _issue(self, user_id: UserId, name: str, *, can_manage: bool, expires_at: datetime | None) -> IssuedKey:
        secret = new_secret()
        key = self._new_key(user_id, name, secret, can_manage, expires_at)
        active = await self._store.add_key(key, self._digest(secret), most=MOST_API_KEYS)
        if active is not None:
            raise LimitReached(LimitedResource.API_KEYS, active=active, limit=MOST_API_KEYS)
        return IssuedKey(key, secret)

    def _new_key(
        self, user_id: UserId, name: str, secret: str, can_manage: bool, expires_at: datetime | None
    ) -> ApiKey:
        prefix = secret[: len(KEY_PREFIX) + 6]
        return ApiKey(
            ApiKeyId(self._world.new_id()), user_id, name, prefix, can_manage, self._world.now(), expires_at=expires_at
        )

    def _check_key(self, name: str, expires_at: datetime | None) -> None:
        problems = []
        if is_blank(name):
            problems.append(
                InputProblem(InputRule.EMPTY, ("input", "name"), "Give the key a name that you will recognise.")
            )
        if units(name) > LONGEST_NAME:
            problems.append(
                InputProblem(
                    InputRule.TOO_LONG, ("input", "name"), f"At most {LONGEST_NAME} UTF-16 code units.", LONGEST_NAME
                )
            )
        if not storable(name):
            problems.append(
                InputProblem(
                    InputRule.FORBIDDEN_CHARACTER,
                    ("input", "name"),
                    "NUL and halves of surrogate pairs cannot be stored.",
                )
            )
        if expires_at is not None and expires_at <= self._world.now():
            problems.append(
                InputProblem(InputRule.OUT_OF_RANGE, ("input", "expiresAt"), "The expiry lies in the past.")
            )
        if problems:
            raise InvalidInput(problems)

    def _digest(self, secret: str) -> bytes:
        return hmac.new(self._secret_key, secret.encode(), hashlib.sha256).digest()


def new_secret() -> str:
    """192 random bits behind a prefix that secret scanners can look for."""
    return KEY_PREFIX + secrets.token_urlsafe(24)


def _require_management(viewer: Viewer) -> None:
    if not viewer.key.can_manage:
        raise NotAllowed("This key may not manage keys: use one issued with `gus key issue --manage`.")


def require_admin(viewer: Viewer) -> None:
    """Raises NotAllowed."""
    if viewer.user.role is not Role.ADMIN:
        raise NotAllowed("Only an admin may do this.")
