"""graphql-transport-ws: the operations that share a socket."""

import asyncio
from datetime import timedelta

import pytest

from server.graphql import TransportLimits
from tests.server.transport.toy import running, settled

SHORT = timedelta(milliseconds=20)


async def test_a_subscription_is_next_after_next_and_a_complete() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("subscription($n: Int!) {count(to: $n)}", variables={"n": 2})
        assert [await client.receive() for _ in range(3)] == [
            {"id": "1", "type": "next", "payload": {"data": {"count": 0}}},
            {"id": "1", "type": "next", "payload": {"data": {"count": 1}}},
            {"id": "1", "type": "complete"},
        ]


@pytest.mark.parametrize(("query", "data"), [("{hello}", {"hello": "hello world"}), ("mutation {touch}", {"touch": 1})])
async def test_queries_and_mutations_are_one_next_and_a_complete(query: str, data: dict[str, object]) -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe(query)
        assert await client.receive() == {"id": "1", "type": "next", "payload": {"data": data}}
        assert await client.receive() == {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        ("{", None, "PARSE_FAILED"),
        ("", None, "PARSE_FAILED"),
        ("{nothing}", None, "VALIDATION_FAILED"),
        ("query A {hello}", "B", "BAD_REQUEST"),
        ("query A {hello} query B {hello}", None, "BAD_REQUEST"),
        ("query($n: Int!) {half(name: $n)}", None, "BAD_VARIABLES"),
        ("{" + " a" * 3_000 + "}", None, "TOO_COMPLEX"),
        ('subscription {breaks(after: 0, how: "id")}', None, "NOT_FOUND"),
        ("subscription {breaks(after: 0)}", None, "INTERNAL"),
    ],
)
async def test_a_bad_operation_is_an_error_for_its_id_and_nothing_else_ends(query: str, name: str, code: str) -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("subscription {wait}", id="other")
        await client.receive()
        await client.subscribe(query, operationName=name)
        message = await client.receive()
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        toy.journal.release.set()
        assert (await client.receive())["payload"] == {"data": {"wait": 1}}


async def test_an_id_in_use_is_4409_and_a_completed_one_is_free() -> None:
    async with running() as toy, toy.socket() as client:
        for _ in range(2):
            await client.subscribe("{hello}")
            assert [(await client.receive())["type"] for _ in range(2)] == ["next", "complete"]
        await client.subscribe("subscription {wait}")
        await client.subscribe("{hello}")
        assert await client.closed() == (4409, "Subscriber for 1 already exists")


async def test_complete_closes_the_generator_and_frees_the_id_at_once() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("subscription {wait}")
        await client.receive()
        await client.send({"type": "complete", "id": "1"})
        await client.subscribe("{hello}")
        assert (await client.receive())["payload"] == {"data": {"hello": "hello world"}}
        assert toy.journal.left.is_set()


async def test_complete_cancels_a_query_and_its_result_is_not_sent() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("{slow}")
        await toy.journal.entered.wait()
        await client.send({"type": "complete", "id": "1"})
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        assert toy.journal.left.is_set()


async def test_a_mutation_runs_to_its_end_after_complete_and_nobody_is_told() -> None:
    async with running() as toy, toy.socket() as client, asyncio.timeout(30):
        await client.subscribe("mutation {touchSlowly}")
        await toy.journal.entered.wait()
        await client.send({"type": "complete", "id": "1"})
        await client.subscribe("{hello}")
        assert [(await client.receive())["type"] for _ in range(2)] == ["next", "complete"]
        toy.journal.release.set()
        await toy.journal.left.wait()
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        assert toy.journal.touched == 1


async def test_a_mutation_runs_to_its_end_after_its_socket() -> None:
    async with running() as toy, asyncio.timeout(30):
        async with toy.socket() as client:
            await client.subscribe("mutation {touchSlowly}")
            await toy.journal.entered.wait()
        toy.journal.release.set()
        await toy.journal.left.wait()
        assert toy.journal.touched == 1


async def test_a_query_is_cancelled_with_its_socket() -> None:
    async with running() as toy, asyncio.timeout(30):
        async with toy.socket() as client:
            await client.subscribe("{slow}")
            await toy.journal.entered.wait()
        await toy.journal.left.wait()


async def test_each_operation_and_each_event_has_a_context_of_its_own() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("{contextNumber}")
        first = (await client.receive())["payload"]
        await client.receive()
        await client.subscribe("{contextNumber}")
        assert [first, (await client.receive())["payload"]] == [{"data": {"contextNumber": n}} for n in (1, 2)]
        await client.receive()
        await client.subscribe("subscription {contextNumbers {id items {nodes {id}}}}")
        await client.receive()
        await client.receive()
        assert toy.journal.contexts == 5


async def test_operations_are_answered_as_they_end() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("{slow}", id="slow")
        await client.subscribe("{hello}", id="fast")
        assert [(await client.receive())["id"] for _ in range(2)] == ["fast", "fast"]
        toy.journal.release.set()
        assert [(await client.receive())["id"] for _ in range(2)] == ["slow", "slow"]


async def test_a_socket_carries_so_many_operations_also_of_those_that_nobody_waits_for() -> None:
    async with running(limits=TransportLimits(operations_per_socket=1)) as toy, toy.socket() as client:
        await client.subscribe("mutation {touchSlowly}", id="1")
        await client.send({"type": "complete", "id": "1"})
        await client.subscribe("{hello}", id="2")
        message = await client.receive()
        assert (message["id"], message["type"]) == ("2", "error")
        assert message["payload"][0]["extensions"] == {"code": "THROTTLED", "retryAfter": 1.0}
        toy.journal.release.set()


async def test_a_credential_is_asked_about_again_when_an_operation_starts() -> None:
    async with running() as toy, toy.socket() as client:
        toy.journal.revoked["good"] = True
        await client.subscribe("{hello}")
        assert (await client.closed())[0] == 4401


async def test_an_event_past_the_deadline_is_a_timeout_and_the_stream_goes_on() -> None:
    async with running(limits=TransportLimits(query_deadline=SHORT)) as toy, toy.socket() as client:
        await client.subscribe("subscription {slowly {slow}}")
        first = await client.receive()
        assert (first["type"], first["payload"]["errors"][0]["extensions"]["code"]) == ("next", "TIMEOUT")
        assert (await client.receive())["type"] == "next"
        assert (await client.receive())["type"] == "complete"


async def test_a_slow_reader_stops_its_generators_and_nobody_elses() -> None:
    async with running() as toy, toy.socket() as slow, toy.socket() as quick:
        slow.connection.transport.pause_reading()
        await slow.subscribe("subscription {flood}")
        await settled(toy.journal)
        # 10 KB each: what the kernel's and the server's buffers hold, and no more.
        assert toy.journal.produced < 2_000
        await quick.subscribe("{hello}")
        assert (await quick.receive())["payload"] == {"data": {"hello": "hello world"}}
        slow.connection.transport.abort()
