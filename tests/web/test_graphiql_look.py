"""GraphiQL's sides: its colours, the explorer, the documentation, and how it says what is wrong."""

from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.web.graphiql_page import COLOURS, GraphiQLPage, luminance, model_of

pytestmark = pytest.mark.web

COMMENT = ".graphiql-query-editor .view-line span span"
# Of WCAG, level AA.
READABLE = 4.5


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_it_follows_the_systems_colours_and_its_words_can_be_read(
    graphiql: GraphiQLPage, scheme: Literal["light", "dark"], is_dark: bool
) -> None:
    graphiql.page.emulate_media(color_scheme=scheme)
    graphiql.open_explorer()
    # Monaco colours its lines anew some moments later.
    graphiql.page.wait_for_timeout(1_000)
    graphiql.shoot(scheme)
    _, behind = graphiql.page.evaluate(COLOURS, COMMENT)
    assert (luminance(behind) < 0.5) == is_dark
    words = (COMMENT, ".graphiql-tab-button", ".doc-explorer-title", ".graphiql-explorer-actions")
    assert {selector: graphiql.contrast(selector) for selector in words if graphiql.contrast(selector) < READABLE} == {}


def test_the_explorer_builds_a_query_by_clicks(graphiql: GraphiQLPage) -> None:
    graphiql.page.get_by_role("button", name="New tab").click()
    graphiql.open_explorer()
    graphiql.choose("models", "key")
    graphiql.choose("viewer", "user", "displayName")
    graphiql.shoot("explorer")
    built = graphiql.page.evaluate(f"{model_of('operation.graphql')}.getValue()")
    assert " ".join(built.split()) == "query MyQuery { models { key } viewer { user { displayName } } }"
    graphiql.run()
    graphiql.expect_response("smollm2-135m-instruct")
    assert '"user": { "displayName": "Developer" }' in graphiql.response()


def test_the_documentation_begins_with_what_this_is(graphiql: GraphiQLPage) -> None:
    graphiql.page.get_by_role("button", name="Show Documentation Explorer").click()
    docs = graphiql.page.locator(".graphiql-plugin")
    expect(docs).to_contain_text("Conversations with language models.")
    graphiql.shoot("docs-first")
    docs.get_by_role("link", name="Mutation", exact=True).click()
    docs.get_by_role("link", name="sendMessage", exact=True).click()
    expect(docs).to_contain_text("Stores what the viewer says and starts the reply")
    graphiql.shoot("docs")


@pytest.mark.parametrize(
    ("name", "query", "variables", "said"),
    [
        ("unknown-field", "{ nothing }", "", ["Cannot query field 'nothing' on type 'Query'.", "VALIDATION_FAILED"]),
        ("syntax", "query {", "", ["Syntax Error", "PARSE_FAILED"]),
        (
            "variable",
            "query ($id: ID!) { node(id: $id) { id } }",
            "{}",
            ["Variable '$id' has invalid value", "BAD_VARIABLES"],
        ),
        ("no-json", "{ models { key } }", "{", ["Request not sent.", "Variables"]),
        ("stream", 'subscription { generationEvents(generation: "none") { seq } }', "", ["NOT_FOUND"]),
    ],
)
def test_an_error_says_what_is_wrong_and_its_code(
    graphiql: GraphiQLPage, name: str, query: str, variables: str, said: list[str]
) -> None:
    graphiql.ask_in_a_new_tab(query, variables)
    graphiql.expect_response("errors?|Request.not.sent")
    graphiql.shoot(f"error-{name}")
    assert [words for words in said if words not in graphiql.response()] == []
    # Chromium notes each such answer, and GraphiQL each error of a stream, which is a list.
    graphiql.complaints[:] = [
        each for each in graphiql.complaints if "status of 400" not in each and each != "Array(1)"
    ]
