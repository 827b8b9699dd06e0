"""graphql-sse, distinct connections mode: `next` events and a `complete`."""

from collections.abc import Sequence

import msgspec

from server.graphql.errors import ErrorPayload


class ServerSentEvents:
    content_type = "text/event-stream; charset=utf-8"
    # LF only: there are clients that split at LF LF.
    opening = b""
    heartbeat = b":\n\n"
    complete = b"event: complete\ndata:\n\n"

    def result(self, payload: bytes) -> bytes:
        # The encoder escapes line breaks: one `data:` line is enough.
        return b"event: next\ndata: " + payload + b"\n\n"

    def failure(self, errors: Sequence[ErrorPayload]) -> bytes:
        return self.result(msgspec.json.encode({"errors": errors}))
