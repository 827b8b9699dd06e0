"""GraphiQL: the committed build as cacheable assets, and the page that carries this server's configuration."""

import gzip
import html
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from litestar import Request, Response, get
from litestar.datastructures import Headers, State
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import Scope

BUILD = Path(__file__).parent / "static" / "graphiql" / "build"
CONFIG_PLACEHOLDER = "__GUS_CONFIG__"
CONTENT_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".md": "text/markdown",
    ".ttf": "font/ttf",
}
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self' blob:"
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
ASSET_HEADERS = {
    # Every asset has the hash of its content in its name.
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
GZIP_CODING = re.compile(r"(?:gzip|x-gzip|\*)\s*(?:;\s*q=(?P<q>[0-9.]+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asset:
    gzipped: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class GraphiQL:
    template: str
    assets: Mapping[str, Asset]
    dev_key: str | None = field(repr=False)

    def page(self, scope: Scope) -> Response[str]:
        """The page for GET /graphql. The development key is in it only for a browser on this very machine."""
        key = self.dev_key if is_local_visit(scope) else None
        config = {"headers": {"Authorization": f"Bearer {key}"} if key else None}
        content = self.template.replace(CONFIG_PLACEHOLDER, html.escape(json.dumps(config)))
        return Response(content, media_type=MediaType.HTML, headers=PAGE_HEADERS)

    def routes(self) -> list[HTTPRouteHandler]:
        @get("/graphiql/assets/{name:str}", include_in_schema=False, sync_to_thread=False)
        def graphiql_asset(name: FromPath[str], request: Request[object, object, State]) -> Response[bytes]:
            # A name is looked up among the files read at the start, never on the disk: nothing to traverse.
            asset = self.assets.get(name)
            if asset is None:
                raise NotFoundException(f"GraphiQL has no asset {name!r}.")
            return _asset_response(asset, accepts_gzip=accepts_gzip(request.headers.get("accept-encoding", "")))

        return [graphiql_asset]


def load_graphiql(dev_key: str | None) -> GraphiQL:
    """Reads the build once: about 2 MB, kept gzipped."""
    files = sorted((BUILD / "assets").glob("*.gz"))
    return GraphiQL(
        template=(BUILD / "index.html").read_text(encoding="utf-8"),
        assets={file.stem: Asset(file.read_bytes(), CONTENT_TYPES[Path(file.stem).suffix]) for file in files},
        dev_key=dev_key,
    )


def is_local_visit(scope: Scope) -> bool:
    """A navigation from this machine to a loopback name.

    The peer alone would not do: a proxy on this machine, and a foreign name that resolves to 127.0.0.1
    (DNS rebinding), are loopback peers too, and so is a script of another site that fetches this page.
    """
    headers = Headers.from_scope(scope)
    return (
        _is_loopback_peer(scope)
        and _names_loopback(headers.getall("host", []))
        and not any(_tells_of_a_proxy(name) for name in headers)
        and headers.get("sec-fetch-mode", "navigate") == "navigate"
    )


def accepts_gzip(accept_encoding: str) -> bool:
    codings = (GZIP_CODING.fullmatch(coding.strip()) for coding in accept_encoding.split(","))
    return any(match is not None and (match["q"] or "1").strip("0.") != "" for match in codings)


def _asset_response(asset: Asset, *, accepts_gzip: bool) -> Response[bytes]:
    if accepts_gzip:
        headers = ASSET_HEADERS | {"Content-Encoding": "gzip"}
        return Response(asset.gzipped, media_type=asset.content_type, headers=headers)
    return Response(gzip.decompress(asset.gzipped), media_type=asset.content_type, headers=ASSET_HEADERS)


def _is_loopback_peer(scope: Scope) -> bool:
    client = scope["client"]
    if client is None:
        return False
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    # A socket that listens on [::] reports IPv4 peers as ::ffff:127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _names_loopback(hosts: list[str]) -> bool:
    return len(hosts) == 1 and LOCAL_HOST.fullmatch(hosts[0]) is not None


def _tells_of_a_proxy(header: str) -> bool:
    return header.lower() in {"forwarded", "via", "x-real-ip"} or header.lower().startswith("x-forwarded-")
