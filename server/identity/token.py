"""One token: which key it names, and what it says if that key has signed it."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from domain.text import cut, storable
from domain.token import Claims, not_valid

LONGEST_TOKEN = 8 * 1024
LONGEST_KEY_ID = 256
LONGEST_SUBJECT = 255
LONGEST_NAME_UNITS = 100
REQUIRED = ["exp", "aud", "iss", "sub", "jti"]
# Keys, or places of keys, that a token brings along; and rules of its own.
REFUSED_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})


@dataclass(frozen=True, slots=True)
class Key:
    """`issuer_name` is what our claims call its issuer, None for ourselves. `leeway`: how far its clock may be off ours."""

    algorithm: str
    secret: Any = field(repr=False)
    issuer: str
    audience: str
    issuer_name: str | None
    leeway: timedelta = timedelta(0)


def key_id_of(token: str) -> str:
    """Raises NotAuthenticated. Nothing that it reads is believed yet."""
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise not_valid()
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise not_valid() from None
    key_id = header.get("kid")
    if REFUSED_HEADERS & header.keys() or not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
        raise not_valid()
    return key_id


def verified(token: str, key: Key) -> Claims:
    """Raises NotAuthenticated."""
    try:
        said = jwt.decode(
            token,
            key.secret,
            algorithms=[key.algorithm],
            audience=key.audience,
            issuer=key.issuer,
            leeway=key.leeway,
            options={"require": REQUIRED},
        )
        return _claims(said, key)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise not_valid() from None


def _claims(said: Mapping[str, Any], key: Key) -> Claims:
    subject, token_id = said["sub"], said["jti"]
    if not 0 < len(subject) <= LONGEST_SUBJECT or not storable(subject) or not token_id:
        raise ValueError("the subject or the jti is empty or too long")
    datetime.fromtimestamp(said["exp"], UTC)  # one past the end of time never comes
    issued_at = datetime.fromtimestamp(said["iat"], UTC) if "iat" in said else None
    return Claims(key.issuer_name, subject, issued_at, _name(said.get("name")))


def _name(said: object) -> str | None:
    """For people; it is whatever they have told their issuer."""
    if not isinstance(said, str):
        return None
    shown = "".join(character for character in said if unicodedata.category(character)[0] != "C")
    return cut(" ".join(shown.split()), LONGEST_NAME_UNITS) or None
