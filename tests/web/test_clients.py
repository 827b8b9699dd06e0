"""The clients that front ends use, against the real server: each sends, streams, is cut off, and resumes."""

import pytest

from tests.e2e.scripted import script
from tests.e2e.served import Served
from tests.web.node import run

pytestmark = pytest.mark.web

WORDS = [f"Wort{number} 🌳 " for number in range(25)]
CLIENTS = ["graphql-ws", "graphql-sse", "apollo", "apollo-ws", "urql", "urql-sse"]


@pytest.mark.parametrize("name", CLIENTS)
def test_it_resumes_after_a_cut_without_a_gap_and_nothing_twice(name: str, scripted_gus: Served) -> None:
    question = script(say=WORDS, delay_ms=40)
    [told] = run("resume.mjs", name, scripted_gus.origin, scripted_gus.development_key, question)
    assert (told["sent"], told["cuts"], told["status"]) == ("SendMessageSuccess", 1, "COMPLETED")
    assert told["text"] == told["reply"] == "".join(WORDS)
    assert told["seqs"] == list(range(1, len(told["seqs"]) + 1))
    assert told["codes"] == ["VALIDATION_FAILED"]


def test_apollo_client_asks_by_hash_and_sends_the_text_once(scripted_gus: Served) -> None:
    [told] = run("persisted.mjs", scripted_gus.origin, scripted_gus.development_key)
    assert told["sent"] == [{"text": text, "hash": True} for text in (False, True, False)]
    assert told["models"] > 1
