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

_PER_BYTE = (
    (string.ascii_lowercase.encode(), 0.30),
    (string.ascii_uppercase.encode(), 0.55),
    (string.digits.encode(), 1.0),
    (b" ", 0.02),
    (b"\n\r\t", 0.5),
    (bytes(range(0x80, 0x100)), 0.62),
)
_PER_OTHER_BYTE = 0.7


def weight(text: str) -> int:
    """About the tokens of a byte-pair tokenizer of 50,000 words: between 0.7 and 1.6 of it in truth, by language."""
    rest = text.encode("utf-8", "replace")
    total = 0.0
    for kind, each in _PER_BYTE:
        before = len(rest)
        rest = rest.translate(None, kind)
        total += (before - len(rest)) * each
    return ceil(total + len(rest) * _PER_OTHER_BYTE)


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
