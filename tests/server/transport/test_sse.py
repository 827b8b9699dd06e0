"""graphql-sse, distinct connections mode."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from server.graphql import TransportLimits
from tests.server.transport.toy import GOOD, Toy, running, settled, until

EVENTS = "text/event-stream"
SHORT = timedelta(milliseconds=20)


@asynccontextmanager
async def streaming(toy: Toy, query: str) -> AsyncIterator[AsyncIterator[str]]:
    headers = {**GOOD, "Accept": EVENTS}
    async with toy.http.stream("POST", "/graphql", json={"query": query}, headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield response.aiter_lines()


async def following(lines: AsyncIterator[str], text: str) -> None:
    async with asyncio.timeout(30):
        async for line in lines:
            if line == text:
                return
    raise AssertionError(f"the stream ended without {text!r}")


async def test_a_subscription_is_a_stream_of_next_and_a_complete_framed_with_lf() -> None:
    async with running() as toy:
        response = await toy.post("subscription {count(to: 2)}", accept=EVENTS)
        assert response.text == (
            'event: next\ndata: {"data":{"count":0}}\n\n'
            'event: next\ndata: {"data":{"count":1}}\n\n'
            "event: complete\ndata:\n\n"
        )
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("query", ["{hello}", "query {hello}", "mutation {touch}"])
async def test_queries_and_mutations_stream_one_result(query: str) -> None:
    async with running() as toy:
        text = (await toy.post(query, accept=EVENTS)).text
        assert (text.count("event: next"), text.count("event: complete"), text.count('"data"')) == (1, 1, 1)


async def test_get_streams_too_and_runs_no_mutation() -> None:
    async with running() as toy:
        headers = {**GOOD, "Accept": EVENTS}
        stream = await toy.http.get("/graphql", params={"query": "subscription {count(to: 1)}"}, headers=headers)
        mutation = await toy.http.get("/graphql", params={"query": "mutation {touch}"}, headers=headers)
        assert 'data: {"data":{"count":0}}\n' in stream.text
        assert (mutation.status_code, toy.journal.touched) == (405, 0)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription {", "PARSE_FAILED"),
        ("subscription {nothing}", "VALIDATION_FAILED"),
        ("subscription($n: Int!) {count(to: $n)}", "BAD_VARIABLES"),
        ('subscription {breaks(after: 0, how: "id")}', "NOT_FOUND"),
        ("subscription {breaks(after: 0)}", "INTERNAL"),
    ],
)
async def test_what_fails_before_the_first_event_is_one_next_without_data(query: str, code: str) -> None:
    async with running() as toy:
        response = await toy.post(query, accept=EVENTS)
        event, end = response.text.removeprefix("event: next\ndata: ").split("\n\n", 1)
        payload = json.loads(event)
        assert (set(payload), payload["errors"][0]["extensions"]["code"]) == ({"errors"}, code)
        assert end == "event: complete\ndata:\n\n"


async def test_a_stream_that_breaks_says_so_and_completes() -> None:
    async with running() as toy:
        text = (await toy.post("subscription {breaks(after: 2)}", accept=EVENTS)).text
        assert (text.count('"data"'), text.count('"INTERNAL"'), text.count("event: complete")) == (2, 1, 1)


async def test_a_bad_envelope_and_a_missing_credential_are_plain_http_errors() -> None:
    async with running() as toy:
        accept = {"Accept": EVENTS}
        bad = await toy.http.post("/graphql", json=[], headers={**GOOD, **accept})
        nobody = await toy.http.post("/graphql", json={"query": "subscription {count}"}, headers=accept)
        assert (bad.status_code, nobody.status_code) == (400, 401)
        assert nobody.headers["content-type"].startswith("application/json")


async def test_a_quiet_stream_sends_comments() -> None:
    async with running(limits=TransportLimits(heartbeat=SHORT)) as toy, streaming(toy, "subscription {wait}") as lines:
        await following(lines, ":")
        await following(lines, ":")


async def test_the_generator_is_closed_when_the_client_leaves() -> None:
    async with running() as toy:
        async with streaming(toy, "subscription {wait}") as lines:
            await following(lines, 'data: {"data":{"wait":0}}')
        async with asyncio.timeout(30):
            await toy.journal.left.wait()


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_stream_whose_credential_is_revoked_ends_unauthenticated(lasting: bool) -> None:
    async with running(limits=TransportLimits(recheck=SHORT)) as toy:
        async with streaming(toy, "subscription {wait}") as lines:
            await following(lines, 'data: {"data":{"wait":0}}')
            toy.journal.revoked["good"] = lasting
            rest = [line async for line in lines]
        assert '"UNAUTHENTICATED"' in rest[2]
        assert rest[4] == "event: complete"


async def test_draining_ends_streams_without_complete_and_refuses_new_ones() -> None:
    async with running() as toy:
        async with streaming(toy, "subscription {wait}") as lines:
            await following(lines, 'data: {"data":{"wait":0}}')
            await toy.transport.drain()
            assert [line async for line in lines] == [""]
        refused = await toy.post("subscription {count}", accept=EVENTS)
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
        assert toy.journal.left.is_set()


async def test_a_user_has_so_many_streams() -> None:
    async with running(limits=TransportLimits(connections_per_user=1)) as toy:
        async with streaming(toy, "subscription {wait}") as lines:
            await following(lines, "event: next")
            refused = await toy.post("subscription {count}", accept=EVENTS)
            other = {"Authorization": "Bearer other", "Accept": EVENTS}
            admitted = await toy.http.post("/graphql", json={"query": "subscription {count}"}, headers=other)
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (429, "THROTTLED")
        assert admitted.status_code == 200


async def test_an_address_has_so_many_streams_and_sockets_together() -> None:
    async with running(limits=TransportLimits(connections_per_address=2)) as toy:
        async with toy.socket(), streaming(toy, "subscription {wait}") as lines:
            await following(lines, "event: next")
            refused = await toy.post("subscription {count}", accept=EVENTS)
            asked = await toy.post("{hello}")
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (429, "THROTTLED")
        assert asked.json() == {"data": {"hello": "hello world"}}


async def test_a_slow_reader_stops_the_generator_and_nothing_piles_up() -> None:
    async with running() as toy:
        host, port = toy.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        request = httpx.Request("POST", toy.url, json={"query": "subscription {flood}"})
        head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\nAccept: {EVENTS}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(request.content)}\r\n\r\n"
        writer.write(head.encode() + request.content)
        await settled(toy.journal)
        # 10 KB each: what the kernel's and the server's buffers hold, and no more.
        assert toy.journal.produced < 2_000
        writer.transport.abort()
        await until(lambda: not toy.transport.open_connections)
