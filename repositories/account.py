"""Accounts in PostgreSQL, as their administrators see them."""

from datetime import datetime
from uuid import UUID

from domain.account import LastAdmin
from domain.errors import BadPage
from domain.page import Page, PageArgs, page_of
from domain.user import Ban, Role, User
from domain.world import ApiKeyId, PlanKey, UserId
from repositories.database import Database
from repositories.user import USER_COLUMNS, to_user

_FIND = f"""
SELECT {USER_COLUMNS} FROM users u
WHERE ($1::text IS NULL OR u.id::text = lower($1) OR strpos(lower(u.display_name), lower($1)) > 0)
  AND ($2::uuid IS NULL OR u.id < $2)
ORDER BY u.id DESC LIMIT $3
"""

_SET_BAN = f"""
UPDATE users u SET banned_at = $2, banned_until = $3 WHERE id = $1 RETURNING {USER_COLUMNS}
"""

_REFUSE_TOKENS = f"UPDATE users u SET tokens_valid_from = $2 WHERE id = $1 RETURNING {USER_COLUMNS}"

_REVOKE_KEYS = "UPDATE api_keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL"

# The admins' rows are locked in one order: of two that are demoted at once one stays. Who is banned could name nobody.
_LOCK_ADMINS = """
SELECT id FROM users WHERE role = 'ADMIN' AND (banned_at IS NULL OR banned_until <= now()) ORDER BY id FOR NO KEY UPDATE
"""

_SET_ROLE = f"UPDATE users u SET role = $2 WHERE id = $1 RETURNING {USER_COLUMNS}"

_SET_PLAN = f"UPDATE users u SET plan_key = $2 WHERE id = $1 RETURNING {USER_COLUMNS}"

_REVOKE_KEY = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"


class SqlAccounts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def listed(self, query: str | None, page: PageArgs) -> Page[User]:
        rows = await self._database.fetch(_FIND, query, _opened(page.after), page.size + 1)
        return page_of([to_user(row) for row in rows], page, lambda user: str(user.id))

    async def set_ban(self, user_id: UserId, ban: Ban | None, at: datetime) -> User | None:
        row = await self._database.fetchrow(_SET_BAN, user_id, at if ban else None, ban.until if ban else None)
        return to_user(row) if row is not None else None

    async def end_credentials(self, user_id: UserId, at: datetime) -> User | None:
        async with self._database.transaction() as session:
            row = await session.fetchrow(_REFUSE_TOKENS, user_id, at)
            await session.execute(_REVOKE_KEYS, user_id, at)
        return to_user(row) if row is not None else None

    async def set_role(self, user_id: UserId, role: Role) -> User | None:
        async with self._database.transaction() as session:
            admins = [row["id"] for row in await session.fetch(_LOCK_ADMINS)]
            if admins == [user_id] and role is not Role.ADMIN:
                raise LastAdmin
            row = await session.fetchrow(_SET_ROLE, user_id, role.value)
        return to_user(row) if row is not None else None

    async def set_plan(self, user_id: UserId, plan: PlanKey) -> User | None:
        row = await self._database.fetchrow(_SET_PLAN, user_id, plan)
        return to_user(row) if row is not None else None

    async def revoke_key(self, key_id: ApiKeyId, at: datetime) -> bool:
        return await self._database.execute(_REVOKE_KEY, key_id, at) == 1


def _opened(cursor: str | None) -> UUID | None:
    """Raises BadPage."""
    try:
        return UUID(cursor) if cursor is not None else None
    except ValueError:
        raise BadPage("`after` takes a cursor that this list has given.") from None
