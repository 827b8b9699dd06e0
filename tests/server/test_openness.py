"""How much a server tells of itself: in development all, in production what is turned on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import schema
from tests.e2e.served import Served
from tests.server.conftest import Serve

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TYPO = "{ models { ky } }"


@contextmanager
def asking(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.origin, timeout=30) as client:
        yield client


def message(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["message"])


def test_development_tells_everything(serve: Serve) -> None:
    with asking(serve()) as client:
        contract = client.get("/schema.graphql")
        assert contract.text == schema.printed()
        again = client.get("/schema.graphql", headers={"If-None-Match": contract.headers["etag"]})
        assert (contract.status_code, again.status_code, again.content) == (200, 304, b"")
        assert "GraphiQL" in client.get("/graphql", headers=BROWSER).text
        assert client.get("/graphql", params={"query": "{ __schema { __typename } }"}).status_code == 200
        assert "Did you mean" in message(client.post("/graphql", json={"query": TYPO}))


def test_production_tells_nothing_of_it(serve: Serve) -> None:
    with asking(serve(env="production")) as client:
        assert client.get("/schema.graphql").status_code == 404
        assert client.get("/graphql", headers=BROWSER).headers["content-type"].startswith("application/json")
        assert client.get("/graphql", params={"query": "{ models { key } }"}).status_code == 405
        refused = client.post("/graphql", json={"query": "{ __schema { types { name } } }"}).json()["errors"]
        assert {error["extensions"]["code"] for error in refused} == {"VALIDATION_FAILED"}
        assert "Did you mean" not in message(client.post("/graphql", json={"query": TYPO}))


def test_each_can_be_turned_on_and_off_by_itself(serve: Serve) -> None:
    told = serve(env="production", introspection="on", graphiql="on", get="on")
    with asking(told) as client:
        assert client.get("/schema.graphql").status_code == 200
        assert "GraphiQL" in client.get("/graphql", headers=BROWSER).text
        assert client.get("/graphql", params={"query": "{ models { key } }"}).status_code == 200


def test_only_trusted_documents_are_taken_where_that_is_set(serve: Serve, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"models-1": "{ models { key } }"}))
    with asking(serve(trusted_documents=str(manifest), only_trusted_documents="on")) as client:
        trusted = client.post("/graphql", json={"documentId": "models-1"}).json()
        refused = client.post("/graphql", json={"query": "{ models { key displayName } }"}).json()
        assert "errors" not in trusted
        assert refused["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_REQUIRED"


@pytest.mark.parametrize("setting", ["get", "only_trusted_documents"])
def test_a_setting_that_is_none_of_its_words_is_refused(serve: Serve, setting: str) -> None:
    with pytest.raises(AssertionError, match=f"GUS_{setting.upper()}"):
        serve(**{setting: "perhaps"})
