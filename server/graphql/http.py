"""/graphql over HTTP: POST with a JSON body, GET for queries, and who is answered in which media type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
from graphql import OperationType
from litestar import Request, Response
from litestar.types import HTTPScope, Message, Receive, Send

from domain.errors import NotAuthenticated, Unavailable
from domain.user import Viewer
from server.graphql.admission import Authenticate, Credential, bearer, headers_of
from server.graphql.body import GraphQLRequest, read_body, request_from_body, request_from_query_string
from server.graphql.cors import answer_preflight, is_preflight, readable_by_page
from server.graphql.edge import Caller, Edge
from server.graphql.errors import (
    ClientLeft,
    Code,
    RequestError,
    bad_document,
    bad_request,
    unauthenticated,
    unavailable,
)
from server.graphql.failures import Failures
from server.graphql.leaving import unless_gone
from server.graphql.limits import TransportLimits
from server.graphql.multipart import MultipartParts
from server.graphql.negotiation import Media, choose, is_json_body
from server.graphql.operation import Operation
from server.graphql.run import Operations
from server.graphql.sse import ServerSentEvents
from server.graphql.streams import Frames, Stream, Streams

Page = Callable[[Request[Any, Any, Any]], Response[Any]]


class Get(Enum):
    """Which queries GET may ask for: all, those that are named by their hash, none."""

    ON = "on"
    PERSISTED = "persisted"
    OFF = "off"


PLAIN = (Media.JSON, Media.RESPONSE_JSON)
ANSWERS = (*PLAIN, Media.EVENTS, Media.MULTIPART)
ACCEPTABLE = ", ".join((*(media.value for media in (*PLAIN, Media.EVENTS)), "multipart/mixed;subscriptionSpec=1.0"))
FRAMES: Mapping[Media, Frames] = {Media.EVENTS: ServerSentEvents(), Media.MULTIPART: MultipartParts()}
NEEDS_A_STREAM = (
    "A subscription answers with a stream: send it with `Accept: text/event-stream` or "
    "`multipart/mixed;subscriptionSpec=1.0`, or over a WebSocket with the subprotocol graphql-transport-ws."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpEndpoint:
    operations: Operations
    streams: Streams
    authenticate: Authenticate
    edge: Edge
    limits: TransportLimits
    allowed_origins: frozenset[str]
    page: Page | None
    get: Get

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        headers = headers_of(scope["headers"])
        if is_preflight(scope["method"], headers):
            await answer_preflight(headers, self.allowed_origins, send)
        else:
            await self._serve(scope, receive, readable_by_page(headers, self.allowed_origins, send), headers)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        media = choose(headers.get("accept"), self._offered(scope["method"]))
        plain = (choose(headers.get("accept"), PLAIN) or Media.JSON) if media is Media.MULTIPART else media
        caller = Caller.with_header(self.edge.address(scope), headers.get("authorization"))
        send = self._telling(caller, send)
        try:
            self.edge.arrive(caller)
            if media is Media.HTML and self.page is not None:
                await self._show(self.page, scope, receive, send)
            else:
                await self._answer(_Exchange(scope, receive, send, headers, media, plain, caller))
        except ClientLeft:
            return
        except RequestError as error:
            await refuse(send, plain, error)
        except Exception as error:
            # The outermost owner of a request: the process goes on without it.
            await refuse(send, plain, RequestError([Failures().exception_payload(error)], status=500))

    def _telling(self, caller: Caller, send: Send) -> Send:
        """What is left at the edge goes with whatever is answered, streams and failures too."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = [(n.lower().encode(), v.encode()) for n, v in self.edge.headers(caller).items()]
                message["headers"] = [*message["headers"], *told]
            await send(message)

        return told

    def _offered(self, method: str) -> tuple[Media, ...]:
        return (*ANSWERS, Media.HTML) if self.page is not None and method == "GET" else ANSWERS

    async def _show(self, page: Page, scope: HTTPScope, receive: Receive, send: Send) -> None:
        request: Request[Any, Any, Any] = Request(scope, receive, send)
        await page(request).to_asgi_response(app=None, request=request)(scope, receive, send)

    async def _answer(self, exchange: "_Exchange") -> None:
        if exchange.method == "GET" and self.get is Get.OFF:
            raise bad_request("Use POST.", status=405, headers={"Allow": "POST"})
        if exchange.method not in {"GET", "POST"}:
            raise bad_request("Use POST, or GET for a query.", status=405, headers={"Allow": "GET, POST"})
        if exchange.media is None:
            raise bad_request(f"Accept one of {ACCEPTABLE}.", status=406)
        if exchange.method == "POST" and not is_json_body(exchange.headers.get("content-type")):
            raise bad_request("Send `Content-Type: application/json`, in UTF-8.", status=415)
        credential, viewer = await self._who(exchange.headers)
        request = await self._request(exchange)
        if exchange.media is Media.EVENTS:
            await self._stream(exchange, request, credential, viewer)
            return
        operation = await self._open(exchange, request, viewer)
        if operation.kind is OperationType.SUBSCRIPTION:
            await self._follow(exchange, operation, credential)
        else:
            await _send(exchange.send, exchange.plain, 200, await _run(operation, exchange.receive))

    async def _who(self, headers: Mapping[str, str]) -> tuple[Credential | None, Viewer | None]:
        authorization = headers.get("authorization")
        if authorization is None:
            return None, None
        try:
            credential = Credential(bearer(authorization), self.authenticate)
            return credential, await credential.viewer()
        except NotAuthenticated as error:
            raise unauthenticated(error.message) from None
        except Unavailable as error:
            raise unavailable(error.message, error.retry_after) from None

    async def _request(self, exchange: "_Exchange") -> GraphQLRequest:
        if exchange.method == "GET":
            request = request_from_query_string(exchange.scope["query_string"])
            if self.get is Get.PERSISTED and not request.is_named_only:
                raise bad_request(
                    "GET takes the hash of a document only: use POST.", status=405, headers={"Allow": "POST"}
                )
            return request
        return request_from_body(await read_body(exchange.scope, exchange.receive, self.limits))

    async def _stream(
        self, exchange: "_Exchange", request: GraphQLRequest, credential: Credential | None, viewer: Viewer | None
    ) -> None:
        try:
            operation = await self._open(exchange, request, viewer)
        except RequestError as error:
            if not error.about_document:
                raise
            await exchange.stream.refuse(error)
        else:
            if operation.kind is OperationType.SUBSCRIPTION:
                await self._follow(exchange, operation, credential)
            else:
                await exchange.stream.answer(await _run(operation, exchange.receive))

    async def _follow(self, exchange: "_Exchange", operation: Operation, credential: Credential | None) -> None:
        address = exchange.caller.address
        await self.streams.serve(operation, exchange.receive, exchange.stream, credential, address=address)

    async def _open(self, exchange: "_Exchange", request: GraphQLRequest, viewer: Viewer | None) -> Operation:
        operation = await self.operations.open(request, viewer, exchange.caller)
        if exchange.method == "GET" and operation.kind is OperationType.MUTATION:
            raise bad_request("A mutation needs POST.", status=405, headers={"Allow": "POST"})
        if operation.kind is OperationType.SUBSCRIPTION and exchange.media not in FRAMES:
            raise bad_document(Code.BAD_REQUEST, NEEDS_A_STREAM)
        return operation


@dataclass(frozen=True, slots=True)
class _Exchange:
    """`plain`: in which media type all is answered that is no stream."""

    scope: HTTPScope
    receive: Receive
    send: Send
    headers: Mapping[str, str]
    media: Media | None
    plain: Media | None
    caller: Caller

    @property
    def method(self) -> str:
        return self.scope["method"]

    @property
    def stream(self) -> Stream:
        """For one of FRAMES."""
        assert self.media is not None
        return Stream(FRAMES[self.media], self.send)


async def _run(operation: Operation, receive: Receive) -> bytes:
    # What a mutation has begun it ends, whether or not somebody waits: its answer is one idempotency key away.
    if operation.kind is OperationType.MUTATION:
        return await operation.answer()
    return await unless_gone(receive, operation.answer())


async def refuse(send: Send, media: Media | None, error: RequestError) -> None:
    legacy = error.about_document and media is Media.JSON
    body = msgspec.json.encode({"errors": error.errors})
    await _send(send, media, 200 if legacy else error.status, body, error.headers)


async def _send(
    send: Send, media: Media | None, status: int, body: bytes, extra: Mapping[str, str] | None = None
) -> None:
    answered = media if media is Media.RESPONSE_JSON else Media.JSON
    headers = {
        "content-type": f"{answered.value}; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "vary": "Accept",
        **(extra or {}),
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})
