"""The port: taken by one process alone, or by several that listen side by side.

Side by side each worker has a listening socket of its own (SO_REUSEPORT), and the kernel deals connections out among them.
With one socket that all inherit, whoever wakes first takes all that waits: of 400 connections in a burst 4 workers got 2, 37,
81 and 280, against 90, 100, 102 and 108 here; sockets live for hours, so it would stay like that. Linux deals; macOS gives
all to one worker.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from server.settings import CannotStart

LONGEST_BACKLOG = 2048
# Else the kernel takes megabytes in for each client that does not read, and who follows for him goes on and on: of what
# was not sent yet it takes so much at most, and what is on its way is limited as ever.
MOST_UNSENT_BYTES = 16_384


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Takes the port at once; who connects is answered when the app is there. Raises CannotStart."""
    with _told(host, port):
        listener = _bound(host, port, shared=False)
    with listener:
        with _told(host, port):
            listener.listen(LONGEST_BACKLOG)
        yield listener


@contextmanager
def reserved(host: str, port: int) -> Iterator[socket.socket]:
    """Keeps the port for those who join, and takes no connections itself. Raises CannotStart."""
    # A port that is shared would be shared with a stranger's workers too: whether it is free is seen from alone.
    with bound(host, port) as alone:
        port = alone.getsockname()[1]
    with _told(host, port):
        keeper = _bound(host, port, shared=True)
    with keeper:
        yield keeper


@contextmanager
def joined(host: str, port: int) -> Iterator[socket.socket]:
    """Listens beside the others. Raises CannotStart."""
    with _told(host, port):
        listener = _bound(host, port, shared=True)
    with listener:
        listener.listen(LONGEST_BACKLOG)
        yield listener


@contextmanager
def _told(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CannotStart(
            f"gus cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or set GUS_PORT or GUS_HOST."
        ) from error


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # `localhost` has two addresses, and the older one is what everybody tries.
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Connections inherit it.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT_BYTES)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
