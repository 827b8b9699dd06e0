"""The rules that packages of npm bring along: the audits of GraphQL over HTTP, and what the stream protocols demand."""

import re

import pytest

from tests.server.transport.test_protocols import DISTINCT_CONNECTIONS, WEBSOCKET
from tests.web.node import PACKAGES, run

pytestmark = pytest.mark.web

DEMANDING = re.compile(r"\b(must|should|will|only|allowed|recommended)\b", re.IGNORECASE)


def test_all_audits_of_graphql_over_http_pass(gus_url: str) -> None:
    audits = run("audits.mjs", f"{gus_url}/graphql")
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len(audits) == 61


@pytest.mark.parametrize(
    ("package", "first", "last", "tested"),
    [
        ("graphql-ws", "## Communication", "## Examples", WEBSOCKET),
        ("graphql-sse", "## Distinct connections mode", "## Single connection mode", DISTINCT_CONNECTIONS),
    ],
)
def test_each_demand_of_the_protocol_has_a_test(package: str, first: str, last: str, tested: dict[str, object]) -> None:
    text = (PACKAGES / package / "PROTOCOL.md").read_text()
    chapter = re.sub(r"```.*?```", "", text[text.index(first) : text.index(last)], flags=re.DOTALL)
    sentences = {re.sub(r"^\s*(<br>)?", "", line) for line in chapter.splitlines()}
    assert set(tested) - sentences == set()
    assert {sentence for sentence in sentences if DEMANDING.search(sentence)} - set(tested) == set()
