"""graphql-transport-ws: one socket, from its handshake to its close."""

import asyncio
from dataclasses import dataclass
from typing import NoReturn

from litestar.types import Receive, Send, WebSocketScope

from domain.errors import NotAuthenticated
from domain.user import Viewer
from domain.world import UserId
from server.graphql import messages
from server.graphql.admission import Authenticate, Credential, bearer, headers_of, origin_allowed
from server.graphql.bucket import Bucket
from server.graphql.connections import Connections, TooManyConnections
from server.graphql.edge import Caller, Edge, says_why
from server.graphql.errors import ClientLeft, RequestError
from server.graphql.failures import Failures
from server.graphql.keeping import Draining, Keeper
from server.graphql.limits import TransportLimits
from server.graphql.messages import CloseSocket, Complete, Init, Message, Payload, Ping, Pong, Subscribe
from server.graphql.multiplex import Multiplex
from server.graphql.run import Operations
from server.graphql.wire import Wire

RESUME = "This process is going away: connect again and resume after your last event."


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketEndpoint:
    operations: Operations
    connections: Connections
    keeper: Keeper
    authenticate: Authenticate
    edge: Edge
    limits: TransportLimits
    allowed_origins: frozenset[str]

    async def __call__(self, scope: WebSocketScope, receive: Receive, send: Send) -> None:
        wire = Wire(receive, send, self.limits.body_bytes)
        socket = await self._accepted(wire, scope)
        if socket is None:
            return
        try:
            with self.connections.from_address(socket.address):
                await socket.serve()
        except TooManyConnections:
            await wire.close(4429, "Your address has too many open connections: close one first.")

    async def _accepted(self, wire: Wire, scope: WebSocketScope) -> "_Socket | None":
        """Apart from serving it, so that a socket does not keep the headers of its handshake for its whole life."""
        headers = headers_of(scope["headers"])
        caller = Caller.with_header(self.edge.address(scope), headers.get("authorization"))
        try:
            self.edge.arrive(caller)
        except RequestError as error:
            await wire.refuse(error if says_why(scope) else None, self.edge.headers(caller))
            return None
        if not origin_allowed(headers, self.allowed_origins):
            await wire.refuse()
        elif messages.SUBPROTOCOL not in scope["subprotocols"]:
            await wire.accept(None)
            await wire.close(4406, "Subprotocol not acceptable")
        else:
            await wire.accept(messages.SUBPROTOCOL)
            return _Socket(self, wire, caller, headers.get("authorization"))
        return None


class _Socket:
    def __init__(self, endpoint: SocketEndpoint, wire: Wire, caller: Caller, authorization: str | None) -> None:
        self._endpoint, self._wire, self._caller, self._authorization = endpoint, wire, caller, authorization
        self._limits = endpoint.limits
        self._time = asyncio.get_running_loop().time
        self._opened_at = self._time()
        self._place_of: UserId | None = None
        self._initialised = False
        self._credential: Credential | None = None

    @property
    def address(self) -> str:
        return self._caller.address

    async def serve(self) -> None:
        # Mutations outlive their socket: what one has begun it ends, and its answer is one idempotency key away.
        async with asyncio.TaskGroup() as lasting:
            with self._endpoint.connections.opened():
                try:
                    end = await self._until_end(lasting)
                    if end is not None:
                        await self._wire.close(end.code, end.reason)
                finally:
                    if self._place_of is not None:
                        self._endpoint.connections.users.give_back(self._place_of)

    async def _until_end(self, lasting: asyncio.TaskGroup) -> CloseSocket | None:
        """None: the client ended it."""
        end: CloseSocket | None = None
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._multiplex = Multiplex(
                    wire=self._wire,
                    operations=self._endpoint.operations,
                    edge=self._endpoint.edge,
                    limits=self._limits,
                    tasks=self._tasks,
                    lasting=lasting,
                )
                self._keeping = self._tasks.create_task(self._require_init())
                await self._read()
        except ExceptionGroup as group:
            # It ends in a frame of the TaskGroup's that holds it: until a garbage collection they would keep each other.
            group.__traceback__ = None
            end = _end_of(group)
        finally:
            # What it was cancelled with knows its frames, and they know us.
            del self._keeping
        self._multiplex.forget()
        return end

    async def _read(self) -> NoReturn:
        bucket = Bucket(self._limits.messages_per_second, self._limits.message_burst, self._time)
        while True:
            text = await self._wire.read()
            if not bucket.take():
                raise CloseSocket(4429, "Too many messages")
            await self._take(messages.parse_message(text))
            # A client may be silent for hours: its last words, a whole document, are not kept meanwhile.
            del text

    async def _take(self, message: Message) -> None:
        match message:
            case Init():
                await self._initialise(message.payload)
            case Ping():
                await self._wire.send(messages.pong(message.payload))
            case Pong():
                pass
            case Subscribe():
                await self._subscribe(message)
            case Complete():
                self._multiplex.complete(message.id)

    async def _initialise(self, payload: Payload) -> None:
        if self._initialised:
            raise CloseSocket(4429, "Too many initialisation requests")
        self._initialised = True
        authorization = self._authorization_in(payload)
        self._caller = Caller.with_header(self._caller.address, authorization)
        credential = Credential(bearer(authorization), self._endpoint.authenticate)
        viewer = await credential.viewer()
        _require_welcome(viewer)
        try:
            self._endpoint.connections.users.take(viewer.id)
        except TooManyConnections:
            raise CloseSocket(4429, "You have too many open connections: close one first.") from None
        self._place_of, self._credential = viewer.id, credential
        await self._wire.send(messages.ACK)
        self._keeping.cancel()
        self._keeping = self._tasks.create_task(self._keep(credential))

    async def _keep(self, credential: Credential) -> NoReturn:
        await self._endpoint.keeper.keep(credential, self._beat, require=_require_welcome)

    def _authorization_in(self, payload: Payload) -> str:
        """The payload's own, in any case; else the handshake's, which browsers cannot set."""
        told = [value for key, value in (payload or {}).items() if key.lower() == "authorization"]
        authorization = told[0] if told else self._authorization
        if authorization is None:
            raise NotAuthenticated("Send `Authorization: Bearer <key>` in the payload of connection_init.")
        if not isinstance(authorization, str):
            raise NotAuthenticated("The Authorization must be a string.")
        return authorization

    async def _subscribe(self, message: Subscribe) -> None:
        if self._credential is None:
            raise CloseSocket(4401, "Unauthorized")
        if message.id in self._multiplex:
            raise CloseSocket(4409, f"Subscriber for {message.id} already exists")
        await self._multiplex.start(message.id, message.request, self._credential, self._caller)

    async def _require_init(self) -> NoReturn:
        await self._endpoint.keeper.pause(self._limits.init_timeout.total_seconds())
        raise CloseSocket(4408, "Connection initialisation timeout")

    async def _beat(self) -> None:
        if self._time() - self._opened_at > self._limits.lifetime.total_seconds():
            raise CloseSocket(1001, "This socket has had its time: connect again and resume after your last event.")
        idle_since = self._multiplex.idle_since
        if idle_since is not None and self._time() - idle_since > self._limits.idle.total_seconds():
            raise CloseSocket(1001, "Idle")
        await self._wire.send(messages.PING)


def _require_welcome(viewer: Viewer) -> None:
    """Who is banned reads by requests, and keeps no socket."""
    if viewer.is_banned:
        raise NotAuthenticated("You are banned: what is there can be read over HTTP.", lasting=True)


def _end_of(group: ExceptionGroup[Exception]) -> CloseSocket | None:
    """None: the ordinary end of a socket, where there is nobody left to tell."""
    failures = group.split(ClientLeft)[1]
    return _end(failures.exceptions[0]) if failures else None


def _end(error: Exception) -> CloseSocket:
    if isinstance(error, CloseSocket):
        return error
    if isinstance(error, Draining):
        return CloseSocket(1001, RESUME)
    if isinstance(error, NotAuthenticated):
        # graphql-ws asks its application for fresh parameters after 4403, and gives up after 4401.
        code, word = (4401, "Unauthorized") if error.lasting else (4403, "Forbidden")
        return CloseSocket(code, f"{word}: {error.message}")
    payload = Failures().exception_payload(error)
    return CloseSocket(1013, f"{payload['message']} {payload['extensions'].get('errorId', '')}")
