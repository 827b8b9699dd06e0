"""Text that every later reader can store and send: no NUL, no lone surrogate."""

import re

REPLACEMENT = "\ufffd"

_UNFIT = re.compile("[\0\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def fit(text: str) -> str:
    if not _UNFIT.search(text):
        return text
    joined = _PAIR.sub(_as_one_character, text.replace("\0", ""))
    return _SURROGATE.sub(REPLACEMENT, joined)


def _as_one_character(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


class Deltas:
    """Text that comes in parts: half of a surrogate pair waits for the part with the other half."""

    def __init__(self) -> None:
        self._half = ""

    def fit(self, delta: str) -> str:
        if not self._half and not _UNFIT.search(delta):
            return delta
        text = self._half + delta.replace("\0", "")
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return fit(text.removesuffix(self._half) if self._half else text)

    def rest(self) -> str:
        half, self._half = self._half, ""
        return fit(half)
