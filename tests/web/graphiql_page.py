"""GraphiQL in a browser: what its user does, and what its tests watch."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import ConsoleMessage, Page, Route, WebSocket, expect

RESPONSE = ".graphiql-response"
COLOURS = """(selector) => {
    const words = document.querySelector(selector);
    let behind = words;
    while (/, 0\\)$/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    return [getComputedStyle(words).color, getComputedStyle(behind).backgroundColor];
}"""


def model_of(editor: str) -> str:
    """Monaco's, which holds all of the text that an editor shows a part of."""
    return f"__MONACO.editor.getModels().find((model) => model.uri.path.endsWith('{editor}'))"


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
        self.page.evaluate(f"{model_of('response.json')}.setValue('')")
        self.page.get_by_role("button", name=re.compile("^Execute query")).click()

    def expect_response(self, pattern: str, *, timeout_ms: int = 30_000) -> None:
        # Monaco writes spaces as no-break spaces.
        expect(self.page.locator(RESPONSE)).to_contain_text(re.compile(pattern), timeout=timeout_ms)

    def response(self) -> str:
        """All of it, also what has to be scrolled to, on one line."""
        text: str = self.page.evaluate(f"{model_of('response.json')}.getValue()")
        return " ".join(text.split())

    def change_variables(self, old: str, new: str) -> None:
        variables = model_of("variables.json")
        self.page.evaluate(f"{variables}.setValue({variables}.getValue().replace({old!r}, {new!r}))")
        self.page.wait_for_timeout(500)

    def ask_in_a_new_tab(self, query: str, variables: str = "") -> None:
        self.page.get_by_role("button", name="New tab").click()
        self.page.wait_for_timeout(500)
        self.page.evaluate(f"{model_of('operation.graphql')}.setValue({json.dumps(query)})")
        self.page.evaluate(f"{model_of('variables.json')}.setValue({json.dumps(variables)})")
        self.page.wait_for_timeout(500)
        self.run()

    def open_explorer(self) -> None:
        self.page.get_by_role("button", name="Show GraphiQL Explorer").click()
        expect(self.page.locator(".graphiql-explorer-root")).to_be_visible()

    def choose(self, *fields: str) -> None:
        """One below the other, in the explorer."""
        place = self.page.locator(".graphiql-explorer-root")
        for name in fields:
            place = place.locator(f".graphiql-explorer-{name}")
            place.locator(".graphiql-explorer-field-view").first.click()
            self.page.wait_for_timeout(500)

    def contrast(self, selector: str) -> float:
        """Of the words there with what is behind them, from 1 to 21."""
        words, behind = (luminance(colour) for colour in self.page.evaluate(COLOURS, selector))
        return (max(words, behind) + 0.05) / (min(words, behind) + 0.05)

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


def luminance(colour: str) -> float:
    """Of an rgb() of CSS, as WCAG defines it."""
    channels = [int(channel) / 255 for channel in re.findall(r"\d+", colour)[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
