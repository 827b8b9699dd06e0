"""GUS_TRUSTED_DOCUMENTS: the manifests of three compilers, and what is none."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from server.app import create_app
from server.graphql import TrustedDocuments
from server.models_file import Catalogue
from server.node import Worker
from server.settings import BadSettings, Settings
from server.trusted import read_trusted_documents
from tests.e2e.served import placed

VIEWER = "query Viewer { viewer { user { id } } }"
APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": "abc", "name": "Viewer", "type": "query", "body": VIEWER}],
}


def settings(tmp_path: Path, manifest: object, **more: object) -> Settings:
    file = tmp_path / "manifest.json"
    file.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return Settings(trusted_documents=file, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("manifest", [{"abc": VIEWER}, APOLLO])
def test_it_is_read_as_compilers_write_it(tmp_path: Path, manifest: object) -> None:
    assert read_trusted_documents(settings(tmp_path, manifest)) == TrustedDocuments({"abc": VIEWER})
    only = settings(tmp_path, manifest, only_trusted_documents="on")
    assert read_trusted_documents(only) == TrustedDocuments({"abc": VIEWER}, only=True)


def test_without_one_nothing_is_trusted() -> None:
    assert read_trusted_documents(Settings()) == TrustedDocuments()


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "{",
        "\xff",
        "[]",
        '{"a": 5}',
        {**APOLLO, "version": 2},
        {**APOLLO, "operations": {}},
        {**APOLLO, "operations": [5]},
        {**APOLLO, "operations": [{"id": "a"}]},
        {**APOLLO, "operations": [{"id": "a", "body": None}]},
    ],
)
def test_what_is_no_manifest_is_refused_by_name(tmp_path: Path, manifest: object) -> None:
    with pytest.raises(BadSettings, match=r"GUS_TRUSTED_DOCUMENTS: .*manifest\.json"):
        read_trusted_documents(settings(tmp_path, manifest))


def test_a_document_that_the_contract_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    given = settings(tmp_path, {"good": VIEWER, "old": "{ gone }"})
    with pytest.raises(BadSettings, match="document 'old': Cannot query field 'gone'"):
        create_app(given, database_url="", catalogue=Catalogue((), ()), worker=Worker(uuid4()))


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ({"good": VIEWER, "old": "{ gone }"}, "document 'old': Cannot query field 'gone' on type 'Query'."),
        ("{", "it cannot be read as JSON"),
        ([VIEWER], "expected an object of documents by hash"),
    ],
)
def test_a_server_with_a_bad_manifest_says_so_and_starts_nothing(
    tmp_path: Path, workers: str, manifest: object, words: str
) -> None:
    file = settings(tmp_path, manifest).trusted_documents
    with placed(workers=workers, trusted_documents=str(file), only_trusted_documents="on") as served:
        served.begin()
        assert served.wait() == BadSettings.exit_code
        assert f"GUS_TRUSTED_DOCUMENTS: {file}: {words}" in served.output
        # Neither a database nor a worker, which would be started again.
        assert not any(word in served.output for word in ("PostgreSQL", "Worker", "Ready"))
