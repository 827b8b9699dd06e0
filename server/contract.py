"""`/schema.graphql`: the contract, for the compilers of front ends."""

from hashlib import sha256

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

import schema

# A browser shows it, and codegen goes by the name.
CONTENT_TYPE = "text/plain; charset=utf-8"


def contract_handlers() -> list[HTTPRouteHandler]:
    text = schema.printed().encode()
    headers = {
        "ETag": f'"{sha256(text).hexdigest()[:32]}"',
        "Cache-Control": "no-cache",
        "Access-Control-Allow-Origin": "*",
    }

    @get("/schema.graphql", include_in_schema=False, sync_to_thread=False)
    def contract(request: Request[object, object, State]) -> Response[bytes]:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(b"", status_code=304, headers=headers)
        return Response(text, media_type=CONTENT_TYPE, headers=headers)

    return [contract]
