"""Text as its readers count it: UTF-16 code units, what JavaScript's `length` counts, never half a surrogate pair."""

from unicodedata import category

NUL = "\0"


def units(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text) + sum(1 for character in text if character > "\uffff")


def cut(text: str, limit_units: int) -> str:
    """The longest beginning of at most `limit_units` that splits no surrogate pair."""
    if len(text) * 2 <= limit_units or units(text) <= limit_units:
        return text
    raw = text.encode("utf-16-le", "surrogatepass")[: 2 * limit_units]
    return raw.decode("utf-16-le", "ignore")


def excerpt(text: str, limit_units: int) -> str:
    """The beginning on one line."""
    return cut(" ".join(text[: 4 * limit_units].split()), limit_units)


def is_blank(text: str) -> bool:
    """Nothing in it can be seen: white space, controls and format characters only."""
    # Not what is merely unassigned (Cn: an emoji newer than our Unicode tables) or private (Co: icons of a font).
    return all(category(character) in {"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"} for character in text)


def storable(text: str) -> bool:
    """No column takes NUL or half of a surrogate pair."""
    return NUL not in text and not has_lone_surrogate(text)


def has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
