"""Requests whose head does not come, or does not end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.protocols import HttpProtocol
from tests.server.transport.toy import Toy, running

BEGINNING = b"POST /graphql HTTP/1.1\r\nHost: x\r\nX-Long: "


class Hasty(HttpProtocol):
    head_seconds = rest_seconds = 0.1


@asynccontextmanager
async def connected(toy: Toy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = toy.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(30):
        yield reader, writer
    writer.transport.abort()


@pytest.mark.parametrize("beginning", [b"", b"POST", BEGINNING])
async def test_who_does_not_say_what_he_wants_is_not_waited_for(beginning: bytes) -> None:
    async with running(http=Hasty) as toy, connected(toy) as (reader, writer):
        writer.write(beginning)
        assert await reader.read() == b""


async def test_a_second_request_on_a_connection_has_a_deadline_too() -> None:
    async with running(http=Hasty) as toy, connected(toy) as (reader, writer):
        writer.write(b"GET /graphql?query={__typename} HTTP/1.1\r\nHost: x\r\n\r\n" + BEGINNING)
        answer = await reader.read()
        assert (answer.count(b"HTTP/1.1 200"), answer.count(b"HTTP/1.1")) == (1, 1)


async def test_who_has_been_understood_in_time_may_stay() -> None:
    async with running(http=Hasty) as toy, toy.socket() as client:
        await asyncio.sleep(3 * Hasty.head_seconds)
        await client.subscribe("{hello}")
        assert (await client.receive())["payload"] == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize("header", [b"y" * 1_000, b"y\r\nX-More: " * 100])
async def test_a_head_without_end_is_431(header: bytes) -> None:
    async with running() as toy, connected(toy) as (reader, writer):
        writer.write(BEGINNING + header * 70)
        await writer.drain()
        assert (await reader.readline()).startswith(b"HTTP/1.1 431")


async def test_a_large_body_is_no_long_head() -> None:
    async with running() as toy:
        answer = await toy.post("{hello}" + " " * 60_000, variables={"x": "y" * 500_000})
        assert answer.json() == {"data": {"hello": "hello world"}}


async def test_who_sends_too_much_is_told_so_and_may_send_it_to_its_end() -> None:
    async with running() as toy:
        refused = await toy.post("#" + "x" * 9_000_000)
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (413, "BAD_REQUEST")


async def test_the_rest_of_a_refused_body_is_not_waited_for() -> None:
    async with running(http=Hasty) as toy, connected(toy) as (reader, writer):
        writer.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 415")
