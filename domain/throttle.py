"""What a call from outside tells of itself before anybody looks into it, and what it may still spend at the edge."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Points of one minute and one credential, in this process; `cost` is what the operation has taken of them."""

    limit: int
    cost: int
    remaining: int
    reset_at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """`rate_limit` None: nothing is counted."""

    address: str
    rate_limit: RateLimit | None = None


def network_of(address: str) -> str:
    """What one client has: of IPv4 the address, of IPv6 a network of 2^64 of them. What is no address is itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
