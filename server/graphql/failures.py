"""What went wrong while an operation ran, as its client may see it; bugs are masked, and logged here once."""

import traceback
from collections.abc import Iterable
from pathlib import PurePath
from types import CodeType
from typing import Final
from uuid import uuid4

import structlog
from graphql import ArgumentNode, GraphQLError, ValueNode

from domain.errors import BadCursor, BadPage, BadVariables, DomainError, NotAuthenticated, Unavailable, UnknownId
from server.graphql.errors import Code, ErrorPayload, error_payload, located_payload, with_place

EXPECTED: Final[dict[type[DomainError], Code]] = {
    BadPage: Code.BAD_PAGE,
    BadCursor: Code.BAD_VARIABLES,
    BadVariables: Code.BAD_VARIABLES,
    UnknownId: Code.NOT_FOUND,
    NotAuthenticated: Code.UNAUTHENTICATED,
}
LONGEST_TRACE = 1_500
MOST_FRAMES = 12

log = structlog.get_logger("gus.graphql")


class Failures:
    """The errors of one response: fields that fail at the same line of code share one errorId and one line in the log."""

    def __init__(self) -> None:
        self._error_ids: dict[tuple[str, str], str] = {}

    def payloads(self, errors: Iterable[GraphQLError]) -> list[ErrorPayload]:
        return [self.payload(error) for error in errors]

    def payload(self, error: GraphQLError) -> ErrorPayload:
        cause = cause_of(error)
        if isinstance(cause, GraphQLError):
            return self._graphql_payload(error, cause)
        return with_place(self.exception_payload(cause), error)

    def exception_payload(self, exception: Exception) -> ErrorPayload:
        if isinstance(exception, Unavailable):
            return error_payload(Code.UNAVAILABLE, exception.message, retryAfter=exception.retry_after)
        code = next((code for kind, code in EXPECTED.items() if isinstance(exception, kind)), None)
        return self._masked(exception) if code is None else error_payload(code, str(exception))

    def _graphql_payload(self, error: GraphQLError, cause: GraphQLError) -> ErrorPayload:
        if _is_about_an_argument(cause):
            return with_place(located_payload(cause, Code.BAD_VARIABLES), error)
        return with_place(self._masked(cause), error)

    def _masked(self, exception: Exception) -> ErrorPayload:
        kind, trace = type(exception).__name__, _trace(exception)
        error_id = self._error_ids.get((kind, trace))
        if error_id is None:
            error_id = self._error_ids[kind, trace] = uuid4().hex
            log.error("operation_failed", error_id=error_id, exception_type=kind, trace=trace)
        return error_payload(Code.INTERNAL, "Internal error. Quote errorId.", errorId=error_id)


def cause_of(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_about_an_argument(error: GraphQLError) -> bool:
    """A variable that fits its own type and not the argument is found only when the field runs.

    Everything else that graphql-core raises then is our bug, and its message may show a value.
    """
    return bool(error.nodes) and all(isinstance(node, ArgumentNode | ValueNode) for node in error.nodes or ())


def _trace(exception: BaseException) -> str:
    """Places and exception types, innermost first. No messages: drivers put values in them."""
    parts: list[str] = []
    seen: BaseException | None = exception
    while seen is not None and len(parts) < 4:
        frames = list(traceback.walk_tb(seen.__traceback__))[-MOST_FRAMES:]
        places = " < ".join(f"{_short(frame.f_code)}:{line} {frame.f_code.co_name}" for frame, line in reversed(frames))
        parts.append(f"{type(seen).__name__} at {places or 'an unknown place'}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return " | from ".join(parts)[:LONGEST_TRACE]


def _short(code: CodeType) -> str:
    return "/".join(PurePath(code.co_filename).parts[-3:])
