"""Whatever way an operation comes, it goes through the same limits, checks and deadlines: asserted way by way."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from server.graphql import TransportLimits
from server.throttle import Allowances, Throttle
from server.throttle.addresses import Addresses
from tests.server.transport.toy import GOOD, Client, Toy, running

MANY = 1_000_000
EVENTS = "text/event-stream"
Envelope = dict[str, Any]
Ask = Callable[[Toy, Envelope], Awaitable[list[str]]]


def codes(answer: Envelope) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors", ())]


async def by_post(toy: Toy, envelope: Envelope) -> list[str]:
    return codes((await toy.http.post("/graphql", json=envelope, headers=GOOD)).json())


async def by_get(toy: Toy, envelope: Envelope) -> list[str]:
    given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in envelope.items()}
    return codes((await toy.http.get("/graphql", params=given, headers=GOOD)).json())


async def by_stream(toy: Toy, envelope: Envelope) -> list[str]:
    answer = await toy.http.post("/graphql", json=envelope, headers=GOOD | {"Accept": EVENTS})
    if answer.headers["content-type"].startswith("application/json"):
        return codes(answer.json())
    event, data, *_ = answer.text.split("\n")
    assert event == "event: next"
    return codes(json.loads(data.removeprefix("data: ")))


async def by_multipart(toy: Toy, envelope: Envelope) -> list[str]:
    accept = "multipart/mixed;subscriptionSpec=1.0, application/json"
    return codes((await toy.http.post("/graphql", json=envelope, headers=GOOD | {"Accept": accept})).json())


async def by_socket(toy: Toy, envelope: Envelope) -> list[str]:
    async with toy.socket() as client:
        await client.send({"id": "1", "type": "subscribe", "payload": envelope})
        return await _told(client)


async def _told(client: Client) -> list[str]:
    message = await client.receive()
    await client.send({"type": "ping"})
    # Whatever was wrong with it, the socket is as good as before.
    while (await client.receive())["type"] != "pong":
        pass
    return codes({"errors": message["payload"]} if message["type"] == "error" else message["payload"])


WAYS: list[Ask] = [by_post, by_get, by_stream, by_multipart, by_socket]
LIMITS = TransportLimits(document_bytes=8_000, query_deadline=timedelta(milliseconds=50))
DOUBLING = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(20))
CASES: dict[str, tuple[Envelope, str]] = {
    "no document": ({"query": "{"}, "PARSE_FAILED"),
    "too many tokens": ({"query": "{" + "a " * 2_001 + "}"}, "TOO_COMPLEX"),
    "too many bytes": ({"query": "{hello}" + "#" * 8_000}, "TOO_COMPLEX"),
    "too deep": ({"query": "{items{nodes" * 11 + "{id}" + "}" * 22}, "TOO_COMPLEX"),
    "too many aliases": ({"query": "{" + " ".join(f"a{n}:hello" for n in range(51)) + "}"}, "TOO_COMPLEX"),
    "too many root fields": ({"query": "{" + " ".join(f"a{n}:hello" for n in range(21)) + "}"}, "TOO_COMPLEX"),
    "doubling fragments": ({"query": f"{{...F0}} {DOUBLING} fragment F20 on Query {{hello}}"}, "TOO_COMPLEX"),
    "too many directives": ({"query": "{hello" + " @skip(if:false)" * 51 + "}"}, "TOO_COMPLEX"),
    "too many operations": (
        {"query": " ".join(f"query Q{n}{{hello}}" for n in range(21)), "operationName": "Q0"},
        "TOO_COMPLEX",
    ),
    "too dear": ({"query": "{items(first:500){nodes{items(first:500){nodes{id}}}}}"}, "TOO_COMPLEX"),
    "too dear by its variables": (
        {"query": "query($n:Int){items(first:$n){nodes{items(first:$n){nodes{id}}}}}", "variables": {"n": 500}},
        "TOO_COMPLEX",
    ),
    "not of this contract": ({"query": "{nothing}"}, "VALIDATION_FAILED"),
    "an unknown operation": ({"query": "query A{hello}", "operationName": "B"}, "BAD_REQUEST"),
    "two operations and no name": ({"query": "query A{hello} query B{hello}"}, "BAD_REQUEST"),
    "a bad variable": ({"query": "query($n:String!){hello(name:$n)}", "variables": {"n": 5}}, "BAD_VARIABLES"),
    "an unknown hash": ({"query": "", "documentId": "0" * 64}, "PERSISTED_QUERY_NOT_FOUND"),
    "past its deadline": ({"query": "{slow}"}, "TIMEOUT"),
    "a bug": ({"query": '{fails(how:"bug")}'}, "INTERNAL"),
}


@pytest.mark.parametrize("case", CASES)
async def test_it_is_refused_with_the_same_code_by_every_way(case: str) -> None:
    envelope, code = CASES[case]
    async with running(limits=LIMITS) as toy:
        told = {ask.__name__: set(await ask(toy, envelope)) for ask in WAYS}
    assert told == {ask.__name__: {code} for ask in WAYS}


@pytest.mark.parametrize("ask", WAYS)
async def test_its_cost_is_charged_by_every_way(ask: Ask) -> None:
    edge = Throttle(Allowances(MANY, MANY, 15), Addresses())
    dear, cheap = {"query": "{items(first:10){nodes{id}}}"}, {"query": "{hello}"}
    async with running(edge=edge) as toy:
        told = [await ask(toy, envelope) for envelope in (cheap, dear, cheap, cheap, cheap)]
    assert told == [[], ["THROTTLED"], [], [], []]


@pytest.mark.parametrize("way", ["post", "stream", "socket"])
async def test_a_query_is_cancelled_when_its_client_leaves_whatever_way_it_came(way: str) -> None:
    async with running() as toy, asyncio.timeout(30):
        if way == "socket":
            async with toy.socket() as client:
                await client.subscribe("{slow}")
                await toy.journal.entered.wait()
        else:
            headers = GOOD | {"Accept": EVENTS if way == "stream" else "application/json"}
            with pytest.raises(httpx.ReadTimeout):
                await toy.http.post("/graphql", json={"query": "{slow}"}, headers=headers, timeout=0.5)
        await toy.journal.left.wait()
        assert toy.journal.waiting == 0


def test_the_limits_are_those_that_are_documented() -> None:
    given = TransportLimits()
    assert (given.body_bytes, given.document_bytes, given.document_tokens) == (1024 * 1024, 64 * 1024, 2_000)
    assert (given.query_deadline, given.mutation_deadline) == (timedelta(seconds=10), timedelta(seconds=30))
    assert (given.init_timeout, given.heartbeat) == (timedelta(seconds=5), timedelta(seconds=15))
    assert (given.idle, given.lifetime) == (timedelta(minutes=30), timedelta(hours=12))
