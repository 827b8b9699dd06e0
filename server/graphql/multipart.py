"""Apollo's subscriptions over multipart HTTP: `multipart/mixed;subscriptionSpec=1.0`.

https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
"""

from collections.abc import Sequence

import msgspec

from server.graphql.errors import ErrorPayload

DELIMITER = b"\r\n--graphql"
PART = b"\r\ncontent-type: application/json\r\n\r\n"


class MultipartParts:
    """Each part is sent with the delimiter that ends it: clients take a part for complete when they see that."""

    content_type = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"
    opening = DELIMITER
    heartbeat = PART + b"{}" + DELIMITER
    complete = b"--\r\n"

    def result(self, payload: bytes) -> bytes:
        return PART + b'{"payload":' + payload + b"}" + DELIMITER

    def failure(self, errors: Sequence[ErrorPayload]) -> bytes:
        return PART + msgspec.json.encode({"payload": None, "errors": errors}) + DELIMITER
