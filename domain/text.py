"""Text as its readers count it: UTF-16 code units, what JavaScript's `length` counts, never half a surrogate pair."""

from unicodedata import category

NUL = "\0"

# Not what is merely unassigned (Cn: an emoji newer than our Unicode tables) or private (Co: icons of a font).
_UNSEEN_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"})
# Letters and symbols by their category, of which nothing is drawn: Hangul fillers, the Braille pattern without dots.
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0")


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
    return cut(" ".join(text.lstrip()[: 4 * limit_units].split()), limit_units)


def is_blank(text: str) -> bool:
    """Nothing in it can be seen: white space, controls, format characters and fillers only."""
    return all(character in _UNSEEN or category(character) in _UNSEEN_CATEGORIES for character in text)


def storable(text: str) -> bool:
    """No column takes NUL or half of a surrogate pair."""
    return NUL not in text and not has_lone_surrogate(text)


def has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
