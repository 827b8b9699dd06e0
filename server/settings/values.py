"""What a single value must look like."""

from urllib.parse import urlsplit

SHORTEST_SECRET = 32
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
