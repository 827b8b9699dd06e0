"""Trusted documents: manifests by the tools of Relay, graphql-codegen and Apollo, and each one's client against a server of theirs."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.scripted import Scripted, script
from tests.e2e.served import serving
from tests.web.compilers import manifest_of_apollo, manifest_of_codegen, manifest_of_relay
from tests.web.node import run

pytestmark = pytest.mark.web

WORDS = [f"Wort{number} 🌳 " for number in range(8)]


@pytest.mark.parametrize(
    ("client", "written", "spelled_out"),
    [
        ("relay", manifest_of_relay, 0),
        ("urql", manifest_of_codegen, 0),
        ("apollo", manifest_of_apollo, 0),
        ("apollo-ws", manifest_of_apollo, 1),
    ],
)
def test_it_sends_and_streams_by_id_and_nothing_else_is_taken(
    client: str,
    written: Callable[[Path], Path],
    spelled_out: int,
    folder: Path,
    database_url: str,
    scripted: Scripted,
) -> None:
    manifest = written(folder)
    elsewhere = {"database_url": database_url, "models": str(scripted.catalogue), "secret_key": uuid4().hex}
    with serving(**elsewhere, trusted_documents=str(manifest), only_trusted_documents="on") as served:
        question = script(say=WORDS, delay_ms=10)
        [told] = run("trusted.mjs", client, served.origin, served.development_key, str(manifest), question)
    assert (told["text"], told["status"]) == ("".join(WORDS), "COMPLETED")
    assert told["seqs"] == list(range(1, len(told["seqs"]) + 1))
    assert told["spelledOut"] == spelled_out
    assert told["refused"] == {
        "documentId": [["PERSISTED_QUERY_NOT_FOUND"]] * 2,
        "hash": [["PERSISTED_QUERY_NOT_FOUND"]] * 2,
        "text": [["PERSISTED_QUERY_REQUIRED"]] * 2,
    }
