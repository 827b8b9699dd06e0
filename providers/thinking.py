"""`<think>` blocks: what a model thinks aloud before its answer, where its server leaves that in the text."""

from collections.abc import Callable
from typing import NamedTuple

OPENING, CLOSING = "<think>", "</think>"


class Split(NamedTuple):
    thought: str = ""
    said: str = ""


class Thinking:
    """Only a block that begins the answer counts; it may be cut into deltas anywhere.

    It is looked for in every model's answers. A model that nobody has declared to reason would else show its thoughts as
    text, and the answer of another that begins with this very tag is as good as never meant for a reader.
    An answer whose opening tag stands in the prompt, by the model's template, begins as text: its server has to part it.
    """

    def __init__(self, *, begins: bool = True) -> None:
        """`begins`: this is the beginning of an answer, and not the rest of one."""
        self._held = ""
        self._take: Callable[[str], Split] = self._before if begins else self._text

    def split(self, delta: str) -> Split:
        return self._take(self._held + delta)

    def rest(self) -> Split:
        """What was held back: the beginning of what might have become a tag."""
        held, self._held = self._held, ""
        return Split(thought=held) if self._take == self._inside else Split(said=held)

    def _before(self, text: str) -> Split:
        begun = text.lstrip()
        if begun.startswith(OPENING):
            return self._turn(self._opened, begun.removeprefix(OPENING))
        if OPENING.startswith(begun):
            self._held = text
            return Split()
        return self._turn(self._text, text)

    def _opened(self, text: str) -> Split:
        """The white space around the thought is layout, and a thought of nothing else is none."""
        begun = text.lstrip()
        return self._turn(self._inside, begun) if begun else Split()

    def _inside(self, text: str) -> Split:
        thought, closing, rest = text.partition(CLOSING)
        if closing:
            return Split(thought, self._turn(self._closed, rest).said)
        kept = _begun(text)
        self._held = text[len(text) - kept :]
        return Split(thought=text[: len(text) - kept])

    def _closed(self, text: str) -> Split:
        begun = text.lstrip()
        return self._turn(self._text, begun) if begun else Split()

    def _text(self, text: str) -> Split:
        return Split(said=text)

    def _turn(self, take: Callable[[str], Split], text: str) -> Split:
        self._held, self._take = "", take
        return take(text)


def _begun(text: str) -> int:
    """How many characters at its end may be the beginning of the closing tag."""
    lengths = range(min(len(CLOSING) - 1, len(text)), 0, -1)
    return next((length for length in lengths if CLOSING.startswith(text[-length:])), 0)
