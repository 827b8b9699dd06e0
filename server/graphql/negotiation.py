"""Which media type a response has, and whether a request body has the one that is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Media(Enum):
    JSON = "application/json"
    RESPONSE_JSON = "application/graphql-response+json"
    EVENTS = "text/event-stream"
    MULTIPART = "multipart/mixed"
    HTML = "text/html"


# `*/*` is what curl and many libraries send without meaning it: they get a plain answer, never a stream or a page.
ONLY_BY_NAME = frozenset({Media.EVENTS, Media.MULTIPART, Media.HTML})


@dataclass(frozen=True, slots=True)
class MediaRange:
    name: str
    quality: float
    subscription_spec: str | None = None

    def matches(self, media: Media) -> bool:
        if self.name == media.value:
            # Without it, it is `@defer` that is meant, or an upload.
            return media is not Media.MULTIPART or self.subscription_spec == "1.0"
        if media in ONLY_BY_NAME:
            return False
        return self.name == "*/*" or self.name == media.value.split("/")[0] + "/*"


def choose(accept: str | None, offered: Sequence[Media]) -> Media | None:
    """The client's favourite: higher q first, then what it lists first. None: nothing that it takes is offered.

    `offered` is in our order, which decides what a wildcard means.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = _ranges(accept)
    refused = {range_.name for range_ in ranges if range_.quality <= 0}
    wanted = [range_ for range_ in ranges if range_.quality > 0]
    for range_ in sorted(wanted, key=lambda range_: -range_.quality):
        for media in offered:
            if range_.matches(media) and media.value not in refused:
                return media
    return None


def is_json_body(content_type: str | None) -> bool:
    """application/json, in UTF-8 or unsaid."""
    name, parameters = _split(content_type or "")
    return name == Media.JSON.value and parameters.get("charset", "utf-8").lower() in {"utf-8", "utf8"}


def _ranges(accept: str) -> list[MediaRange]:
    split = (_split(part) for part in accept.split(","))
    return [
        MediaRange(name, _quality(parameters.get("q")), parameters.get("subscriptionspec"))
        for name, parameters in split
        if name
    ]


def _split(value: str) -> tuple[str, dict[str, str]]:
    name, *parameters = value.split(";")
    pairs = (parameter.partition("=") for parameter in parameters)
    return name.strip().lower(), {key.strip().lower(): text.strip().strip('"') for key, _, text in pairs}


def _quality(text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
