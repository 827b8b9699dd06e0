"""Pages of other origins: which may read an answer, and what their browser asks beforehand.

No cookie is ever a credential here, so there is nothing that a foreign page could borrow; who may read is all there is to say.
"""

from collections.abc import Mapping

from litestar.types import Message, Send

PREFLIGHT_SECONDS = 7_200
READABLE = "Retry-After, WWW-Authenticate, Allow, RateLimit, RateLimit-Policy"


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


async def answer_preflight(headers: Mapping[str, str], allowed: frozenset[str], send: Send) -> None:
    """A page that may not is answered without a word of leave, which its browser takes for no."""
    leave = {"vary": "Origin, Access-Control-Request-Headers"}
    if _is_allowed(headers, allowed):
        leave |= {
            "access-control-allow-origin": headers["origin"],
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": headers.get("access-control-request-headers", ""),
            "access-control-max-age": str(PREFLIGHT_SECONDS),
        }
    await send({"type": "http.response.start", "status": 204, "headers": _raw(leave)})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def readable_by_page(headers: Mapping[str, str], allowed: frozenset[str], send: Send) -> Send:
    """`send`, whose answer says that the page of these headers may read it, if it may."""
    if not _is_allowed(headers, allowed):
        return send
    leave = {"access-control-allow-origin": headers["origin"], "access-control-expose-headers": READABLE}
    raw = _raw({**leave, "vary": "Origin"})

    async def send_readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *raw]
        await send(message)

    return send_readable


def _is_allowed(headers: Mapping[str, str], allowed: frozenset[str]) -> bool:
    return "origin" in headers and ("*" in allowed or headers["origin"] in allowed)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
