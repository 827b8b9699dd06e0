import gzip
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate
from litestar import Litestar, Request, Response, get
from litestar.datastructures import State
from litestar.testing import TestClient

from server.graphiql import BUILD, GraphiQL, accepts_gzip, load_graphiql

KEY = "dev_\"<&>'key"
TABS = sorted((BUILD.parent / "src" / "tabs").glob("*.graphql"))
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self' blob:"
)


@pytest.fixture(scope="module")
def graphiql() -> GraphiQL:
    return load_graphiql(KEY)


@pytest.fixture
def client(graphiql: GraphiQL) -> Iterator[TestClient[Litestar]]:
    with visit(graphiql) as client:
        yield client


def visit(graphiql: GraphiQL, peer: str = "127.0.0.1") -> TestClient[Litestar]:
    @get("/graphql", sync_to_thread=False)
    def page(request: Request[object, object, State]) -> Response[str]:
        scope = request.scope.copy()
        scope["client"] = (peer, 50000) if peer else None
        return graphiql.page(scope)

    return TestClient(Litestar([page, *graphiql.routes()], openapi_config=None), base_url="http://127.0.0.1:8000")


def config_of(page: str) -> object:
    content = re.search(r'<meta name="gus-config" content="([^"]*)"', page)
    assert content is not None
    return json.loads(html.unescape(content[1]))


def linked(page: str) -> list[str]:
    return re.findall(r'<(?:script|link)\b[^>]*\b(?:src|href)="([^"]*)"', page)


def some_asset(suffix: str) -> str:
    return next(file.stem for file in sorted((BUILD / "assets").iterdir()) if file.stem.endswith(suffix))


def test_the_page_allows_nothing_from_elsewhere(client: TestClient[Litestar]) -> None:
    headers = client.get("/graphql").headers
    assert headers["content-security-policy"] == POLICY
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_the_page_has_no_inline_script_and_links_only_to_itself(client: TestClient[Litestar]) -> None:
    page = client.get("/graphql").text
    assert re.findall(r"<script\b[^>]*>([^<]*)</script>", page) == [""]
    assert [link for link in linked(page) if not link.startswith(("/graphiql/assets/", "data:"))] == []


def test_the_page_names_only_assets_that_are_there(client: TestClient[Litestar]) -> None:
    assets = [link for link in linked(client.get("/graphql").text) if not link.startswith("data:")]
    assert {asset: client.get(asset).status_code for asset in assets} == dict.fromkeys(assets, 200)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_a_browser_on_this_machine_gets_the_development_key(graphiql: GraphiQL, peer: str, host: str) -> None:
    with visit(graphiql, peer) as client:
        page = client.get("/graphql", headers={"Host": host}).text
    assert config_of(page) == {"headers": {"Authorization": f"Bearer {KEY}"}}


@pytest.mark.parametrize(
    "peer", ["", "testclient", "10.0.0.7", "172.17.0.1", "fe80::1", "2001:db8::1", "::ffff:10.0.0.7"]
)
def test_another_machine_gets_no_key(graphiql: GraphiQL, peer: str) -> None:
    with visit(graphiql, peer) as client:
        assert config_of(client.get("/graphql").text) == {"headers": None}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8000",
        "localhost:8000@evil.example",
        "[::1].x",
        "0.0.0.0",
    ],
)
def test_a_foreign_name_for_this_machine_gets_no_key(client: TestClient[Litestar], host: str) -> None:
    assert config_of(client.get("/graphql", headers={"Host": host}).text) == {"headers": None}


@pytest.mark.parametrize("name", ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP"])
def test_a_proxy_on_this_machine_gets_no_key(client: TestClient[Litestar], name: str) -> None:
    assert config_of(client.get("/graphql", headers={name: "127.0.0.1"}).text) == {"headers": None}


def test_a_script_that_fetches_the_page_gets_no_key(client: TestClient[Litestar]) -> None:
    assert config_of(client.get("/graphql", headers={"Sec-Fetch-Mode": "cors"}).text) == {"headers": None}
    assert config_of(client.get("/graphql", headers={"Sec-Fetch-Mode": "navigate"}).text) != {"headers": None}


def test_without_a_development_key_there_is_none_to_give() -> None:
    with visit(load_graphiql(None)) as client:
        assert config_of(client.get("/graphql").text) == {"headers": None}


@pytest.mark.parametrize(
    ("suffix", "content_type"),
    [(".js", "text/javascript; charset=utf-8"), (".css", "text/css; charset=utf-8"), (".ttf", "font/ttf")],
)
def test_an_asset_travels_gzipped_and_is_kept_for_ever(
    client: TestClient[Litestar], suffix: str, content_type: str
) -> None:
    headers = client.get(f"/graphiql/assets/{some_asset(suffix)}", headers={"Accept-Encoding": "br, gzip"}).headers
    assert headers["content-type"] == content_type
    assert headers["content-encoding"] == "gzip"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["vary"] == "Accept-Encoding"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_client_without_gzip_gets_the_asset_unpacked(client: TestClient[Litestar]) -> None:
    name = some_asset(".css")
    response = client.get(f"/graphiql/assets/{name}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in response.headers
    assert response.content == gzip.decompress((BUILD / "assets" / f"{name}.gz").read_bytes())


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
    ],
)
def test_gzip_is_sent_to_those_who_accept_it(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) is accepted


@pytest.mark.parametrize(
    "path",
    [
        "../index.html",
        "..%2Findex.html",
        "%2e%2e/package.json",
        "..%5cindex.html",
        "%2Fetc%2Fpasswd",
        "index.html",
        "",
        "no-such.js",
    ],
)
def test_only_files_of_the_build_are_served(client: TestClient[Litestar], path: str) -> None:
    assert client.get(f"/graphiql/assets/{path}").status_code == 404


def test_every_asset_is_stored_as_gzip_without_time_or_name() -> None:
    for file in (BUILD / "assets").iterdir():
        assert file.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00", file.name


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.stem)
def test_every_default_tab_is_valid_in_the_schema(tab: Path) -> None:
    schema = build_schema((BUILD.parents[3] / "schema" / "schema.graphql").read_text(encoding="utf-8"))
    assert validate(schema, parse(tab.read_text(encoding="utf-8"))) == []
