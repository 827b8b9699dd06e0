"""How many tokens a text will be as prompted: by features of the text, and by what a model's server has told."""

import string
from dataclasses import dataclass
from math import ceil

from domain.message import MessageRole

# What the estimate takes where nothing is known. Templates bring a system message of their own, mostly of some 25 tokens.
AROUND_PROMPT = 40
AROUND_TURN = 6
# Of what is uncommon in a tokenizer's training, English prose weighs the least.
UNKNOWN_RATIO = 1.35
TOKENS_OF_A_JOIN = 2

# Tokenizers know English by whole words, other languages in Latin letters by pieces of two or three letters.
_PER_LETTER, _LESS_IN_ENGLISH = 0.52, 0.22
_PER_BYTE = (
    (string.ascii_uppercase.encode(), 0.55),
    (string.digits.encode(), 1.0),
    (b" ", 0.02),
    (b"\n\r\t", 0.5),
    # What begins a character of a script that most tokenizers spell byte by byte: Ethiopic, Cherokee, Hangul and such.
    (b"\xe1\xea\xeb\xec\xed\xee\xef\xf0", 1.5),
    (bytes(range(0x80, 0x100)), 0.62),
)
_PER_OTHER_BYTE = 0.7
_ENGLISH = (
    *(b" the ", b" of ", b" and ", b" to ", b" that ", b" for ", b" you "),
    *(b" are ", b" with ", b" it ", b" not ", b" this ", b" what "),
)
# Of the words of a text that is wholly English so many are among those at least.
_SHARE_IN_ENGLISH = 0.12


def weight(text: str) -> int:
    """About the tokens of a byte-pair tokenizer of 50,000 words: between 0.65 and 1.1 of it in truth, by language."""
    rest = text.encode("utf-8", "replace")
    total, rest = _of_letters(rest)
    for kind, each in _PER_BYTE:
        before = len(rest)
        rest = rest.translate(None, kind)
        total += (before - len(rest)) * each
    return ceil(total + len(rest) * _PER_OTHER_BYTE)


def _of_letters(text: bytes) -> tuple[float, bytes]:
    """And the rest of the text. Words are counted by the spaces around them, which is quick."""
    rest, lower = text.translate(None, string.ascii_lowercase.encode()), text.lower()
    common = sum(map(lower.count, _ENGLISH))
    english = min(1.0, common / max(text.count(b" "), 1) / _SHARE_IN_ENGLISH)
    return (len(text) - len(rest)) * (_PER_LETTER - _LESS_IN_ENGLISH * english), rest


@dataclass(frozen=True, slots=True)
class Scale:
    """How a model's prompts are counted. `around`: what a template puts around one user's message, system message and all.

    `user`, `assistant`: what a further turn of theirs adds to its text. `ratio`: tokens to a unit of weight.
    `measured`: `around` and the turns are the server's own counts.
    """

    around: int = AROUND_PROMPT
    user: int = AROUND_TURN
    assistant: int = AROUND_TURN
    ratio: float = UNKNOWN_RATIO
    measured: bool = False

    def tokens(self, text: str, counted: int | None = None) -> int:
        return ceil(weight(text) * self.ratio) if counted is None else counted

    def turn(self, role: MessageRole, text: str, counted: int | None = None) -> int:
        """A turn of the past. One without a text takes no place."""
        if not text:
            return 0
        template = self.assistant if role is MessageRole.ASSISTANT else self.user
        return self.tokens(text, counted) + template + TOKENS_OF_A_JOIN * (not self.measured)
