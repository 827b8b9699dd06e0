"""What a single value must look like."""

import re
from ipaddress import ip_network
from urllib.parse import urlsplit

SHORTEST_SECRET = 32
HOST_NAME = re.compile(r"(\*\.)?(?!-)[\w-]{1,63}(\.[\w-]{1,63})*", re.ASCII)
DATABASE_SCHEMES = ("postgresql", "postgres")


def names_a_database(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in DATABASE_SCHEMES and len(parts.path) > 1 and (parts.port or 1) > 0
    except ValueError:
        return False


def is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))
    except ValueError:
        return False


def is_an_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return (
            bool(parts.scheme and parts.hostname)
            and origin == f"{parts.scheme}://{parts.netloc}"
            and "@" not in parts.netloc
        )
    except ValueError:
        return False


def is_a_host(text: str) -> bool:
    """A name, `*.` and a name, an address, a network, or `*`; without a port."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return text == "*" or HOST_NAME.fullmatch(text) is not None
    return True


def is_one_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def weakness_of(secret: str) -> str | None:
    if not secret:
        return "is not set"
    if len(secret) < SHORTEST_SECRET:
        return f"has only {len(secret)} characters"
    if len(set(secret)) < 10 or any(word in secret.lower() for word in ("change", "secret", "example", "default")):
        return "is a placeholder and not random"
    return None
