"""uvicorn's protocol for HTTP, but punctual, and without the circles of references that kept what a connection has had until a
garbage collection."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class HttpProtocol(HttpToolsProtocol):
    """There is a deadline for the head of a request, and for the rest of a body that nobody reads any more because its request
    was refused. A body that is read has one of its own, and what is kept alive without a request has uvicorn's.
    """

    head_seconds = 10.0
    most_head_bytes = 64 * 1024
    # A client that is cut off while it sends does not see why it was refused.
    rest_seconds = 5.0

    _is_in_head = True
    _is_in_body = False
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._close_after(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.most_head_bytes:
                self.transport.write(TOO_LONG)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._close_after(self.head_seconds)

    def on_headers_complete(self) -> None:
        self._is_in_head, self._is_in_body = False, True
        self._close_after(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_body = False
        self._close_after(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_in_body:
            self._close_after(self.rest_seconds)

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        # It holds our methods, and its words were the last: else both would stay for as long as the socket, and beyond.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does it when a connection is lost

    def _close_after(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.close)
