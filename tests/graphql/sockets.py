"""A real socket to a process of the tests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from litestar import Litestar
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.server.transport.toy import Client, served


@asynccontextmanager
async def opened(app: Litestar, secret: str | None, headers: Mapping[str, str] | None = None) -> AsyncIterator[Client]:
    """`secret` None: the handshake only."""
    async with served(app) as url:
        address = url.replace("http", "ws") + "/graphql"
        protocols = [Subprotocol("graphql-transport-ws")]
        async with connect(address, subprotocols=protocols, additional_headers=headers, compression=None) as connection:
            client = Client(connection)
            if secret is not None:
                await client.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {secret}"}})
            yield client
