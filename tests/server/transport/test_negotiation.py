"""What an Accept header means."""

import pytest

from server.graphql.http import ANSWERS
from server.graphql.negotiation import Media, choose, is_json_body


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, Media.JSON),
        ("", Media.JSON),
        ("*/*", Media.JSON),
        ("application/*", Media.JSON),
        ("application/graphql-response+json, application/json;q=0.9", Media.RESPONSE_JSON),
        ("application/json, application/graphql-response+json", Media.JSON),
        ("application/json;q=0.5, application/graphql-response+json;q=0.7", Media.RESPONSE_JSON),
        ("*/*, application/json;q=0", Media.RESPONSE_JSON),
        ("text/event-stream", Media.EVENTS),
        # urql sends this for queries as well: it lists the stream, and prefers the rest.
        (
            "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, "
            "multipart/mixed",
            Media.RESPONSE_JSON,
        ),
        ("text/event-stream, application/json", Media.EVENTS),
        ("text/event-stream;q=0.4, application/json;q=0.8", Media.JSON),
        (
            "multipart/mixed;boundary=graphql;subscriptionSpec=1.0, application/graphql-response+json",
            Media.MULTIPART,
        ),
        ("multipart/mixed; boundary=-; deferSpec=20220824, application/json;q=0.9", Media.JSON),
        ("multipart/mixed", None),
        ("multipart/*", None),
        ("text/*", None),
        ("image/png", None),
        ("application/json;q=0", None),
        ("application/json;q=oops", None),
        ("TEXT/Event-Stream ; Q=1.0", Media.EVENTS),
    ],
)
def test_the_clients_favourite_is_chosen(accept: str | None, media: Media | None) -> None:
    assert choose(accept, ANSWERS) is media


@pytest.mark.parametrize(
    ("content_type", "read"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json;charset="utf-8"', True),
        ("application/json; charset=utf-16", False),
        ("application/json-evil", False),
        ("application/x-www-form-urlencoded", False),
        (None, False),
    ],
)
def test_only_json_in_utf8_is_read(content_type: str | None, read: bool) -> None:
    assert is_json_body(content_type) is read
