"""/graphql over HTTP: media types, methods, statuses, and who may ask."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Response
from litestar.enums import MediaType

from server.graphql import TransportLimits
from tests.server.transport.toy import GOOD, Toy, running

RESPONSE_JSON = "application/graphql-response+json"
TYPED = {**GOOD, "Content-Type": "application/json"}


async def send_raw(toy: Toy, body: bytes, **headers: str) -> httpx.Response:
    return await toy.http.post("/graphql", content=body, headers={**TYPED, **headers})


def code(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


@pytest.mark.parametrize("accept", ["application/json", "*/*", None])
async def test_plain_json_is_what_is_answered_to_whoever_names_nothing_else(accept: str | None) -> None:
    async with running() as toy:
        headers = GOOD if accept is None else {**GOOD, "Accept": accept}
        response = await toy.http.post("/graphql", json={"query": "{hello}"}, headers=headers)
        assert response.json() == {"data": {"hello": "hello world"}}
        assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("query", ["{", "{nothing}", "query($n: Int!) {half(name: $n)}", "{hello} query B {hello}"])
async def test_a_bad_document_is_400_without_data_under_the_new_media_type_and_200_under_the_old(query: str) -> None:
    async with running() as toy:
        new = await toy.post(query, accept=RESPONSE_JSON)
        old = await toy.post(query)
        assert (new.status_code, old.status_code) == (400, 200)
        assert new.headers["content-type"].startswith(RESPONSE_JSON)
        assert set(new.json()) == set(old.json()) == {"errors"}


async def test_an_error_while_running_keeps_its_data_and_200() -> None:
    async with running() as toy:
        response = await toy.post('{hello fails(how: "page")}', accept=RESPONSE_JSON)
        assert response.status_code == 200
        assert response.json()["data"] == {"hello": "hello world", "fails": None}


async def test_two_operations_without_a_name_are_an_error_and_with_one_are_not() -> None:
    async with running() as toy:
        document = "query A {hello} query B {half}"
        assert (await toy.errors(document))[0]["extensions"] == {"code": "BAD_REQUEST"}
        assert (await toy.post(document, operationName="B")).json() == {"data": {"half": 1}}
        assert (await toy.errors(document, operationName="C"))[0]["extensions"] == {"code": "BAD_REQUEST"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH"])
async def test_other_methods_are_405_and_say_which_are_allowed(method: str) -> None:
    async with running() as toy:
        response = await toy.http.request(method, "/graphql")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_get_runs_queries_only() -> None:
    async with running() as toy:
        parameters = {"query": "query($n: String) {hello(name: $n)}", "variables": '{"n": "Ada"}'}
        query = await toy.http.get("/graphql", params=parameters, headers=GOOD)
        mutation = await toy.http.get("/graphql", params={"query": "mutation {touch}"}, headers=GOOD)
        assert query.json() == {"data": {"hello": "hello Ada"}}
        assert (mutation.status_code, mutation.headers["allow"]) == (405, "POST")
        assert toy.journal.touched == 0


@pytest.mark.parametrize(
    "parameters", [{"query": "{hello}", "variables": "{"}, {"query": "{hello}", "extensions": "5"}, {}]
)
async def test_a_get_with_bad_parameters_is_400(parameters: dict[str, str]) -> None:
    async with running() as toy:
        response = await toy.http.get("/graphql", params=parameters, headers=GOOD)
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


async def test_an_accept_that_takes_nothing_we_have_is_406() -> None:
    async with running() as toy:
        response = await toy.post("{hello}", accept="image/png, text/html")
        assert (response.status_code, code(response)) == (406, "BAD_REQUEST")


@pytest.mark.parametrize(
    "content_type",
    ["application/json-evil", "text/plain", "application/json; charset=latin-1", "multipart/form-data", ""],
)
async def test_other_content_types_are_415(content_type: str) -> None:
    async with running() as toy:
        response = await send_raw(toy, b'{"query": "{hello}"}', **{"Content-Type": content_type})
        assert (response.status_code, code(response)) == (415, "BAD_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5",
        b"null",
        b'"x"',
        b"\xff",
        b"[" * 5000,
        b"1" * 5000,
        b'[{"query": "{hello}"}]',
        b"NaN",
        b'{"query": 5}',
        b'{"query": "{hello}", "variables": []}',
        b'{"query": "{hello}", "variables": {"x": 1e999}}',
        b'{"query": "{hello}", "operationName": {}}',
        b'{"query": "{hello}", "extensions": "x"}',
        b'\xef\xbb\xbf{"query": "{hello}"}',
    ],
)
async def test_a_body_that_is_no_envelope_is_a_typed_400(body: bytes) -> None:
    async with running() as toy:
        response = await send_raw(toy, body)
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413(chunked: bool) -> None:
    async with running(limits=TransportLimits(body_bytes=1000)) as toy:
        body = json.dumps({"query": "{hello}", "variables": {"x": "y" * 1000}}).encode()

        async def chunks() -> Any:
            yield body[:500]
            yield body[500:]

        response = await toy.http.post("/graphql", content=chunks() if chunked else body, headers=TYPED)
        assert (response.status_code, code(response)) == (413, "BAD_REQUEST")


async def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    async with running(limits=TransportLimits(body_deadline=timedelta(milliseconds=50))) as toy:
        host, port = toy.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        assert b"408" in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_a_lone_surrogate_passes_to_the_domain_and_cannot_break_an_answer() -> None:
    async with running() as toy:
        body = b'{"query": "query($x: JSON!) {echo(value: $x)}", "variables": {"x": "\\ud83d"}}'
        assert code(await send_raw(toy, body)) == "INTERNAL"
        assert code(await toy.post("{surrogate}")) == "INTERNAL"
        assert code(await send_raw(toy, b'{"query": "{hello(name: \\"\\ud83d\\")}"}')) == "PARSE_FAILED"
        body = b'{"query": "query($x: Int!) {half(name: $x)}", "variables": {"x": "\\ud83d"}}'
        assert code(await send_raw(toy, body)) == "BAD_VARIABLES"


@pytest.mark.parametrize("query", ["{viewer}", "{__typename}", "{...Q} fragment Q on Query {viewer}"])
async def test_a_visitor_may_ask_the_open_fields(query: str) -> None:
    async with running() as toy:
        response = await toy.http.post("/graphql", json={"query": query})
        assert "errors" not in response.json()


@pytest.mark.parametrize("query", ["{hello}", "{viewer ...Q} fragment Q on Query {hello}", "mutation {touch}"])
async def test_a_visitor_is_asked_for_a_credential_for_all_else(query: str) -> None:
    async with running() as toy:
        response = await toy.http.post("/graphql", json={"query": query})
        assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", ["Bearer bad", "Basic good", "Bearer", "good", "Bearer good, Bearer good"])
async def test_a_bad_credential_is_401_even_for_what_is_open(authorization: str) -> None:
    async with running() as toy:
        response = await toy.http.post("/graphql", json={"query": "{viewer}"}, headers={"Authorization": authorization})
        assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")


async def test_each_operation_has_a_context_of_its_own() -> None:
    async with running() as toy:
        answers = [(await toy.post("{contextNumber}")).json()["data"]["contextNumber"] for _ in range(2)]
        assert answers == [1, 2]


async def test_a_subscription_over_plain_post_says_what_it_needs() -> None:
    async with running() as toy:
        errors = await toy.errors("subscription {count}")
        assert "Accept: text/event-stream" in errors[0]["message"]
        assert "graphql-transport-ws" in errors[0]["message"]


async def test_a_query_past_its_deadline_is_cancelled_and_says_so() -> None:
    async with running(limits=TransportLimits(query_deadline=timedelta(milliseconds=50))) as toy:
        response = await toy.post("{slow}", accept=RESPONSE_JSON)
        assert (response.status_code, code(response), response.json()["data"]) == (200, "TIMEOUT", None)
        assert toy.journal.left.is_set()


async def test_a_query_is_cancelled_when_its_client_leaves() -> None:
    async with running() as toy, asyncio.timeout(30):
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(toy.post("{a: slow b: slow}"))
            await toy.journal.entered.wait()
            asking.cancel()
        await toy.journal.left.wait()


async def test_a_mutation_runs_to_its_end_when_its_client_leaves() -> None:
    async with running() as toy, asyncio.timeout(30):
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(toy.post("mutation {touchSlowly}"))
            await toy.journal.entered.wait()
            asking.cancel()
        toy.journal.release.set()
        await toy.journal.left.wait()
        assert toy.journal.touched == 1


async def test_the_page_is_for_those_who_prefer_html_only() -> None:
    def page(request: object) -> Response[str]:
        return Response("<p>GraphiQL</p>", media_type=MediaType.HTML)

    async with running(html=page) as toy:
        browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        assert (await toy.http.get("/graphql", headers=browser)).text == "<p>GraphiQL</p>"
        assert code(await toy.http.get("/graphql", headers={"Accept": "*/*"})) == "BAD_REQUEST"
        assert (
            code(await toy.http.post("/graphql", headers={**TYPED, "Accept": "text/html, */*;q=0.1"})) == "BAD_REQUEST"
        )


async def test_large_queries_run_one_after_the_other_and_small_ones_beside_them() -> None:
    async with running() as toy, asyncio.timeout(30):
        large = "{slow items(first: 100) {nodes {items(first: 100) {nodes {id}}}}}"
        async with asyncio.TaskGroup() as tasks:
            two = [tasks.create_task(toy.post(large)) for _ in range(2)]
            await toy.journal.entered.wait()
            assert (await toy.post("{hello}")).json() == {"data": {"hello": "hello world"}}
            assert toy.journal.waiting == 1
            toy.journal.release.set()
        assert [task.result().json()["data"]["slow"] for task in two] == [1, 1]


async def test_who_waits_for_his_turn_does_so_within_his_deadline() -> None:
    async with running(limits=TransportLimits(query_deadline=timedelta(milliseconds=200))) as toy:
        large = "{slow items(first: 100) {nodes {items(first: 100) {nodes {id}}}}}"
        answers = await asyncio.gather(toy.post(large), toy.post(large))
        assert [code(answer) for answer in answers] == ["TIMEOUT", "TIMEOUT"]
