import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Route, WebSocket, expect

pytestmark = pytest.mark.web

RESPONSE = ".graphiql-response"
WATCH_THE_RESPONSE = """() => {
    const pane = document.querySelector(".graphiql-response");
    window.seen = [];
    new MutationObserver(() => window.seen.push(pane.innerText))
        .observe(pane, {subtree: true, childList: true, characterData: true});
}"""


def model_of(editor: str) -> str:
    """Monaco's, which holds all of the text that an editor shows a part of."""
    return f"__MONACO.editor.getModels().find((model) => model.uri.path.endsWith('{editor}.json'))"


@dataclass
class GraphiQLPage:
    page: Page
    origin: str
    screenshots: Path | None
    foreign_requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self) -> None:
        self.page.context.route("**/*", self._only_own_origin)
        self.page.on("websocket", self._note_socket)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{self.origin}/graphql")
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        expect(self.page.locator(".graphiql-query-editor .view-line").first).to_be_visible(timeout=30_000)
        # Introspection has ended when the button to repeat it is at rest.
        expect(self.page.locator(".graphiql-spinner, .graphiql-un-styled[disabled]")).to_have_count(0)

    def tab(self, number: int) -> None:
        self.page.get_by_role("tab").nth(number - 1).click()
        # GraphiQL parses the editor's new content 100 ms after its last change, and runs what it parsed.
        self.page.wait_for_timeout(500)

    def run(self) -> None:
        # What the tab has shown before must not be taken for what comes.
        self.page.evaluate(f"{model_of('response')}.setValue('')")
        self.page.get_by_role("button", name=re.compile("^Execute query")).click()

    def expect_response(self, pattern: str, *, timeout_ms: int = 30_000) -> None:
        # Monaco writes spaces as no-break spaces.
        expect(self.page.locator(RESPONSE)).to_contain_text(re.compile(pattern), timeout=timeout_ms)

    def response(self) -> str:
        """All of it, also what has to be scrolled to, on one line."""
        text: str = self.page.evaluate(f"{model_of('response')}.getValue()")
        return " ".join(text.split())

    def change_variables(self, old: str, new: str) -> None:
        variables = model_of("variables")
        self.page.evaluate(f"{variables}.setValue({variables}.getValue().replace({old!r}, {new!r}))")
        self.page.wait_for_timeout(500)

    def see_the_end(self) -> str:
        """Of what was sent last, in tab 2: its last event."""
        self.tab(2)
        self.run()
        self.expect_response("GenerationFinished", timeout_ms=120_000)
        return self.response()

    def stored(self) -> str:
        stored: str = self.page.evaluate("JSON.stringify(localStorage)")
        return stored

    def shoot(self, name: str) -> None:
        if self.screenshots is not None:
            self.page.screenshot(path=self.screenshots / f"graphiql-{name}.png")

    def _only_own_origin(self, route: Route) -> None:
        if route.request.url.startswith((f"{self.origin}/", "data:", "blob:")):
            route.continue_()
        else:
            self.foreign_requests.append(route.request.url)
            route.abort()

    def _note_socket(self, socket: WebSocket) -> None:
        if not socket.url.startswith(f"{self.origin}/".replace("http", "ws", 1)):
            self.foreign_requests.append(socket.url)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@pytest.fixture
def graphiql(page: Page, gus_url: str, screenshots: Path | None) -> Iterator[GraphiQLPage]:
    """Whatever a test does: nothing is fetched from elsewhere, the policy is kept, and nothing fails unseen."""
    graphiql = GraphiQLPage(page, gus_url.rstrip("/"), screenshots)
    graphiql.open()
    yield graphiql
    assert graphiql.foreign_requests == []
    assert graphiql.complaints == []


def text_so_far(response: str) -> str | None:
    """As far as it is on the screen: Monaco wraps it, and renders visible lines only."""
    shown = re.search(r'"textSoFar": "((?:[^"\\]|\\.)*)', re.sub(r"\s+", " ", response))
    return None if shown is None else shown[1]


def test_graphiql_opens_offline_with_its_tabs(graphiql: GraphiQLPage) -> None:
    tabs = graphiql.page.get_by_role("tab").all_inner_texts()
    graphiql.shoot("light")
    graphiql.page.emulate_media(color_scheme="dark")
    graphiql.page.wait_for_timeout(300)
    graphiql.shoot("dark")
    assert tabs == [
        *("Send", "Stream", "Branch", "Tree", "Edit", "Compare", "Json", "WhatWasSent", "Preview", "ModelsAndMe"),
    ]


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
