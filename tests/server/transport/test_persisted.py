"""Documents by name: automatic persisted queries, and trusted documents."""

import json
from hashlib import sha256
from typing import Any

import httpx
import pytest

from server.graphql import BadDocuments, Get, TransportLimits, TrustedDocuments
from tests.server.transport.toy import GOOD, Toy, running

HELLO, TOUCH = "query Hello($name: String) {hello(name: $name)}", "mutation {touch}"
TRUSTED = TrustedDocuments({"hello-1": HELLO, "touch-1": TOUCH, "count-1": "subscription {count(to: 1)}"})
ONLY = TrustedDocuments(TRUSTED.texts, only=True)


def by_hash(text: str) -> dict[str, object]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}}


async def asked(toy: Toy, **envelope: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await toy.http.post("/graphql", json=envelope, headers=GOOD)).json()
    return answer


def code(answer: dict[str, Any]) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


async def test_a_document_that_was_seen_is_found_by_its_hash_and_one_that_was_not_is_asked_for() -> None:
    async with running() as toy:
        unknown = await asked(toy, extensions=by_hash(HELLO))
        assert (code(unknown), unknown["errors"][0]["message"]) == (
            "PERSISTED_QUERY_NOT_FOUND",
            "PersistedQueryNotFound",
        )
        registered = await asked(toy, query=HELLO, variables={"name": "a"}, extensions=by_hash(HELLO))
        found = await asked(toy, variables={"name": "b"}, extensions=by_hash(HELLO))
        assert [each["data"]["hello"] for each in (registered, found)] == ["hello a", "hello b"]


async def test_the_answers_status_is_that_of_a_bad_document() -> None:
    async with running() as toy:
        envelope = {"extensions": by_hash(HELLO)}
        new = {**GOOD, "Accept": "application/graphql-response+json"}
        assert (await toy.http.post("/graphql", json=envelope, headers=GOOD)).status_code == 200
        assert (await toy.http.post("/graphql", json=envelope, headers=new)).status_code == 400


async def test_get_takes_a_hash() -> None:
    async with running() as toy:
        await toy.post(HELLO)
        parameters = {"extensions": json.dumps(by_hash(HELLO)), "variables": '{"name": "c"}'}
        assert (await toy.http.get("/graphql", params=parameters, headers=GOOD)).json() == {
            "data": {"hello": "hello c"}
        }


async def test_a_hash_that_is_not_the_documents_is_refused() -> None:
    async with running() as toy:
        assert code(await asked(toy, query=HELLO, extensions=by_hash(TOUCH))) == "BAD_REQUEST"


async def test_what_is_not_valid_is_not_registered() -> None:
    async with running() as toy:
        assert code(await asked(toy, query="{nothing}", extensions=by_hash("{nothing}"))) == "VALIDATION_FAILED"
        assert code(await asked(toy, extensions=by_hash("{nothing}"))) == "PERSISTED_QUERY_NOT_FOUND"


async def test_what_is_registered_is_bounded_by_bytes() -> None:
    async with running(limits=TransportLimits(kept_documents_bytes=20_000)) as toy:
        texts = [f'{{hello(name: "{number}")}}' for number in range(20)]
        for text in texts:
            await asked(toy, query=text, extensions=by_hash(text))
        found = ["data" in await asked(toy, extensions=by_hash(text)) for text in texts]
        assert (found[0], found[-1], sum(found) < 20) == (False, True, True)


@pytest.mark.parametrize(
    "envelope",
    [
        {"extensions": {"persistedQuery": {"sha256Hash": "not hexadecimal"}}},
        {"extensions": {"persistedQuery": {"sha256Hash": ""}}, "query": "{"},
        {"documentId": "nobody-knows-it"},
        {"documentId": 5},
        {"extensions": {"persistedQuery": "x"}},
        {"extensions": {"persistedQuery": {"sha256Hash": 5}}},
        {"query": 5, "documentId": "hello-1"},
    ],
)
async def test_strange_names_are_refused(envelope: dict[str, object]) -> None:
    async with running(trusted=TRUSTED) as toy:
        assert code(await asked(toy, **envelope)) in {"PERSISTED_QUERY_NOT_FOUND", "BAD_REQUEST"}


@pytest.mark.parametrize("trusted", [TRUSTED, ONLY])
@pytest.mark.parametrize(
    "named",
    [
        {"documentId": "hello-1"},
        {"documentId": f"sha256:{sha256(HELLO.encode()).hexdigest()}"},
        {"extensions": by_hash(HELLO)},
        {"extensions": {"persistedQuery": {"sha256Hash": "hello-1"}}},
        {"query": HELLO},
        {"query": "", "extensions": by_hash(HELLO)},
    ],
)
async def test_a_trusted_document_is_known_from_the_start(trusted: TrustedDocuments, named: dict[str, object]) -> None:
    async with running(trusted=trusted) as toy:
        assert (await asked(toy, **named, variables={"name": "d"}))["data"] == {"hello": "hello d"}


async def test_a_name_may_say_what_hash_it_is() -> None:
    """As graphql-codegen writes it; the name need not be the hash of this very text."""
    named = {"persistedQuery": {"version": 1, "sha256Hash": "sha256:abc"}}
    async with running(trusted=TrustedDocuments({"sha256:abc": HELLO}, only=True)) as toy:
        for envelope in ({"documentId": "sha256:abc"}, {"documentId": "abc"}, {"extensions": named}):
            assert "data" in await asked(toy, **envelope), envelope
        declared = {"persistedQuery": {"version": 1, "sha256Hash": f"sha256:{sha256(HELLO.encode()).hexdigest()}"}}
        assert "data" in await asked(toy, query=HELLO, extensions=declared)


async def test_where_only_trusted_ones_are_taken_nothing_else_is_and_nothing_is_registered() -> None:
    async with running(trusted=ONLY) as toy:
        other = "{viewer}"
        assert code(await asked(toy, query=other)) == "PERSISTED_QUERY_REQUIRED"
        assert code(await asked(toy, query=other, extensions=by_hash(other))) == "PERSISTED_QUERY_REQUIRED"
        assert code(await asked(toy, extensions=by_hash(other))) == "PERSISTED_QUERY_NOT_FOUND"
        assert code(await asked(toy, query="{" + "a " * 2_001)) == "PERSISTED_QUERY_REQUIRED"
        assert code(await asked(toy, query=f" {TOUCH}")) == "PERSISTED_QUERY_REQUIRED"
        assert toy.journal.touched == 0


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
async def test_streams_are_named_too(accept: str) -> None:
    async with running(trusted=ONLY) as toy:
        headers = {**GOOD, "Accept": accept}
        assert '"count":0' in (await toy.http.post("/graphql", json={"documentId": "count-1"}, headers=headers)).text


@pytest.mark.parametrize(
    "payload", [{"documentId": "count-1"}, {"query": "", "extensions": by_hash(TRUSTED.texts["count-1"])}]
)
async def test_over_a_socket_too(payload: dict[str, object]) -> None:
    async with running(trusted=ONLY) as toy, toy.socket() as client:
        await client.send({"id": "1", "type": "subscribe", "payload": payload})
        assert (await client.receive())["payload"] == {"data": {"count": 0}}
        assert (await client.receive())["type"] == "complete"
        await client.send({"id": "1", "type": "subscribe", "payload": {"query": "{hello}"}})
        refused = await client.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "PERSISTED_QUERY_REQUIRED")


async def test_over_a_socket_a_hash_is_registered_with_its_text() -> None:
    async with running() as toy, toy.socket() as client:
        for query in ("", HELLO, ""):
            payload = {"query": query, "variables": {"name": "e"}, "extensions": by_hash(HELLO)}
            await client.send({"id": "1", "type": "subscribe", "payload": payload})
            told = await client.receive()
            if query:
                assert told["payload"] == {"data": {"hello": "hello e"}}
                assert (await client.receive())["type"] == "complete"
        assert told["payload"] == {"data": {"hello": "hello e"}}


async def test_a_mutation_by_name_needs_post_as_well() -> None:
    async with running(trusted=ONLY) as toy:
        response = await toy.http.get("/graphql", params={"documentId": "touch-1"}, headers=GOOD)
        assert (response.status_code, toy.journal.touched) == (405, 0)


@pytest.mark.parametrize(
    ("text", "words"), [("{nothing}", "nothing"), ("{", "Syntax"), ("{" + "hello " * 30 + "}", "root fields")]
)
async def test_a_trusted_document_that_would_be_refused_is_refused_at_the_start(text: str, words: str) -> None:
    with pytest.raises(BadDocuments) as refused:
        async with running(trusted=TrustedDocuments({"a": HELLO, "b": text})):
            pass
    assert (list(refused.value.problems), words in refused.value.problems["b"]) == (["b"], True)


@pytest.mark.parametrize(("get", "text", "name"), [(Get.ON, 200, 200), (Get.PERSISTED, 405, 200), (Get.OFF, 405, 405)])
async def test_get_may_be_limited_to_names_or_turned_off(get: Get, text: int, name: int) -> None:
    async with running(get=get, trusted=TRUSTED) as toy:
        responses: list[httpx.Response] = [
            await toy.http.get("/graphql", params=parameters, headers=GOOD)
            for parameters in ({"query": "{hello}"}, {"documentId": "hello-1"})
        ]
        assert [response.status_code for response in responses] == [text, name]
        assert [response.headers["allow"] for response in responses if response.status_code == 405] == ["POST"] * (
            [text, name].count(405)
        )
