"""From which address a call comes, also through proxies: only those that are named are believed."""

import ipaddress
from collections.abc import Iterable

from litestar.types import Scope

from server.graphql.edge import peer_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addresses:
    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted = [network_of(proxy) for proxy in trusted_proxies]

    def of(self, scope: Scope) -> str:
        """The peer; or, as long as that is a trusted proxy, whom it says it speaks for."""
        address = _parsed(peer_of(scope))
        if address is None:
            return peer_of(scope)
        for said in reversed(_forwarded_for(scope)):
            if not self._trusts(address):
                break
            before = _parsed(said)
            if before is None:
                break
            address = before
        return str(address)

    def is_by_proxy(self, scope: Scope) -> bool:
        """Whether what the proxy that asks has to say of its client is believed."""
        peer = _parsed(peer_of(scope))
        return peer is not None and self._trusts(peer)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def network_of(proxy: str) -> Network:
    """Raises ValueError."""
    return ipaddress.ip_network(proxy, strict=False)


def _forwarded_for(scope: Scope) -> list[str]:
    """In the order in which the proxies have added to it."""
    values = (value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for")
    return [part.strip() for value in values for part in value.decode("latin-1").split(",")]


def _parsed(text: str) -> Address | None:
    """Some proxies add a port; and a socket that listens on [::] has IPv4 peers as ::ffff:192.0.2.1."""
    host = (
        text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0] if text.count(":") == 1 else text
    )
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped) or address
