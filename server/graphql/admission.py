"""Who may come in: credentials, kept fresh while a connection lasts, and origins."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import urlsplit

from domain.errors import NotAuthenticated, Unavailable
from domain.user import Viewer

LONGEST_ASKING_SECONDS = 5.0

Authenticate = Callable[[str], Awaitable[Viewer]]


class Credential:
    """The secret of one connection. What is asked about it at once is asked one after the other: see `RecentCredentials`."""

    def __init__(self, secret: str, authenticate: Authenticate) -> None:
        self._secret, self._authenticate = secret, authenticate
        self._asking = asyncio.Lock()

    async def viewer(self) -> Viewer:
        """Raises NotAuthenticated as soon as the credential is no longer good, Unavailable when nobody can say."""
        async with self._asking:
            return await self._ask()

    async def _ask(self) -> Viewer:
        try:
            async with asyncio.timeout(LONGEST_ASKING_SECONDS):
                return await self._authenticate(self._secret)
        except TimeoutError:
            raise Unavailable("The credential could not be checked in time.") from None


def bearer(authorization: str) -> str:
    """The secret in an Authorization header. Raises NotAuthenticated."""
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise NotAuthenticated("The Authorization is malformed: it must be `Bearer <key>`.")
    return secret.strip()


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Lower-case names; a header that came several times is joined, as RFC 9110 says."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def origin_allowed(headers: Mapping[str, str], allowed: frozenset[str]) -> bool:
    """Browsers send Origin and let any page open a socket anywhere: the check is ours. Others send none."""
    origin = headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False
