"""Guests in PostgreSQL, and how many sessions an address has started on a day."""

from datetime import timedelta

from domain.user import User
from repositories.database import Database

# Refused, it changes nothing.
_COUNT = """
INSERT INTO guest_days AS counted (address_digest, day, sessions) VALUES ($1, (now() AT TIME ZONE 'utc')::date, 1)
ON CONFLICT (address_digest, day) DO UPDATE SET sessions = counted.sessions + 1 WHERE counted.sessions < $2
"""

_ADD = "INSERT INTO users (id, display_name, role, created_at, address_digest) VALUES ($1, $2, $3, $4, $5)"

_REST_OF_TODAY = """
SELECT date_trunc('day', now() AT TIME ZONE 'utc') + interval '1 day' - (now() AT TIME ZONE 'utc') AS rest
"""

_FORGET = "DELETE FROM guest_days WHERE day < (now() AT TIME ZONE 'utc')::date"


class SqlGuests:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def admit(self, guest: User, *, most: int) -> timedelta | None:
        async with self._database.transaction() as session:
            if most > 0 and await session.execute(_COUNT, guest.address_digest, most):
                values = guest.id, guest.display_name, guest.role.value, guest.created_at, guest.address_digest
                await session.execute(_ADD, *values)
                return None
            [row] = await session.fetch(_REST_OF_TODAY)
        rest: timedelta = row["rest"]
        return rest

    async def forget_days(self) -> int:
        """Those before today; how many there were."""
        return await self._database.execute(_FORGET)
