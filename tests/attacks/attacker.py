"""What an attacker sends, as raw as it must be, and what it is told."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.attacks.stage import Stage
from tests.e2e.client import SUBPROTOCOL

AT_ONCE = 8


@dataclass
class Attacker:
    """`told`: how often each answer came: a code of `extensions`, a status without one, the code of a close."""

    stage: Stage
    told: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.stage.attacker}", "Content-Type": "application/json"}

    def note(self, what: str, *, requests: int = 1) -> None:
        self.told[what] += 1
        self.requests += requests

    async def post(self, query: str, times: int, variables: str = "{}") -> None:
        await self.post_raw(f'{{"query": {json.dumps(query)}, "variables": {variables}}}'.encode(), times)

    async def post_raw(self, body: bytes, times: int) -> None:
        """From several connections at once."""
        turns = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(base_url=self.stage.origin, headers=self.headers, timeout=60) as http:

            async def post() -> None:
                async with turns:
                    self.note(await _answer(http, body))

            async with asyncio.TaskGroup() as tasks:
                for _ in range(times):
                    tasks.create_task(post())

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[ClientConnection]:
        address = f"{self.stage.origin.replace('http', 'ws', 1)}/graphql"
        # Its own pings would tell of attacks that last longer than they do.
        async with connect(address, subprotocols=[SUBPROTOCOL], compression=None, ping_interval=None) as connection:
            yield connection

    async def initialise(self, connection: ClientConnection) -> bool:
        """Whether it was let in; if not, it is noted what it was told instead."""
        try:
            await connection.send(json.dumps({"type": "connection_init", "payload": self.headers}))
            return bool(json.loads(await connection.recv())["type"] == "connection_ack")
        except ConnectionClosed as closed:
            self.note(close_code(closed))
            return False

    async def hear_until_closed(self, connection: ClientConnection, *, requests: int = 0) -> None:
        try:
            async with asyncio.timeout(90):
                while True:
                    await connection.recv()
        except ConnectionClosed as closed:
            self.note(close_code(closed), requests=requests)

    async def open_raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.stage.origin)
        return await asyncio.open_connection(parts.hostname, parts.port)


def close_code(closed: ConnectionClosed) -> str:
    return f"close {closed.rcvd.code if closed.rcvd else 1006}"


async def _answer(http: httpx.AsyncClient, body: bytes) -> str:
    try:
        answer = await http.post("/graphql", content=body)
    except httpx.TransportError as error:
        return type(error).__name__
    with suppress(ValueError, KeyError, LookupError):
        return "answered" if "data" in (told := answer.json()) else _code(answer.status_code, told)
    return str(answer.status_code)


def _code(status: int, told: dict[str, list[dict[str, dict[str, str]]]]) -> str:
    code = told["errors"][0]["extensions"]["code"]
    return code if status in (200, 400) else f"{status} {code}"
