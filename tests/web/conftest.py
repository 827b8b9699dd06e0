"""A running gus and a headless Chromium for the tests of its pages."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.scripted import Scripted, scripted_models
from tests.e2e.served import Served, serving
from tests.web.graphiql_page import GraphiQLPage
from tests.web.node import PACKAGES

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def gus() -> Iterator[Served]:
    """In development mode, with a database and a model of its own."""
    with serving() as served:
        yield served


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """Models that answer as the question says."""
    with scripted_models(tmp_path_factory.mktemp("models")) as scripted:
        yield scripted


@pytest.fixture(scope="session")
def scripted_gus(scripted: Scripted) -> Iterator[Served]:
    with serving(models=str(scripted.catalogue)) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a front end's tools find their packages."""
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    return tmp_path


@pytest.fixture(scope="session")
def gus_url(gus: Served) -> str:
    """As people type it; the development key is put into the page of a local host only."""
    return gus.origin.replace("127.0.0.1", "localhost")


@pytest.fixture(scope="session")
def gus_key(gus: Served) -> str:
    return gus.development_key


# Not for the session: while Playwright's sync API is open its loop counts as running, and asyncio tests would fail.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "These tests need Chromium: install the package chromium."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def screenshots() -> Path | None:
    folder = os.environ.get("GUS_SCREENSHOTS")
    return None if folder is None else Path(folder)


@pytest.fixture
def graphiql(page: Page, gus_url: str, screenshots: Path | None) -> Iterator[GraphiQLPage]:
    """Whatever a test does: nothing is fetched from elsewhere, the policy is kept, and nothing fails unseen."""
    graphiql = GraphiQLPage(page, gus_url.rstrip("/"), screenshots)
    graphiql.open()
    yield graphiql
    assert graphiql.foreign_requests == []
    assert graphiql.complaints == []
