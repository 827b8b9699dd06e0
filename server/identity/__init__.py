"""Signed tokens, ours and those of an OIDC issuer: read within narrow rules, by keys that each stand for one algorithm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import httpx

from domain.token import Claims, not_valid
from domain.world import UserId
from server.identity.issuer import Issuer, IssuerKeys
from server.identity.own import OwnKeys
from server.identity.token import key_id_of, verified

__all__ = ["Issuer", "SignedTokens", "opened_tokens"]


class SignedTokens:
    """The key decides who may have signed and how; the token only says which key."""

    def __init__(self, own: OwnKeys, issuer: IssuerKeys | None = None) -> None:
        self._own, self._issuer = own, issuer

    async def read(self, token: str) -> Claims:
        """Raises NotAuthenticated, Unavailable: see `Tokens`."""
        key_id = key_id_of(token)
        key = self._own.find(key_id)
        if key is None and self._issuer is not None:
            key = await self._issuer.find(key_id)
        if key is None:
            raise not_valid()
        return verified(token, key)

    def sign(self, user_id: UserId, *, issued_at: datetime, expires_at: datetime) -> str:
        return self._own.sign(user_id, issued_at=issued_at, expires_at=expires_at)


@asynccontextmanager
async def opened_tokens(own: OwnKeys, issuer: Issuer | None) -> AsyncIterator[SignedTokens]:
    if issuer is None:
        yield SignedTokens(own)
        return
    async with httpx.AsyncClient(timeout=issuer.timeout.total_seconds()) as client, asyncio.TaskGroup() as tasks:
        keys = IssuerKeys(issuer, client, tasks)
        try:
            yield SignedTokens(own, keys)
        finally:
            keys.leave()
