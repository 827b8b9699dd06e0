"""uvicorn's protocols, without the circles of references that kept what a connection has had until a garbage collection."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class HttpProtocol(HttpToolsProtocol):
    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        # It holds our methods, and its words were the last: else both would stay for as long as the socket, and beyond.
        self.parser = None  # type: ignore[assignment]  # as uvicorn does it when a connection is lost
