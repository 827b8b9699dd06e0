"""The keys of an OIDC issuer, from its JWKS: kept for as long as it is away, asked for anew when a token names a new one."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import httpx
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from domain.errors import Unavailable
from server.identity.token import LONGEST_KEY_ID, Key

# Never a symmetric one: a public key would be everybody's secret.
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
MOST_KEYS = 50
LARGEST_SET_BYTES = 256 * 1024
SHORTEST_RSA_BITS = 2048

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Issuer:
    """`kept_for`: keys older than that are asked for anew, and used until the answer is there.

    `spacing`: whatever strangers send, the issuer is asked no more often.
    """

    name: str
    audience: str
    jwks_url: str
    timeout: timedelta = timedelta(seconds=5)
    kept_for: timedelta = timedelta(minutes=10)
    spacing: timedelta = timedelta(minutes=1)
    leeway: timedelta = timedelta(seconds=10)


class IssuerKeys:
    """Asks in `tasks`: who waits for the answer may leave, and the answer is still taken."""

    def __init__(self, issuer: Issuer, client: httpx.AsyncClient, tasks: asyncio.TaskGroup) -> None:
        self._issuer, self._client, self._tasks = issuer, client, tasks
        self._keys: dict[str, Key] = {}
        self._asked_at = self._fetched_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> Key | None:
        """A key that is known is never waited for. Raises Unavailable while none was ever to be had."""
        known = self._keys.get(key_id)
        if known is not None:
            if _has_passed(self._issuer.kept_for, self._fetched_at):
                self._ask()
            return known
        asking = self._ask()
        if asking is not None:
            await asyncio.wait([asking])
        if not self._keys:
            raise Unavailable("The issuer of this token cannot be asked for its keys now: try again.", retry_after=5.0)
        return self._keys.get(key_id)

    def leave(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def _ask(self) -> asyncio.Task[None] | None:
        """What is under way, for all who wait at once; None so soon after the last."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        if not _has_passed(self._issuer.spacing, self._asked_at):
            return None
        self._asked_at = _now()
        self._asking = self._tasks.create_task(self._take_over())
        return self._asking

    async def _take_over(self) -> None:
        try:
            async with asyncio.timeout(self._issuer.timeout.total_seconds()):
                self._keys = self._usable(await self._key_set())
            self._fetched_at = _now()
        except (TimeoutError, httpx.HTTPError, ValueError, RecursionError) as error:
            log.warning("the keys of the tokens' issuer could not be read", error_type=type(error).__name__)

    async def _key_set(self) -> bytes:
        async with self._client.stream("GET", self._issuer.jwks_url) as response:
            response.raise_for_status()
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_SET_BYTES:
                    raise ValueError("the key set is too large")
            return bytes(body)

    def _usable(self, key_set: bytes) -> dict[str, Key]:
        """Raises ValueError for a set without any: what is known stays."""
        document = json.loads(key_set)
        listed = document.get("keys") if isinstance(document, dict) else None
        usable = dict(self._signing_keys(listed[:MOST_KEYS] if isinstance(listed, list) else ()))
        if not usable:
            raise ValueError("the key set has no key that can be used")
        return usable

    def _signing_keys(self, listed: Iterable[object]) -> Iterable[tuple[str, Key]]:
        for entry in listed:
            found = _signing_key(entry)
            if found is not None:
                key_id, key = found
                yield (
                    key_id,
                    Key(
                        algorithm=key.algorithm_name,
                        secret=key.key,
                        issuer=self._issuer.name,
                        audience=self._issuer.audience,
                        issuer_name=self._issuer.name,
                        leeway=self._issuer.leeway,
                    ),
                )


def _signing_key(entry: object) -> tuple[str, jwt.PyJWK] | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    weak = isinstance(key.key, RSAPublicKey) and key.key.key_size < SHORTEST_RSA_BITS
    return None if weak or key.algorithm_name not in ALGORITHMS else (key_id, key)


def _has_passed(period: timedelta, since: float) -> bool:
    return _now() - since >= period.total_seconds()


def _now() -> float:
    return asyncio.get_running_loop().time()
