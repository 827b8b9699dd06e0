"""The second client, in a process of its own: asks over HTTP and over a socket, and notes how long each answer took."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import median

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.attacks.stage import Stage
from tests.e2e.client import SUBPROTOCOL
from tests.e2e.served import ROOT

QUERY = "{ viewer { user { id } } models { key } }"
PAUSE_SECONDS = 0.02
READY = b"ready\n"


@dataclass
class Waits:
    """In seconds, in the order of asking."""

    all: list[float] = field(default_factory=list)

    @property
    def worst_ms(self) -> float:
        return 1000 * max(self.all)

    @property
    def median_ms(self) -> float:
        return 1000 * median(self.all)


@asynccontextmanager
async def standing_by(stage: Stage) -> AsyncIterator[Waits]:
    """Filled when the block has ended."""
    # The key goes by the environment: every user of the machine can read a command line.
    environ = os.environ | {"ATTACKS_KEY": stage.bystander, "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-m", "tests.attacks.bystander", stage.origin)
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdin=PIPE, stdout=PIPE)
    waits = Waits()
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == READY
        yield waits
    finally:
        waits.all += await _ended(child)


async def _ended(child: Process) -> list[float]:
    output, _ = await child.communicate(b"")
    waits: list[float] = json.loads(output)
    return waits


async def _stand_by(origin: str, key: str) -> None:
    headers, waits = {"Authorization": f"Bearer {key}"}, list[float]()
    address = f"{origin.replace('http', 'ws', 1)}/graphql"
    async with (
        httpx.AsyncClient(base_url=origin, headers=headers, timeout=60) as http,
        connect(address, subprotocols=[SUBPROTOCOL], compression=None) as socket,
    ):
        await socket.send(json.dumps({"type": "connection_init", "payload": headers}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        await _ask(http)
        print(READY.decode(), end="", flush=True)
        told_to_end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not told_to_end.done():
            for ask in (lambda: _ask(http), lambda: _ask_by_socket(socket)):
                waits.append(await _timed(ask))
                await asyncio.sleep(PAUSE_SECONDS)
    print(json.dumps(waits))


async def _timed(ask: Callable[[], Awaitable[None]]) -> float:
    began = time.monotonic()
    await ask()
    return time.monotonic() - began


async def _ask(http: httpx.AsyncClient) -> None:
    answer = (await http.post("/graphql", json={"query": QUERY})).json()
    assert "errors" not in answer, answer


async def _ask_by_socket(socket: ClientConnection) -> None:
    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": QUERY}}))
    while (message := json.loads(await socket.recv()))["type"] != "complete":
        assert message["type"] in ("next", "ping"), message
        assert "errors" not in message.get("payload", {}), message


if __name__ == "__main__":
    asyncio.run(_stand_by(sys.argv[1], os.environ["ATTACKS_KEY"]))
