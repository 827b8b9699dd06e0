"""A line to the server that is cut in the middle of a stream: once, and every connection that goes through it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

EVENT = b'"generationEvents"'
CHUNK = 65_536


@dataclass
class CutLine:
    """`after`: so many events of a stream. `cuts`: how often it has been cut."""

    origin: str
    after: int
    server: tuple[str, int]
    cuts: int = 0
    seen: int = 0
    open: set[socket.socket] = field(default_factory=set)

    def connect(self, near: socket.socket) -> None:
        far = socket.create_connection(self.server)
        self.open |= {near, far}
        threading.Thread(target=self._carry, args=(near, far), daemon=True).start()
        threading.Thread(target=self._carry, args=(far, near), kwargs={"counting": True}, daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket, *, counting: bool = False) -> None:
        with suppress(OSError):
            while data := one.recv(CHUNK):
                if counting and self._is_enough(data):
                    self.cut()
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_enough(self, data: bytes) -> bool:
        self.seen += data.count(EVENT)
        return not self.cuts and self.seen > self.after

    def cut(self) -> None:
        self.cuts += 1
        for end in list(self.open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cut_line(origin: str, *, after: int) -> Iterator[CutLine]:
    """Returns the line; its `origin` stands for the server's."""
    parts = urlsplit(origin)
    assert parts.hostname is not None
    assert parts.port is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = CutLine(f"http://127.0.0.1:{listener.getsockname()[1]}", after, (parts.hostname, parts.port))
        threading.Thread(target=_accept, args=(listener, line), daemon=True).start()
        try:
            yield line
        finally:
            # Who waits in accept() is not woken by a close alone.
            listener.shutdown(socket.SHUT_RDWR)
            for end in line.open:
                end.close()


def _accept(listener: socket.socket, line: CutLine) -> None:
    with suppress(OSError):
        while True:
            line.connect(listener.accept()[0])
