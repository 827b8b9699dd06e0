"""Stops a response's bytes at its socket while nobody wants them, so that one read takes what came meanwhile."""

import asyncio

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

EXTENSION = "tap"


class Tap:
    """While it is shut the kernel gathers. Each read from a socket costs as much as all the rest that is done with a word,
    so words that will go out together should come in together."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._shut: asyncio.Transport | None = None

    def shut(self) -> None:
        connection = self._response.connection
        # At the body's end the connection is somebody else's already.
        transport = connection.transport if connection is not None else None
        # Who does not read was stopped by aiohttp, which will let it go on itself.
        if transport is not None and transport.is_reading() and not transport.is_closing():
            transport.pause_reading()
            self._shut = transport

    def open(self) -> None:
        transport, self._shut = self._shut, None
        if transport is not None and not transport.is_closing():
            transport.resume_reading()


class TappedTransport(AiohttpTransport):
    """Each of its responses has a Tap among its extensions."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        stream = response.stream
        assert isinstance(stream, AiohttpResponseStream)
        # There is no public way from here to the connection.
        response.extensions[EXTENSION] = Tap(stream._aiohttp_response)
        return response


def tap_of(response: httpx.Response) -> Tap:
    tap = response.extensions[EXTENSION]
    assert isinstance(tap, Tap)
    return tap
