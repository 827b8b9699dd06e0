"""Attacks by sockets, and by connections that say as little as they can."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress

from websockets.exceptions import ConnectionClosed

from tests.attacks.attacker import Attacker
from tests.attacks.documents import aliases

DRIP_SECONDS = 1.0
LONGEST_DRIPPING_SECONDS = 60


async def abusive_documents(attacker: Attacker, times: int) -> None:
    """2,000 aliases in each, one after the other on one socket."""
    async with attacker.socket() as connection:
        if await attacker.initialise(connection):
            query = aliases(2_000)
            for number in range(times):
                payload = {"query": query}
                await connection.send(json.dumps({"id": str(number), "type": "subscribe", "payload": payload}))
            for _ in range(times):
                message = json.loads(await connection.recv())
                codes = [error["extensions"]["code"] for error in message["payload"]]
                attacker.note(" ".join(codes) if message["type"] == "error" else message["type"])


async def large_frame(attacker: Attacker, times: int) -> None:
    for _ in range(times):
        async with attacker.socket() as connection:
            if await attacker.initialise(connection):
                with suppress(ConnectionClosed):
                    await connection.send("x" * 15_000_000)
                await attacker.hear_until_closed(connection, requests=1)


async def pings(attacker: Attacker, times: int) -> None:
    async with attacker.socket() as connection:
        if await attacker.initialise(connection):
            with suppress(ConnectionClosed):
                for _ in range(times):
                    await connection.send('{"type": "ping"}')
            await attacker.hear_until_closed(connection, requests=times)


async def many_sockets(attacker: Attacker, times: int) -> None:
    """All of one user, and all at once."""
    async with AsyncExitStack() as stack:
        for _ in range(times):
            connection = await stack.enter_async_context(attacker.socket())
            if await attacker.initialise(connection):
                attacker.note("let in")


async def silent_sockets(attacker: Attacker, times: int) -> None:
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        for _ in range(times):
            connection = await stack.enter_async_context(attacker.socket())
            tasks.create_task(attacker.hear_until_closed(connection, requests=1))


async def dripping(attacker: Attacker, times: int) -> None:
    """A byte a second: of a head, of a body, of a frame before anything was said, of a frame when all was well."""
    ways = (_drip_head, _drip_body, _drip_first_frame, _drip_later_frame)
    async with asyncio.TaskGroup() as tasks:
        for number in range(times):
            tasks.create_task(ways[number % len(ways)](attacker))


async def _drip_head(attacker: Attacker) -> None:
    reader, writer = await attacker.open_raw()
    await _drip(attacker, reader, writer, b"POST /graphql HTTP/1.1\r\nHost: gus\r\nX-Slow: ")


async def _drip_body(attacker: Attacker) -> None:
    reader, writer = await attacker.open_raw()
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: gus\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n"
        b"Authorization: Bearer " + attacker.stage.attacker.encode() + b"\r\n\r\n"
    )
    await _drip(attacker, reader, writer, head + b"{")


async def _drip_first_frame(attacker: Attacker) -> None:
    reader, writer = await attacker.open_raw()
    await _shake_hands(reader, writer)
    await _drip(attacker, reader, writer, _frame_of(60_000))


async def _drip_later_frame(attacker: Attacker) -> None:
    reader, writer = await attacker.open_raw()
    await _shake_hands(reader, writer)
    init = json.dumps({"type": "connection_init", "payload": attacker.headers}).encode()
    writer.write(_frame_of(len(init)) + init)
    await reader.readuntil(b"connection_ack")
    await _drip(attacker, reader, writer, _frame_of(60_000))


async def _shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"GET /graphql HTTP/1.1\r\nHost: gus\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")


def _frame_of(length: int) -> bytes:
    """The beginning of a text frame, masked with zeros."""
    return b"\x81\xfe" + length.to_bytes(2, "big") + bytes(4)


async def _drip(
    attacker: Attacker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, beginning: bytes
) -> None:
    writer.write(beginning)
    dripping = asyncio.create_task(_one_by_one(writer))
    try:
        async with asyncio.timeout(LONGEST_DRIPPING_SECONDS):
            attacker.note(_last_words(await _all_of(reader)))
    except TimeoutError:
        attacker.note("never ended")
    finally:
        dripping.cancel()
        writer.close()


async def _one_by_one(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"x")
        await asyncio.sleep(DRIP_SECONDS)


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            heard += chunk
    return heard


def _last_words(heard: bytes) -> str:
    if heard.startswith(b"HTTP/1.1 "):
        return heard.split(b" ")[1].decode()
    # Of a socket, whose last frame is a close with its code, or nothing.
    closing = heard.rfind(b"\x88")
    return f"close {int.from_bytes(heard[closing + 2 : closing + 4], 'big')}" if closing >= 0 else "cut"
