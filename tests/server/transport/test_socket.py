"""graphql-transport-ws: the connection."""

import asyncio
import gc
import json
from collections import Counter
from datetime import timedelta

import pytest
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from domain.errors import Unavailable
from server.graphql import TransportLimits
from server.graphql.multiplex import Multiplex
from server.graphql.socket import _Socket
from server.protocols import HttpProtocol
from server.throttle import Allowances, Throttle
from server.throttle.addresses import Addresses
from tests.server.transport.toy import GOOD, Toy, running, until

SHORT = timedelta(milliseconds=20)
OF_A_SOCKET = (_Socket, Multiplex, HttpProtocol, WebSocketsSansIOProtocol, StrawberryGraphQLCoreExecutionContext)


async def test_the_protocol_is_spoken_and_said() -> None:
    async with running() as toy, toy.socket() as client:
        assert client.connection.subprotocol == "graphql-transport-ws"


@pytest.mark.parametrize("subprotocols", [[], ["graphql-ws"]])
async def test_another_subprotocol_is_4406(subprotocols: list[str]) -> None:
    async with running() as toy, toy.socket(init=None, subprotocols=subprotocols) as client:
        assert await client.closed() == (4406, "Subprotocol not acceptable")


async def test_silence_instead_of_connection_init_is_4408() -> None:
    async with running(limits=TransportLimits(init_timeout=SHORT)) as toy, toy.socket(init=None) as client:
        assert await client.closed() == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize("payload", ["absent", None, {}])
async def test_a_client_that_can_set_headers_needs_no_payload(payload: object) -> None:
    async with running() as toy, toy.socket(init=None, headers=GOOD) as client:
        message = {"type": "connection_init"}
        await client.send(message if payload == "absent" else {**message, "payload": payload})
        assert await client.receive() == {"type": "connection_ack"}


async def test_the_payload_may_say_authorization_in_lower_case() -> None:
    async with running() as toy, toy.socket(init={"authorization": "bearer good"}) as client:
        await client.subscribe("{viewer}")
        assert (await client.receive())["payload"] == {"data": {"viewer": "good"}}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"Authorization": "good"},
        {"Authorization": 5},
        {"Authorization": None},
        {"Authorization": "Bearer old"},
    ],
)
async def test_a_missing_malformed_or_expired_credential_is_4403(payload: object) -> None:
    async with running() as toy, toy.socket(init=None) as client:
        await client.send({"type": "connection_init", "payload": payload})
        code, reason = await client.closed()
        assert (code, str(reason)[:11]) == (4403, "Forbidden: ")


async def test_a_credential_that_will_never_be_good_again_is_4401() -> None:
    async with running() as toy, toy.socket(init=None) as client:
        toy.journal.revoked["good"] = True
        await client.send({"type": "connection_init", "payload": GOOD})
        assert (await client.closed())[0] == 4401


async def test_an_operation_before_the_ack_is_4401() -> None:
    async with running() as toy, toy.socket(init=None) as client:
        await client.subscribe("{hello}")
        assert await client.closed() == (4401, "Unauthorized")


async def test_a_second_connection_init_is_4429() -> None:
    async with running() as toy, toy.socket() as client:
        await client.send({"type": "connection_init", "payload": GOOD})
        assert await client.closed() == (4429, "Too many initialisation requests")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[" * 5000,
        "1" * 5000,
        "[]",
        '"x"',
        "5",
        "null",
        "{}",
        b'{"type": "ping"}',
        '{"type": 5}',
        '{"type": "start"}',
        '{"type": "connection_ack"}',
        '{"type": "ping", "payload": 5}',
        '{"type": "ping", "payload": {"x": "\\ud83d"}}',
        '{"type": "pong", "payload": []}',
        '{"type": "connection_init", "payload": "x"}',
        '{"type": "complete"}',
        '{"type": "complete", "id": {}}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": null}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 5}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{hello}", "variables": []}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{hello}", "operationName": 5}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{hello}"}}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{hello}"}}',
        '{"type": "subscribe", "id": {"a": 1}, "payload": {"query": "{hello}"}}',
        '{"type": "subscribe", "id": "\\ud83d", "payload": {"query": "{hello}"}}',
        '{"type": "subscribe", "payload": {"query": "{hello}"}}',
    ],
)
async def test_what_the_protocol_does_not_know_is_4400(message: str | bytes) -> None:
    async with running() as toy, toy.socket() as client:
        await client.send(message)
        code, reason = await client.closed()
        assert (code, str(reason)[:17]) == (4400, "Invalid message: ")


@pytest.mark.parametrize("payload", [{"at": [1, "é"]}, None, "absent"])
async def test_a_ping_is_answered_with_its_own_payload(payload: object) -> None:
    message: dict[str, object] = {} if payload == "absent" else {"payload": payload}
    async with running() as toy, toy.socket(init=None) as client:
        await client.send({"type": "ping", **message})
        assert await client.receive() == {"type": "pong", **(message if payload is not None else {})}


async def test_a_pong_out_of_nowhere_and_an_unknown_complete_are_ignored() -> None:
    async with running() as toy, toy.socket() as client:
        await client.send({"type": "pong"})
        await client.send({"type": "complete", "id": "unknown"})
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}


async def test_a_close_reason_fits_its_frame() -> None:
    async with running() as toy, toy.socket() as client:
        await client.subscribe("subscription {wait}", id="é" * 200)
        await client.receive()
        await client.subscribe("subscription {wait}", id="é" * 200)
        code, reason = await client.closed()
        assert (code, len(str(reason).encode()) <= 123) == (4409, True)


async def test_a_message_over_the_limit_is_1009() -> None:
    async with running(limits=TransportLimits(body_bytes=1_000)) as toy, toy.socket() as client:
        await client.send({"type": "ping", "payload": {"x": "y" * 1_000}})
        assert (await client.closed())[0] == 1009


async def test_a_flood_of_messages_is_4429() -> None:
    async with (
        running(limits=TransportLimits(messages_per_second=0.001, message_burst=10)) as toy,
        toy.socket() as client,
    ):
        for _ in range(10):
            await client.send({"type": "pong"})
        assert await client.closed() == (4429, "Too many messages")


async def test_a_user_has_so_many_sockets() -> None:
    async with running(limits=TransportLimits(connections_per_user=1)) as toy:
        async with toy.socket(), toy.socket(init=None) as second:
            await second.send({"type": "connection_init", "payload": GOOD})
            assert (await second.closed())[0] == 4429
            async with toy.socket(init={"Authorization": "Bearer other"}):
                pass
        async with toy.socket():
            pass


async def test_an_address_has_so_many_sockets_also_of_those_who_say_nothing() -> None:
    async with running(limits=TransportLimits(connections_per_address=2)) as toy:
        async with toy.socket(init=None), toy.socket(), toy.socket(init=None) as third:
            code, reason = await third.closed()
            assert (code, "address" in str(reason), toy.transport.open_connections) == (4429, True, 2)
        await until(lambda: not toy.transport.open_connections)
        async with toy.socket(), toy.socket(init={"Authorization": "Bearer other"}):
            pass


async def test_an_address_is_whom_a_trusted_proxy_speaks_for_and_of_ipv6_a_network() -> None:
    behind = Throttle(Allowances(1_000, 1_000, 100_000), Addresses(["127.0.0.1"]))
    async with (
        running(limits=TransportLimits(connections_per_address=1), edge=behind) as toy,
        toy.socket(headers={"X-Forwarded-For": "2001:db8::1"}),
        toy.socket(headers={"X-Forwarded-For": "2001:db8:0:1::1"}),
        toy.socket(headers={"X-Forwarded-For": "203.0.113.9"}),
        toy.socket(headers={"X-Forwarded-For": "2001:db8::2"}, init=None) as same,
    ):
        assert (await same.closed())[0] == 4429


async def test_a_quiet_socket_is_pinged() -> None:
    async with running(limits=TransportLimits(heartbeat=SHORT)) as toy, toy.socket() as client:
        assert [await client.receive(), await client.receive()] == [{"type": "ping"}, {"type": "ping"}]


@pytest.mark.parametrize(("lasting", "code"), [(True, 4401), (False, 4403)])
async def test_a_socket_is_closed_when_its_credential_is_revoked_or_expires(lasting: bool, code: int) -> None:
    async with running(limits=TransportLimits(recheck=SHORT)) as toy, toy.socket() as client:
        await client.subscribe("subscription {wait}")
        await client.receive()
        toy.journal.revoked["good"] = lasting
        assert (await client.closed())[0] == code
        assert toy.journal.left.is_set()


async def test_an_outage_of_the_storage_closes_no_socket() -> None:
    async with running(limits=TransportLimits(recheck=SHORT)) as toy, toy.socket() as client:
        toy.journal.outage = Unavailable("The database is away.")
        asked = toy.journal.asked
        await until(lambda: toy.journal.asked >= asked + 3)
        toy.journal.outage = None
        await client.subscribe("{hello}")
        assert (await client.receive())["payload"] == {"data": {"hello": "hello world"}}


async def test_a_socket_cannot_open_while_the_storage_is_away_and_may_try_again() -> None:
    async with running() as toy, toy.socket(init=None) as client:
        toy.journal.outage = Unavailable("The database is away.")
        await client.send({"type": "connection_init", "payload": GOOD})
        assert (await client.closed())[0] == 1013


@pytest.mark.parametrize("limit", ["idle", "lifetime"])
async def test_a_socket_that_is_idle_or_old_is_1001(limit: str) -> None:
    limits = TransportLimits(heartbeat=SHORT, **{limit: SHORT})  # type: ignore[arg-type]
    async with running(limits=limits) as toy, toy.socket() as client:
        assert (await client.closed())[0] == 1001


async def test_a_socket_with_a_subscription_is_not_idle() -> None:
    async with running(limits=TransportLimits(heartbeat=SHORT, idle=SHORT)) as toy, toy.socket() as client:
        await client.subscribe("subscription {wait}")
        received = [await client.receive() for _ in range(6)]
        assert received.count({"type": "ping"}) == 5


@pytest.mark.parametrize("origin", ["https://app.example", "http://HOST"])
async def test_the_page_of_an_allowed_or_the_same_host_may_connect(origin: str) -> None:
    async with running(allowed_origins=frozenset({"https://app.example"})) as toy:
        origin = origin.replace("http://HOST", toy.url)
        async with toy.socket(headers={"Origin": origin}):
            pass


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil", "http://["])
async def test_the_page_of_another_host_may_not(origin: str) -> None:
    async with running(allowed_origins=frozenset({"https://app.example"})) as toy:
        address = toy.url.replace("http", "ws") + "/graphql"
        with pytest.raises(InvalidStatus, match="403"):
            await connect(address, additional_headers={"Origin": origin})


async def test_draining_closes_sockets_with_1001_and_new_ones_too() -> None:
    async with running() as toy:
        async with toy.socket() as client, toy.socket(init=None) as silent:
            await client.subscribe("subscription {wait}")
            await client.receive()
            await toy.transport.drain()
            code, reason = await client.closed()
            assert (code, "resume" in str(reason), (await silent.closed())[0]) == (1001, True, 1001)
        async with toy.socket(init=None) as late:
            assert (await late.closed())[0] == 1001
        assert (toy.transport.open_connections, toy.journal.left.is_set()) == (0, True)


async def test_nothing_is_left_of_sockets_that_die() -> None:
    async with running() as toy:
        for _ in range(20):
            async with toy.socket() as client:
                await client.subscribe("subscription {wait}")
                assert json.loads(await client.connection.recv())["id"] == "1"
                client.connection.transport.abort()
        await until(lambda: not toy.transport.open_connections)
        assert not [task for task in asyncio.all_tasks() if "Multiplex" in repr(task.get_coro())]


@pytest.mark.parametrize("is_polite", [True, False])
async def test_nothing_of_a_socket_waits_for_the_garbage_collector(is_polite: bool) -> None:
    async with running() as toy:
        await _subscribed_and_left(toy, is_polite=is_polite)
        gc.collect()
        gc.disable()
        try:
            before = Counter(map(type, gc.get_objects()))
            for _ in range(5):
                await _subscribed_and_left(toy, is_polite=is_polite)
            left = Counter(map(type, gc.get_objects())) - before
        finally:
            gc.enable()
    assert {kind: left[kind] for kind in OF_A_SOCKET if left[kind]} == {}


async def _subscribed_and_left(toy: Toy, *, is_polite: bool) -> None:
    async with toy.socket() as client:
        await client.subscribe("subscription {wait}")
        await client.receive()
        if not is_polite:
            client.connection.transport.abort()
    await until(lambda: not toy.transport.open_connections)
    # What the kernel tells uvicorn of it comes a little later.
    await asyncio.sleep(0.05)
