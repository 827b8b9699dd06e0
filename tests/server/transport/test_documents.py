"""Documents: parsed within limits, and kept within bytes."""

import pytest

from server.graphql import TransportLimits
from server.graphql.documents import Documents
from server.graphql.errors import RequestError
from server.graphql.run import graphql_schema
from tests.server.transport.toy import running
from tests.server.transport.toy_schema import SCHEMA


def documents(limits: TransportLimits | None = None) -> Documents:
    return Documents(graphql_schema(SCHEMA), limits or TransportLimits(), introspection=True)


def check(source: str) -> None:
    reader = documents()
    document = reader.read(source)
    reader.weigh(document, document.operation(None), {})
    reader.check(document)


def refusal(source: str) -> str:
    with pytest.raises(RequestError) as refused:
        check(source)
    return str(refused.value.errors[0]["extensions"]["code"])


DOUBLING = " ".join(f"fragment F{n} on Query {{...F{n + 1} ...F{n + 1}}}" for n in range(100))


@pytest.mark.parametrize(
    "source",
    [
        "{" + " a" * 2_001 + "}",
        "{a}" + "\n#" * 2_001,
        "{" + "items {nodes {" * 300 + "id" + "}}" * 300 + "}",
        "{echo(value: " + "[" * 900 + "]" * 900 + ")}",
        '{hello(name: "' + "x" * 70_000 + '")}',
        "{...F0} " + DOUBLING + " fragment F100 on Query {hello}",
        "{" + " ".join(f"a{n}: hello" for n in range(60)) + "}",
        "{" + "hello " * 21 + "}",
        "{hello " + "@include(if: true) " * 51 + "}",
        "{items {nodes {" + "items {nodes {id}} " * 101 + "}}}",
        "{items(first: 100) {nodes {items(first: 100) {nodes {items(first: 100) {nodes {id}}}}}}}",
        "{...A0} "
        + " ".join(f"fragment A{n} on Query {{...A{n + 1}}}" for n in range(280))
        + " fragment A280 on Query {hello}",
    ],
)
def test_a_document_that_would_stall_everybody_is_too_complex(source: str) -> None:
    assert refusal(source) == "TOO_COMPLEX"


def test_too_many_operations_are_too_complex() -> None:
    reader = documents()
    document = reader.read(" ".join(f"query Q{n} {{hello}}" for n in range(21)))
    with pytest.raises(RequestError, match="too many operations"):
        reader.weigh(document, document.operation("Q1"), {})


@pytest.mark.parametrize("source", ["", "{", "{hello(}", "{ items { } }", "\ud83d"])
def test_what_is_no_document_is_parse_failed(source: str) -> None:
    assert refusal(source) == "PARSE_FAILED"


@pytest.mark.parametrize(
    "source",
    [
        "{...A} fragment A on Query {...B} fragment B on Query {...A}",
        "{...A} fragment A on Query {items {nodes {...I}}} fragment I on Item {items {nodes {...I}}}",
        "{...__schema}",
        "subscription {count wait}",
        "{__schema {types {fields {type {fields {type {fields {type {fields {name}}}}}}}}}}",
    ],
)
def test_what_breaks_the_rules_of_the_language_is_validation_failed(source: str) -> None:
    assert refusal(source) == "VALIDATION_FAILED"


def test_valid_documents_are_kept_and_rubbish_is_not() -> None:
    reader = documents()
    reader.check(reader.read("{hello}"))
    with pytest.raises(RequestError):
        reader.check(reader.read("{nothing}"))
    assert reader.read("{hello}") is reader.read("{hello}")
    assert reader.read("{nothing}") is not reader.read("{nothing}")


def test_what_is_kept_is_bounded_by_bytes_and_the_least_used_goes_first() -> None:
    reader = documents(TransportLimits(kept_documents_bytes=10_000))
    for number in range(50):
        reader.check(reader.read(f'{{hello(name: "{number}")}}'))
    assert reader.kept_bytes <= 10_000
    assert reader.read('{hello(name: "49")}') is reader.read('{hello(name: "49")}')
    assert reader.read('{hello(name: "0")}') is not reader.read('{hello(name: "0")}')


async def test_a_kept_document_is_weighed_with_each_requests_variables() -> None:
    async with running(limits=TransportLimits(cost=50)) as toy:
        query = "query($n: Int) {items(first: $n) {nodes {id}}}"
        assert (await toy.post(query, variables={"n": 2})).json()["data"]["items"]["nodes"][0] == {"id": 0}
        assert (await toy.errors(query, variables={"n": 90}))[0]["extensions"] == {"code": "TOO_COMPLEX"}
        assert "errors" not in (await toy.post(query, variables={"n": 2})).json()
