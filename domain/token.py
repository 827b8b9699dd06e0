"""Signed tokens: what one says once it was verified, and who verifies and signs them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.errors import NotAuthenticated
from domain.world import UserId


@dataclass(frozen=True, slots=True)
class Claims:
    """Of a token that is good. `issuer` None: we signed it, and `subject` is a user's id."""

    issuer: str | None
    subject: str
    issued_at: datetime | None
    name: str | None = None

    def signed_since(self, moment: datetime) -> bool:
        return self.issued_at is not None and self.issued_at >= moment


class Tokens(Protocol):
    async def read(self, token: str) -> Claims:
        """Raises NotAuthenticated, in the words of `not_valid`; Unavailable when its signature cannot be judged now."""

    def sign(self, user_id: UserId, *, issued_at: datetime, expires_at: datetime) -> str: ...


def user_id_of(subject: str) -> UserId | None:
    try:
        return UserId(UUID(subject))
    except ValueError:
        return None


def not_valid(*, lasting: bool = False) -> NotAuthenticated:
    """The same words for every bad credential: they must not tell a guess that was near from one that was not."""
    return NotAuthenticated("This credential is not valid.", lasting=lasting)
