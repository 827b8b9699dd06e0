"""By which names the server answers, over HTTP and over sockets."""

import asyncio
import json
from collections.abc import Sequence

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server.hosts import Hosts
from server.settings import Environment, Settings
from server.throttle.addresses import Addresses
from tests.e2e.client import SUBPROTOCOL
from tests.e2e.served import Served
from tests.server.conftest import Serve

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
NAMED = ["api.example.com", "*.example.org", "192.0.2.0/24", "2001:db8::1"]
DEVELOPMENT = Settings(host="my-machine").hosts
PRODUCTION = Settings(env=Environment.PRODUCTION).hosts


def is_trusted(trusted: Sequence[str], host: str | None, *, peer: str = STRANGER, forwarded: str | None = None) -> bool:
    headers = [(b"host", host.encode())] if host is not None else []
    headers += [(b"x-forwarded-host", forwarded.encode())] if forwarded is not None else []
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    return Hosts(trusted, Addresses([PROXY])).trusts(scope)  # type: ignore[arg-type]  # only what is read


@pytest.mark.parametrize(
    "host",
    ["api.example.com", "API.Example.com:8443", "api.example.com.", "a.b.example.org", "192.0.2.7:80", "[2001:db8::1]"],
)
def test_what_is_named_is_trusted(host: str) -> None:
    assert is_trusted(NAMED, host)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "example.com", "evil.example", "api.example.com.evil.example", "example.org", "notexample.org"),
        *("192.0.3.7", "[2001:db8::2]", "2001:db8::1", "api.example.com:port", "api.example.com, evil.example"),
        *("evil.example@api.example.com", "api.example.com/", "[::1"),
    ],
)
def test_what_is_not_named_is_not(host: str | None) -> None:
    assert not is_trusted(NAMED, host)


@pytest.mark.parametrize("host", ["localhost:8000", "gus.localhost", "127.0.0.1:8000", "[::1]:8000", "192.168.1.7"])
def test_development_is_asked_as_localhost_by_an_address_or_as_it_listens(host: str) -> None:
    assert is_trusted(DEVELOPMENT, host)
    assert is_trusted(DEVELOPMENT, "my-machine:8000")
    assert not is_trusted(DEVELOPMENT, "evil.example:8000")


def test_production_is_asked_by_any_name_until_it_says_which() -> None:
    assert is_trusted(PRODUCTION, "evil.example")


@pytest.mark.parametrize(
    ("peer", "host", "forwarded", "expected"),
    [
        (PROXY, "gus:8000", "api.example.com", True),
        (PROXY, "gus:8000", "evil.example, api.example.com", True),
        (PROXY, "api.example.com", "evil.example", False),
        (PROXY, "api.example.com", None, True),
        (STRANGER, "gus:8000", "api.example.com", False),
        (STRANGER, "api.example.com", "evil.example", True),
    ],
)
def test_a_trusted_proxy_says_by_which_name_it_was_asked(
    peer: str, host: str, forwarded: str | None, expected: bool
) -> None:
    assert is_trusted(NAMED, host, peer=peer, forwarded=forwarded) is expected


def test_another_name_is_400_with_a_code_and_health_checks_come_by_any(serve: Serve) -> None:
    served = serve(trusted_hosts="api.example.com,*.example.org")
    with httpx.Client(base_url=served.origin) as client:
        for path in ("/graphql", "/schema.graphql"):
            refused = client.get(path, headers={"Host": "evil.example"})
            [error] = refused.json()["errors"]
            assert (refused.status_code, error["extensions"]) == (400, {"code": "BAD_REQUEST"})
            assert refused.headers["content-type"].startswith("application/json")
        assert client.get("/health/ready", headers={"Host": "10.1.2.3"}).status_code == 200
        asked = client.post("/graphql", json={"query": "{viewer {id}}"}, headers={"Host": "api.example.com"})
        assert asked.json()["data"] == {"viewer": None}
    assert asyncio.run(shaken(served, "a.example.org")) is None
    refusal = asyncio.run(shaken(served, "evil.example"))
    assert refusal is not None
    status, body = refusal
    assert (status, json.loads(body)["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


async def shaken(served: Served, host: str) -> tuple[int, bytes] | None:
    """How the handshake of a socket was refused, if it was."""
    address = served.origin.removeprefix("http://").split(":")
    try:
        async with connect(
            f"ws://{host}/graphql", subprotocols=[SUBPROTOCOL], host=address[0], port=int(address[1])
        ) as socket:
            assert socket.subprotocol == SUBPROTOCOL
    except InvalidStatus as refused:
        return refused.response.status_code, bytes(refused.response.body or b"")
    return None
