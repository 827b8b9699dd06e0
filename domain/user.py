"""Who is asking: users, their API keys, and the viewer that a credential stands for."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Protocol

from domain.credentials import RecentCredentials
from domain.errors import (
    Banned,
    InputProblem,
    InputRule,
    InvalidInput,
    LimitedResource,
    LimitReached,
    NotAllowed,
    NotFound,
)
from domain.text import is_blank, storable, units
from domain.token import Claims, Tokens, not_valid, user_id_of
from domain.world import ApiKeyId, PlanKey, UserId, World

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
class Ban:
    """`until` None: for good."""

    until: datetime | None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class User:
    """`plan_key` None: the plan of the role. `tokens_valid_from`: tokens signed before are no longer good.

    `address_digest`: of a guest, where the session was started, so that one address has one budget.
    """

    id: UserId
    display_name: str | None
    role: Role
    created_at: datetime
    plan_key: PlanKey | None = None
    ban: Ban | None = None
    tokens_valid_from: datetime | None = None
    address_digest: bytes | None = None


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
    """`key` None: a token let them in."""

    user: User
    key: ApiKey | None

    @property
    def id(self) -> UserId:
        return self.user.id

    @property
    def is_admin(self) -> bool:
        return self.user.role is Role.ADMIN and not self.is_banned

    @property
    def is_banned(self) -> bool:
        """When the credential was looked at: a ban that was over by then is not in it."""
        return self.user.ban is not None

    def require_writing(self) -> None:
        """Raises Banned."""
        if self.user.ban is not None:
            raise Banned(self.user.ban.until)

    def require_management(self) -> None:
        """Raises NotAllowed unless keys may be made and revoked: by a key with that right, or by a person."""
        if self.key is not None and not self.key.can_manage:
            raise NotAllowed("This key may not manage keys: use one issued with `gus key issue --manage`.")
        if self.user.role is Role.GUEST:
            raise NotAllowed("A guest has no keys: make an account first.", required_role=Role.USER)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    key: ApiKey
    secret: str


class UserStore(Protocol):
    async def add_user(self, user: User) -> None: ...

    async def user(self, user_id: UserId) -> User | None: ...

    async def users_by_id(self, user_ids: Sequence[UserId]) -> dict[UserId, User]: ...

    async def known_as(self, issuer: str, subject: str) -> User | None: ...

    async def welcome(self, user: User, issuer: str, subject: str) -> User:
        """Adds the user; or the one whom `issuer` has called `subject` before. Exact under any race."""

    async def credential(self, digest: bytes) -> tuple[User, ApiKey] | None:
        """The key with this digest, revoked and expired ones too; notes its use, at most once a minute."""

    async def add_key(self, key: ApiKey, digest: bytes, *, most: int) -> int | None:
        """None when added; else the number of live keys the user has, which is at least `most`. Exact under any race."""

    async def keep_key(self, key: ApiKey, digest: bytes) -> None:
        """Adds the key unless its digest is there already."""

    async def digest_anew(self, key_id: ApiKeyId, digest: bytes) -> None: ...

    async def live_keys(self, user_id: UserId) -> list[ApiKey]:
        """Not revoked, oldest first; at most MOST_API_KEYS."""

    async def revoke_key(self, user_id: UserId, key_id: ApiKeyId, at: datetime) -> bool:
        """False when there is no such live key of this user."""


class Users:
    """`previous_secret_key`: what keys were stored under before; each comes over with its next use.

    `tokens` None: only API keys let anybody in.
    """

    def __init__(
        self,
        store: UserStore,
        world: World,
        secret_key: str,
        *,
        previous_secret_key: str | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._store, self._world, self._secret_key, self._tokens = store, world, secret_key, tokens
        self._previous_secret_key = previous_secret_key
        self._recent = RecentCredentials(store.credential, world)
        self._recently_named = RecentCredentials(self._named, world)

    async def authenticate(self, secret: str) -> Viewer:
        """Raises NotAuthenticated, with the same words for every bad credential."""
        if secret.startswith(KEY_PREFIX):
            return await self._by_key(secret)
        if self._tokens is None:
            raise not_valid()
        return await self._by_token(await self._tokens.read(secret))

    def forget(self, user_id: UserId) -> None:
        """Of this user something was changed here; other processes see it within two seconds."""
        self._recent.forget(user_id)
        self._recently_named.forget(user_id)

    async def user(self, viewer: Viewer, user_id: UserId) -> User | None:
        return await self._store.user(user_id) if user_id == viewer.id else None

    async def by_id(self, viewer: Viewer, ids: Sequence[UserId]) -> dict[UserId, User]:
        """Admins find everybody, others themselves."""
        return await self._store.users_by_id([id for id in ids if viewer.is_admin or id == viewer.id])

    async def keys(self, viewer: Viewer) -> list[ApiKey]:
        return await self._store.live_keys(viewer.id)

    async def keys_by_id(self, viewer: Viewer) -> dict[ApiKeyId, ApiKey]:
        return {key.id: key for key in await self.keys(viewer)}

    async def create_key(self, viewer: Viewer, name: str, expires_at: datetime | None) -> IssuedKey:
        """Raises Banned, NotAllowed, InvalidInput, LimitReached."""
        viewer.require_writing()
        viewer.require_management()
        self._check_key(name, expires_at)
        return await self._issue(viewer.id, name.strip(), can_manage=False, expires_at=expires_at)

    async def revoke_key(self, viewer: Viewer, key_id: ApiKeyId | None) -> ApiKeyId:
        """Raises NotAllowed, NotFound."""
        viewer.require_management()
        if key_id is None or not await self._store.revoke_key(viewer.id, key_id, self._world.now()):
            raise NotFound("apiKey")
        self.forget(viewer.id)
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

    async def _by_key(self, secret: str) -> Viewer:
        found = await self._recent.find(self._digest(secret)) or await self._from_before(secret)
        if found is None:
            raise not_valid()
        user, key = found
        if key.revoked_at is not None:
            raise not_valid(lasting=True)
        if key.expires_at is not None and key.expires_at <= self._world.now():
            raise not_valid()
        return self._viewer(user, key)

    async def _from_before(self, secret: str) -> tuple[User, ApiKey] | None:
        if self._previous_secret_key is None:
            return None
        found = await self._store.credential(_digest(self._previous_secret_key, secret))
        if found is not None:
            await self._store.digest_anew(found[1].id, self._digest(secret))
        return found

    async def _by_token(self, claims: Claims) -> Viewer:
        found = await self._recently_named.find((claims.issuer, claims.subject))
        user = found[0] if found is not None else await self._welcomed(claims)
        if user.tokens_valid_from is not None and not claims.signed_since(user.tokens_valid_from):
            raise not_valid(lasting=True)
        return self._viewer(user, None)

    async def _named(self, identity: tuple[str | None, str]) -> tuple[User, None] | None:
        issuer, subject = identity
        if issuer is not None:
            user = await self._store.known_as(issuer, subject)
        else:
            user_id = user_id_of(subject)
            user = await self._store.user(user_id) if user_id is not None else None
        return (user, None) if user is not None else None

    async def _welcomed(self, claims: Claims) -> User:
        """A stranger whom the issuer names becomes a user on first sight."""
        if claims.issuer is None:
            raise not_valid()
        stranger = User(UserId(self._world.new_id()), claims.name, Role.USER, self._world.now())
        return await self._store.welcome(stranger, claims.issuer, claims.subject)

    def _viewer(self, user: User, key: ApiKey | None) -> Viewer:
        is_over = user.ban is not None and not user.ban.holds(self._world.now())
        return Viewer(replace(user, ban=None) if is_over else user, key)

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
        return _digest(self._secret_key, secret)


def new_secret() -> str:
    """192 random bits behind a prefix that secret scanners can look for."""
    return KEY_PREFIX + secrets.token_urlsafe(24)


def require_admin(viewer: Viewer) -> None:
    """Raises NotAllowed, also for an admin who is banned."""
    if not viewer.is_admin:
        raise NotAllowed("Only an admin may do this.")


def _digest(secret_key: str, secret: str) -> bytes:
    return hmac.new(secret_key.encode(), secret.encode(), hashlib.sha256).digest()
