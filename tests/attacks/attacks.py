"""Every attack by its name, how often it is tried in full and in a short version, and what it may be told."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.attacks import documents, sockets
from tests.attacks.attacker import Attacker


@dataclass(frozen=True, slots=True)
class Attack:
    """`refusals`: anything else that the attacker is told is a finding."""

    name: str
    title: str
    times: int
    short: int
    play: Callable[[Attacker, int], Awaitable[None]]
    refusals: frozenset[str]


def _refused(*codes: str) -> frozenset[str]:
    return frozenset(codes)


TOO_COMPLEX, BAD_REQUEST, TOO_LARGE = _refused("TOO_COMPLEX"), _refused("BAD_REQUEST"), _refused("413 BAD_REQUEST")

ATTACKS = (
    Attack("doubling", "20 doubling fragments", 400, 10, documents.doubling_fragments, TOO_COMPLEX),
    Attack("deep", "a document 400 deep", 400, 10, documents.deep, TOO_COMPLEX),
    Attack("aliases", "10,000 aliases, and 3,000", 200, 10, documents.many_aliases, TOO_COMPLEX),
    Attack("operations", "5,000 operations, and 1,500", 200, 10, documents.many_operations, TOO_COMPLEX),
    Attack("tokens", "1 MB of tokens", 100, 10, documents.many_tokens, TOO_COMPLEX | TOO_LARGE),
    Attack("comment", "a comment of 9 MB", 40, 4, documents.long_comment, TOO_LARGE),
    Attack("variables", "variables 100,000 deep", 100, 10, documents.deep_variables, BAD_REQUEST),
    Attack("cyclic", "a cyclic query over 10,000 messages", 200, 10, documents.cyclic, TOO_COMPLEX),
    Attack("dearest", "the dearest query that is let through", 40, 4, documents.dearest, _refused("answered")),
    Attack("bodies", "bodies `null`, `5`, `[]`, not UTF-8, no end", 400, 16, documents.bad_bodies, BAD_REQUEST),
    Attack("socket", "documents of 2,000 aliases on one socket", 100, 20, sockets.abusive_documents, TOO_COMPLEX),
    Attack("frame", "a frame of 15 MB", 20, 2, sockets.large_frame, _refused("close 1009", "close 1006")),
    Attack("pings", "pings on one socket", 10_000, 1_000, sockets.pings, _refused("close 4429", "close 1006")),
    Attack("sockets", "sockets of one user", 300, 60, sockets.many_sockets, _refused("let in", "close 4429")),
    Attack(
        "address",
        "sockets of one address that say nothing",
        300,
        200,
        sockets.silent_sockets,
        _refused("close 4429", "close 4408"),
    ),
    Attack(
        "dripping",
        "connections that send a byte a second",
        200,
        3,
        sockets.dripping,
        _refused("cut", "408", "close 4408", "close 1011"),
    ),
)
