"""By which names the server answers. Who asks by another was led astray, or is the page of a name that points here."""

import ipaddress
import re
from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from server.graphql.edge import says_why
from server.graphql.errors import bad_request
from server.graphql.http import refuse
from server.graphql.negotiation import Media
from server.graphql.wire import Wire
from server.throttle.addresses import Addresses, Network, network_of

ANY = "*"
# Supervisors and load balancers ask by whatever address they have, and are told nothing.
HEALTH = "/health/"
HOST = re.compile(r"(?P<name>[\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)


class Hosts:
    """`trusted`: names, `*.` and a name for all below it, addresses, networks, or `*`."""

    def __init__(self, trusted: Iterable[str], addresses: Addresses) -> None:
        patterns = [pattern.lower() for pattern in trusted]
        self._addresses = addresses
        self._any = ANY in patterns
        self._below = tuple(pattern[1:] for pattern in patterns if pattern.startswith("*."))
        self._networks = [network for pattern in patterns if (network := network_or_none(pattern))]
        self._names = frozenset(patterns)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        if self._any:
            return app

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"].startswith(HEALTH) or self.trusts(scope):
                await app(scope, receive, send)
            else:
                await _refuse(scope, receive, send)

        return answer

    def trusts(self, scope: Scope) -> bool:
        said = self._said(scope)
        match = HOST.fullmatch(said[0]) if len(said) == 1 else None
        return match is not None and self._is_trusted(match["name"].lower().strip("[]").removesuffix("."))

    def _said(self, scope: Scope) -> list[str]:
        """A proxy may have put another name into Host, and says by which it was asked itself."""
        forwarded = _values(scope, b"x-forwarded-host") if self._addresses.is_by_proxy(scope) else []
        return forwarded[-1:] or _values(scope, b"host")

    def _is_trusted(self, name: str) -> bool:
        if self._any or name in self._names or name.endswith(self._below):
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def network_or_none(pattern: str) -> Network | None:
    try:
        return network_of(pattern)
    except ValueError:
        return None


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    error = bad_request("There is no server of this name here. Whoever runs it names it in GUS_TRUSTED_HOSTS.")
    if scope["type"] == ScopeType.WEBSOCKET:
        await Wire(receive, send, 0).refuse(error if says_why(scope) else None)
    else:
        await refuse(send, Media.JSON, error)


def _values(scope: Scope, name: bytes) -> list[str]:
    values = (value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name)
    return [part.strip() for value in values for part in value.split(",")]
