"""Users and API keys in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.user import MOST_API_KEYS, ApiKey, Ban, Role, User
from domain.world import ApiKeyId, PlanKey, UserId
from repositories.database import Database
from repositories.tables import ApiKeyRow, UserRow

USER_COLUMNS = "u.id, u.display_name, u.role, u.created_at, u.plan_key, u.banned_at, u.banned_until, u.tokens_valid_from, u.address_digest"

_KNOWN_AS = f"SELECT {USER_COLUMNS} FROM users u WHERE issuer = $1 AND subject = $2"

_WELCOME = """
INSERT INTO users (id, display_name, role, created_at, issuer, subject) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (issuer, subject) DO NOTHING
"""

_CREDENTIAL = f"""
SELECT {USER_COLUMNS}, k.id AS key_id, k.name, k.prefix, k.can_manage, k.created_at AS key_created_at, k.last_used_at,
  k.expires_at, k.revoked_at,
  k.revoked_at IS NULL AND (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute') AS use_is_news
FROM api_keys k JOIN users u ON u.id = k.user_id
WHERE k.digest = $1
"""

# Of many requests in the same instant one notes the use, and none waits for it.
_NOTE_USE = """
UPDATE api_keys SET last_used_at = now()
WHERE id = (SELECT id FROM api_keys WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED)
"""

_COUNT_LIVE = "SELECT count(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL"

_ADD_KEY = """
INSERT INTO api_keys (id, user_id, name, prefix, digest, can_manage, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


class SqlUsers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_user(self, user: User) -> None:
        row = UserRow(id=user.id, display_name=user.display_name, role=user.role.value, created_at=user.created_at)
        async with self._database.rows() as client:
            await UserRow.bulk_create([row], ignore_conflicts=True, using_db=client)

    async def user(self, user_id: UserId) -> User | None:
        return (await self.users_by_id([user_id])).get(user_id)

    async def users_by_id(self, user_ids: Sequence[UserId]) -> dict[UserId, User]:
        async with self._database.rows() as client:
            rows = await UserRow.filter(id__in=user_ids).using_db(client).values()
        return {UserId(row["id"]): to_user(row) for row in rows}

    async def credential(self, digest: bytes) -> tuple[User, ApiKey] | None:
        row = await self._database.fetchrow(_CREDENTIAL, digest)
        if row is None:
            return None
        if row["use_is_news"]:
            await self._database.execute(_NOTE_USE, row["key_id"])
        key = {**row, "id": row["key_id"], "user_id": row["id"], "created_at": row["key_created_at"]}
        return to_user(row), to_key(key)

    async def known_as(self, issuer: str, subject: str) -> User | None:
        row = await self._database.fetchrow(_KNOWN_AS, issuer, subject)
        return to_user(row) if row is not None else None

    async def welcome(self, user: User, issuer: str, subject: str) -> User:
        values = user.id, user.display_name, user.role.value, user.created_at, issuer, subject
        await self._database.execute(_WELCOME, *values)
        known = await self.known_as(issuer, subject)
        assert known is not None, "users are never removed"
        return known

    async def add_key(self, key: ApiKey, digest: bytes, *, most: int) -> int | None:
        async with self._database.transaction() as session:
            # The user's row lock lets two requests count one after the other.
            await session.fetch("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE", key.user_id)
            [row] = await session.fetch(_COUNT_LIVE, key.user_id)
            active: int = row["count"]
            if active >= most:
                return active
            await session.execute(_ADD_KEY, *_values(key, digest))
            return None

    async def keep_key(self, key: ApiKey, digest: bytes) -> None:
        await self._database.execute(f"{_ADD_KEY} ON CONFLICT (digest) DO NOTHING", *_values(key, digest))

    async def digest_anew(self, key_id: ApiKeyId, digest: bytes) -> None:
        await self._database.execute("UPDATE api_keys SET digest = $2 WHERE id = $1", key_id, digest)

    async def live_keys(self, user_id: UserId) -> list[ApiKey]:
        async with self._database.rows() as client:
            live = ApiKeyRow.filter(user_id=user_id, revoked_at=None).order_by("id").limit(MOST_API_KEYS)
            rows = await live.using_db(client).values()
        return [to_key(row) for row in rows]

    async def revoke_key(self, user_id: UserId, key_id: ApiKeyId, at: datetime) -> bool:
        async with self._database.rows() as client:
            live = ApiKeyRow.filter(id=key_id, user_id=user_id, revoked_at=None)
            revoked = await live.using_db(client).update(revoked_at=at)
        return revoked == 1


def _values(key: ApiKey, digest: bytes) -> tuple[object, ...]:
    return key.id, key.user_id, key.name, key.prefix, digest, key.can_manage, key.created_at, key.expires_at


def to_user(row: Mapping[str, Any]) -> User:
    return User(
        UserId(row["id"]),
        row["display_name"],
        Role(row["role"]),
        row["created_at"],
        plan_key=PlanKey(row["plan_key"]) if row["plan_key"] is not None else None,
        ban=Ban(row["banned_until"]) if row["banned_at"] is not None else None,
        tokens_valid_from=row["tokens_valid_from"],
        address_digest=row["address_digest"],
    )


def to_key(row: Mapping[str, Any]) -> ApiKey:
    return ApiKey(
        ApiKeyId(row["id"]),
        UserId(row["user_id"]),
        row["name"],
        row["prefix"],
        row["can_manage"],
        row["created_at"],
        row["last_used_at"],
        row["expires_at"],
        row["revoked_at"],
    )
