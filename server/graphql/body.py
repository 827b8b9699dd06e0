"""The request envelope: read within a size and a time, decoded, and checked."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn, cast
from urllib.parse import parse_qsl

from litestar.types import HTTPScope, Receive

from server.graphql.errors import ClientLeft, RequestError, bad_request
from server.graphql.limits import TransportLimits

MOST_PARAMETERS = 20
# As the specification's draft spells the hash of a document, and graphql-codegen each name in its manifest.
HASHED = "sha256:"


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """`query` is empty where the document has only a name: `documentId`, or a hash as Apollo sends it."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    extensions: dict[str, Any]
    document_id: str | None = None

    @property
    def declared_hash(self) -> str | None:
        persisted = self.extensions.get("persistedQuery")
        found = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
        return found.removeprefix(HASHED) if isinstance(found, str) else None

    @property
    def document_name(self) -> str | None:
        return self.document_id or self.declared_hash

    @property
    def is_named_only(self) -> bool:
        return not self.query and self.document_name is not None


async def read_body(scope: HTTPScope, receive: Receive, limits: TransportLimits) -> bytes:
    if _declared_length(scope) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_deadline.total_seconds()):
            return await _read(receive, limits)
    except TimeoutError:
        # The rest of it is not waited for.
        closing = {"Connection": "close"}
        raise bad_request("The body did not arrive in time.", status=408, headers=closing) from None


def request_from_body(body: bytes) -> GraphQLRequest:
    try:
        return request_from(parse_json(body.decode("utf-8")))
    except UnicodeDecodeError:
        raise bad_request("The body is not UTF-8.") from None


def request_from_query_string(query_string: bytes) -> GraphQLRequest:
    parameters = _parameters(query_string)
    return request_from(
        {
            "query": parameters.get("query"),
            "documentId": parameters.get("documentId"),
            "operationName": parameters.get("operationName"),
            "variables": _json_parameter(parameters, "variables"),
            "extensions": _json_parameter(parameters, "extensions"),
        }
    )


def request_from(value: object) -> GraphQLRequest:
    if isinstance(value, list):
        raise bad_request("Batches are not accepted: send one operation per request.")
    if not isinstance(value, dict):
        raise bad_request("Send a JSON object with a `query`.")
    query, name, document_id = value.get("query"), value.get("operationName"), value.get("documentId")
    if name is not None and not isinstance(name, str):
        raise bad_request("`operationName` must be a string or null.")
    if document_id is not None and not isinstance(document_id, str):
        raise bad_request("`documentId` must be a string or null.")
    request = GraphQLRequest(
        query if isinstance(query, str) else "",
        name,
        _mapping(value, "variables"),
        _mapping(value, "extensions"),
        None if document_id is None else document_id.removeprefix(HASHED),
    )
    if not isinstance(query, str) and (query is not None or not request.is_named_only):
        raise bad_request("`query` must be there, and be a string; or else `documentId`.")
    return request


def parse_json(text: str) -> object:
    """Lone surrogates pass: whether they may stand in a text is for the domain to say, in its own words."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise bad_request("The JSON is nested too deeply.") from None
    except ValueError:
        # Also the integers that Python refuses to read, at 4,300 digits.
        raise bad_request("This is not valid JSON.") from None


async def _read(receive: Receive, limits: TransportLimits) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientLeft
        body += message["body"]
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        more = message["more_body"]
    return bytes(body)


def _declared_length(scope: HTTPScope) -> int:
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(text) if text.isdigit() and len(text) < 20 else 0


def _too_large(limits: TransportLimits) -> RequestError:
    return bad_request(f"The body is larger than {limits.body_bytes} bytes.", status=413)


def _parameters(query_string: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise bad_request("The query string cannot be read.") from None
    return dict(pairs)


def _json_parameter(parameters: Mapping[str, str], name: str) -> object:
    text = parameters.get(name)
    return None if text is None else parse_json(text)


def _mapping(envelope: Mapping[str, object], name: str) -> dict[str, Any]:
    value = envelope.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request(f"`{name}` must be an object or null.")
    return cast("dict[str, Any]", value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number
