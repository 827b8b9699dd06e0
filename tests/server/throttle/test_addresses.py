"""From which address a call comes."""

import pytest

from server.throttle.addresses import Addresses

CASES = [
    ("nobody is trusted", [], "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
    ("the peer is no proxy", ["10.0.0.2"], "10.0.0.1", ["203.0.113.9"], "10.0.0.1"),
    ("one proxy", ["10.0.0.1"], "10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("what the client made up stays out", ["10.0.0.1"], "10.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
    ("two proxies", ["10.0.0.0/8"], "10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    ("two headers are one list", ["10.0.0.0/8"], "10.0.0.1", ["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
    ("all are proxies", ["10.0.0.0/8"], "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("a proxy without a word", ["10.0.0.1"], "10.0.0.1", [], "10.0.0.1"),
    ("rubbish ends the chain", ["10.0.0.0/8"], "10.0.0.1", ["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
    ("with a port", ["10.0.0.1"], "10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
    ("IPv6 with a port", ["10.0.0.1"], "10.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
    ("IPv6", ["::1"], "::1", ["2001:db8::9"], "2001:db8::9"),
    ("IPv4 on an IPv6 socket", ["10.0.0.1"], "::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_an_address_is_the_last_one_that_no_trusted_proxy_has(
    trusted: list[str], peer: str, forwarded: list[str], expected: str
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    assert Addresses(trusted).of(scope) == expected  # type: ignore[arg-type]  # only what is read


def test_a_call_without_a_peer_has_an_address_too() -> None:
    assert Addresses().of({"type": "http", "client": None, "headers": []}) == "unknown"  # type: ignore[arg-type]  # as above
