"""The closed list of error codes, and what a request is refused with before it runs."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import ceil
from typing import NotRequired, TypedDict

from graphql import GraphQLError

LONGEST_MESSAGE = 1_000


class Code(StrEnum):
    BAD_REQUEST = "BAD_REQUEST"
    PARSE_FAILED = "PARSE_FAILED"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    BAD_VARIABLES = "BAD_VARIABLES"
    BAD_PAGE = "BAD_PAGE"
    TOO_COMPLEX = "TOO_COMPLEX"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_REQUIRED = "PERSISTED_QUERY_REQUIRED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    THROTTLED = "THROTTLED"
    TIMEOUT = "TIMEOUT"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class ErrorPayload(TypedDict):
    """An entry of `errors`, as it is sent."""

    message: str
    locations: NotRequired[list[dict[str, int]]]
    path: NotRequired[list[str | int]]
    extensions: dict[str, object]


class RequestError(Exception):
    """`about_document`: the envelope was good, what it asks for is not; application/json answers that with 200."""

    def __init__(
        self,
        errors: Sequence[ErrorPayload],
        *,
        status: int = 400,
        about_document: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(errors[0]["message"])
        self.errors, self.status, self.about_document = errors, status, about_document
        self.headers = headers or {}


class ClientLeft(Exception):
    """Nobody is there to answer."""


def error_payload(code: Code, message: str, **extensions: object) -> ErrorPayload:
    return {"message": _sendable(message), "extensions": {"code": code, **extensions}}


def located_payload(error: GraphQLError, code: Code) -> ErrorPayload:
    """For errors that graphql-core words for the client; never for what a resolver raised."""
    return with_place(error_payload(code, error.message), error)


def with_place(payload: ErrorPayload, error: GraphQLError) -> ErrorPayload:
    if error.locations:
        payload["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        payload["path"] = list(error.path)
    return payload


def bad_request(message: str, *, status: int = 400, headers: Mapping[str, str] | None = None) -> RequestError:
    return RequestError([error_payload(Code.BAD_REQUEST, message)], status=status, headers=headers)


def bad_document(code: Code, message: str) -> RequestError:
    return RequestError([error_payload(code, message)], about_document=True)


def unauthenticated(message: str) -> RequestError:
    challenge = {"WWW-Authenticate": "Bearer"}
    return RequestError([error_payload(Code.UNAUTHENTICATED, message)], status=401, headers=challenge)


def throttled(message: str, retry_after: float) -> RequestError:
    payload = error_payload(Code.THROTTLED, message, retryAfter=retry_after)
    return RequestError([payload], status=429, headers={"Retry-After": str(max(1, ceil(retry_after)))})


def unavailable(message: str, retry_after: float) -> RequestError:
    payload = error_payload(Code.UNAVAILABLE, message, retryAfter=retry_after)
    return RequestError([payload], status=503, headers={"Retry-After": str(max(1, round(retry_after)))})


def _sendable(message: str) -> str:
    """graphql-core quotes what the client sent: at any length, and lone surrogates too, which UTF-8 cannot hold."""
    clipped = message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"
    return clipped.encode("utf-8", "replace").decode("utf-8")
