"""Who calls, by address and credential, and how much more they may: asked before anything is parsed."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from litestar.types import Scope

from domain.throttle import RateLimit

UNKNOWN_ADDRESS = "unknown"


@dataclass(frozen=True, slots=True)
class Caller:
    """`credential`: a digest of what was sent, whether it is good or not."""

    address: str
    credential: str | None = None

    @classmethod
    def with_header(cls, address: str, authorization: str | None) -> "Caller":
        if authorization is None:
            return cls(address)
        secret = authorization.strip().partition(" ")[2].strip()
        return cls(address, sha256(secret.encode("utf-8", "replace")).hexdigest())


class Edge(Protocol):
    def address(self, scope: Scope) -> str: ...

    def arrive(self, caller: Caller) -> None:
        """One request, handshake, or operation of a socket. Raises RequestError with 429."""

    def charge(self, caller: Caller, cost: int) -> RateLimit | None:
        """One operation, weighed; None where nothing is counted. Raises RequestError with 429."""

    def headers(self, caller: Caller) -> Mapping[str, str]:
        """What a response over HTTP says of it."""


class OpenEdge:
    """Lets everybody through."""

    def address(self, scope: Scope) -> str:
        return peer_of(scope)

    def arrive(self, caller: Caller) -> None:
        return None

    def charge(self, caller: Caller, cost: int) -> RateLimit | None:
        return None

    def headers(self, caller: Caller) -> Mapping[str, str]:
        return {}


def says_why(scope: Scope) -> bool:
    """Whether the refusal of this handshake may have a status of its own and a body; else it is 403 and nothing more."""
    return "websocket.http.response" in (scope.get("extensions") or {})


def peer_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else UNKNOWN_ADDRESS
