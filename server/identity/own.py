"""Tokens of our own: signed with a key that is derived from GUS_SECRET_KEY; the previous one's are read while it rotates."""

import hashlib
import hmac
import secrets
from datetime import datetime

import jwt

from domain.world import UserId
from server.identity.token import Key

NAME = "gus"
ALGORITHM = "HS256"


class OwnKeys:
    def __init__(self, secret_key: str, previous_secret_key: str | None = None) -> None:
        self._key_id = _key_id(secret_key)
        known = [secret_key] if previous_secret_key is None else [previous_secret_key, secret_key]
        self._keys = {_key_id(secret): Key(ALGORITHM, _derived(secret), NAME, NAME, None) for secret in known}

    def find(self, key_id: str) -> Key | None:
        return self._keys.get(key_id)

    def sign(self, user_id: UserId, *, issued_at: datetime, expires_at: datetime) -> str:
        claims = {
            "iss": NAME,
            "aud": NAME,
            "sub": str(user_id),
            "jti": secrets.token_urlsafe(16),
            "iat": issued_at.timestamp(),
            "exp": int(expires_at.timestamp()),
        }
        return jwt.encode(claims, self._keys[self._key_id].secret, ALGORITHM, headers={"kid": self._key_id})


def _derived(secret_key: str) -> bytes:
    """Of its own, so that nothing else that is made with the secret key is a token's signature."""
    return hmac.new(secret_key.encode(), b"tokens HS256", hashlib.sha256).digest()


def _key_id(secret_key: str) -> str:
    return "gus-" + hashlib.sha256(b"key id" + _derived(secret_key)).hexdigest()[:16]
