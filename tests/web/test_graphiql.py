"""GraphiQL in a browser: offline, under its policy, and telling its story tab by tab."""

import json
import re
from itertools import groupby, pairwise

import pytest

from tests.web.graphiql_page import GraphiQLPage

pytestmark = pytest.mark.web

WATCH_THE_RESPONSE = """() => {
    const pane = document.querySelector(".graphiql-response");
    window.seen = [];
    new MutationObserver(() => window.seen.push(pane.innerText))
        .observe(pane, {subtree: true, childList: true, characterData: true});
}"""


def text_so_far(response: str) -> str | None:
    """As far as it is on the screen: Monaco wraps it, and renders visible lines only."""
    shown = re.search(r'"textSoFar": "((?:[^"\\]|\\.)*)', re.sub(r"\s+", " ", response))
    return None if shown is None else shown[1]


def test_graphiql_opens_offline_with_its_tabs(graphiql: GraphiQLPage) -> None:
    tabs = graphiql.page.get_by_role("tab").all_inner_texts()
    assert tabs == [
        *("Send", "Stream", "Branch", "Tree", "Edit", "Compare", "Json", "WhatWasSent", "Preview", "ModelsAndMe"),
    ]


def test_one_click_on_the_first_visit_shows_an_answer_grow(graphiql: GraphiQLPage) -> None:
    texts = next((texts for texts in (shown_by_one_click(graphiql) for _ in range(6)) if len(texts) >= 3), [])
    assert len(texts) >= 3
    assert all(len(longer) > len(shorter) for shorter, longer in pairwise(texts)), texts


def shown_by_one_click(graphiql: GraphiQLPage) -> list[str]:
    """Each text that the pane showed of one reply, until its end."""
    graphiql.page.evaluate(WATCH_THE_RESPONSE)
    graphiql.run()
    wait_until_seen(graphiql, "textSoFar")
    graphiql.shoot("first-visit")
    seen = wait_until_seen(graphiql, "GenerationFinished")
    graphiql.shoot("first-visit-finished")
    return [text for text, _ in groupby(shown for shown in map(text_so_far, seen) if shown)]


def test_what_goes_on_by_itself_ends_when_it_is_stopped(graphiql: GraphiQLPage) -> None:
    graphiql.run()
    graphiql.expect_response("textSoFar")
    graphiql.page.get_by_role("button", name=re.compile("^Stop query")).click()
    shown = graphiql.response()
    graphiql.page.wait_for_timeout(1_000)
    assert graphiql.response() == shown
    assert "GenerationFinished" not in shown


def test_a_reply_grows_in_the_result_pane(graphiql: GraphiQLPage) -> None:
    # The model is done with a short reply before the page has drawn it three times: then it is asked again.
    texts = next((texts for texts in (shown_of_a_reply(graphiql) for _ in range(6)) if len(texts) >= 3), [])
    assert len(texts) >= 3
    assert all(len(longer) > len(shorter) for shorter, longer in pairwise(texts)), texts


def shown_of_a_reply(graphiql: GraphiQLPage) -> list[str]:
    """Each text that the pane showed of one reply, until its end."""
    graphiql.tab(1)
    graphiql.run()
    graphiql.expect_response("SendMessageSuccess")
    graphiql.shoot("1-send")
    graphiql.tab(2)
    graphiql.page.evaluate(WATCH_THE_RESPONSE)
    graphiql.run()
    wait_until_seen(graphiql, "textSoFar")
    graphiql.shoot("2-stream")
    seen = wait_until_seen(graphiql, "GenerationFinished")
    graphiql.shoot("2-finished")
    return [text for text, _ in groupby(shown for shown in map(text_so_far, seen) if shown)]


def wait_until_seen(graphiql: GraphiQLPage, word: str) -> list[str]:
    """All that was seen until then. The page's policy lets nothing wait inside it."""
    for _ in range(1200):
        seen: list[str] = graphiql.page.evaluate("window.seen")
        if any(word in text for text in seen):
            return seen
        graphiql.page.wait_for_timeout(100)
    raise AssertionError(f"{word} did not come in two minutes")


def test_the_other_tabs_need_no_copied_ids(graphiql: GraphiQLPage) -> None:
    graphiql.run()
    graphiql.expect_response("SendMessageSuccess")
    graphiql.tab(2)
    graphiql.run()
    graphiql.expect_response("GenerationFinished", timeout_ms=120_000)
    graphiql.tab(3)
    graphiql.run()
    graphiql.expect_response("SendMessageSuccess")
    graphiql.shoot("3-branch")
    graphiql.tab(4)
    graphiql.run()
    graphiql.expect_response("What.is.a.tree")
    graphiql.shoot("4-tree")
    graphiql.tab(10)
    graphiql.run()
    graphiql.expect_response("displayName")
    graphiql.shoot("10-models-and-me")


def test_an_edit_is_compared_with_what_it_is_an_edit_of(graphiql: GraphiQLPage) -> None:
    for tab in (1, 3):
        graphiql.tab(tab)
        graphiql.run()
        graphiql.expect_response("SendMessageSuccess")
        graphiql.see_the_end()
    graphiql.tab(5)
    graphiql.run()
    graphiql.expect_response('"siblingIndex":.2,')
    graphiql.shoot("5-edit")
    graphiql.see_the_end()
    graphiql.tab(6)
    graphiql.run()
    graphiql.expect_response("commonAncestor")
    graphiql.shoot("6-compare")
    told = graphiql.response()
    common, a, b = (told.index(name) for name in ("commonAncestor", "onlyA", "onlyB"))
    assert common < a < told.index("And what is a leaf?") < b < told.index("And what is a root?")
    assert told.count('"COMPLETE"') == 4
    assert '"role": "ASSISTANT"' in told[common:a]


def test_what_is_compared_has_to_be_there_first(graphiql: GraphiQLPage) -> None:
    graphiql.run()
    graphiql.expect_response("SendMessageSuccess")
    graphiql.tab(6)
    graphiql.run()
    graphiql.expect_response("Run.tab.5.first")


def test_an_answer_is_held_to_a_schema_and_told_with_what_was_sent(graphiql: GraphiQLPage) -> None:
    graphiql.tab(7)
    graphiql.run()
    graphiql.expect_response("SendMessageSuccess")
    graphiql.shoot("7-json")
    end = graphiql.see_the_end()
    assert re.search(r'"status": "COMPLETED"', end)
    graphiql.shoot("7-streamed")
    graphiql.tab(8)
    graphiql.run()
    graphiql.expect_response("promptSha256")
    graphiql.shoot("8-what-was-sent")
    sent = graphiql.response()
    [said] = re.findall(r'"reply": \{ "text": ("(?:[^"\\]|\\.)*")', sent)
    oak = json.loads(json.loads(said))
    assert list(oak) == ["name", "kind", "metres"]
    assert oak["kind"] in ("tree", "flower", "moss")
    assert 1 <= oak["metres"] <= 60
    assert '"text": "Describe an oak, in JSON."' in sent


def test_a_preview_that_is_refused_says_why_and_one_that_is_not_what_would_be_sent(graphiql: GraphiQLPage) -> None:
    graphiql.tab(9)
    graphiql.run()
    graphiql.expect_response("ContextTooLarge")
    graphiql.shoot("9-preview")
    refused = graphiql.response()
    needed, limit = (int(n) for n in re.findall(r'"(?:required|limit)Tokens": (\d+)', refused))
    assert needed > limit
    assert '"context": null' in refused
    graphiql.change_variables("20", "2000")
    graphiql.run()
    graphiql.expect_response('"refusal":.null')
    assert '"includedCount": 1,' in graphiql.response()


def test_a_tab_that_needs_a_send_says_so(graphiql: GraphiQLPage) -> None:
    graphiql.tab(2)
    graphiql.run()
    graphiql.expect_response("Run.tab.1.first")


def test_the_key_is_never_stored_so_each_load_begins_with_the_servers_own(graphiql: GraphiQLPage) -> None:
    graphiql.run()
    graphiql.expect_response("SendMessageSuccess")
    graphiql.page.wait_for_timeout(1_000)
    assert "gus:graphiql:queries" in json.loads(graphiql.stored())
    assert "Bearer" not in graphiql.stored()

    graphiql.page.reload()
    graphiql.wait_until_ready()
    assert graphiql.page.get_by_role("tab").count() == 10
    graphiql.run()
    graphiql.expect_response("SendMessageSuccess")
