"""graphql-transport-ws messages: what a client may say, checked to the letter, and what it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from server.graphql.body import GraphQLRequest, parse_json, request_from
from server.graphql.errors import ErrorPayload, RequestError

SUBPROTOCOL = "graphql-transport-ws"
LONGEST_ID = 256
LONGEST_REASON = 123

ACK = '{"type":"connection_ack"}'
PING = '{"type":"ping"}'

Payload = dict[str, Any] | None


class CloseSocket(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, clipped(reason)


@dataclass(frozen=True, slots=True)
class Init:
    payload: Payload


@dataclass(frozen=True, slots=True)
class Ping:
    payload: Payload


@dataclass(frozen=True, slots=True)
class Pong:
    pass


@dataclass(frozen=True, slots=True)
class Subscribe:
    id: str
    request: GraphQLRequest


@dataclass(frozen=True, slots=True)
class Complete:
    id: str


Message = Init | Ping | Pong | Subscribe | Complete


def parse_message(text: str) -> Message:
    """Raises CloseSocket with 4400."""
    try:
        value = parse_json(text)
    except RequestError as error:
        raise _bad(str(error)) from None
    if not isinstance(value, dict):
        raise _bad("A message must be an object.")
    match value.get("type"):
        case "connection_init":
            return Init(_optional(value))
        case "ping":
            return Ping(_optional(value))
        case "pong":
            _optional(value)
            return Pong()
        case "subscribe":
            return Subscribe(_id(value), _request(value))
        case "complete":
            return Complete(_id(value))
        case _:
            raise _bad("The type of the message is unknown.")


def pong(payload: Payload) -> str:
    """Raises CloseSocket where the payload cannot be echoed: half of a surrogate pair is no UTF-8."""
    try:
        return '{"type":"pong"}' if payload is None else _encode({"type": "pong", "payload": payload})
    except (ValueError, RecursionError):
        raise _bad("The payload cannot be echoed.") from None


def next_prefix(operation_id: str) -> bytes:
    """A `next` message up to its payload: made once for each operation."""
    return b'{"id":' + msgspec.json.encode(operation_id) + b',"type":"next","payload":'


def next_message(prefix: bytes, payload: bytes) -> str:
    return (prefix + payload + b"}").decode("utf-8")


def complete(operation_id: str) -> str:
    return _encode({"id": operation_id, "type": "complete"})


def error(operation_id: str, errors: Sequence[ErrorPayload]) -> str:
    return _encode({"id": operation_id, "type": "error", "payload": errors})


def clipped(reason: str) -> str:
    """A close frame holds no more; a longer reason would cost the connection its close code."""
    return reason.encode("utf-8", "replace")[:LONGEST_REASON].decode("utf-8", "ignore")


def _optional(message: dict[str, object]) -> Payload:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _bad("The payload must be an object, null, or absent.")
    return cast(Payload, payload)


def _id(message: dict[str, object]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= LONGEST_ID or not _is_text(operation_id):
        raise _bad(f"The id must be a string of 1 to {LONGEST_ID} characters.")
    return operation_id


def _request(message: dict[str, object]) -> GraphQLRequest:
    payload = message.get("payload")
    if not isinstance(payload, dict):
        raise _bad("The payload of subscribe must be an object.")
    try:
        return request_from(payload)
    except RequestError as error:
        raise _bad(str(error)) from None


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _encode(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode("utf-8")


def _bad(reason: str) -> CloseSocket:
    return CloseSocket(4400, f"Invalid message: {reason}")
