"""What the model has said in one run, and what that took: over both its tries where the first did not have its form."""

from domain.model import AnswerEnd, ReasoningPiece, ReportedUsage, TextPiece, Usage, UsageSource


class Said:
    """`delivered`: something was shown. `refused`: its text stands there until the next try says something in its place.

    `estimate`: the tokens of the prompt. `end`: of the try that goes on, or went on last.
    """

    def __init__(self, kept: str, estimated_input_tokens: int) -> None:
        self._kept, self.estimate = kept, estimated_input_tokens
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._text_tokens = self._reasoning_tokens = 0
        self._before: list[Usage] = []
        self.end: AnswerEnd | None = None
        self.delivered = self.refused = False

    @property
    def text(self) -> str:
        """The reply's, with what was kept of it."""
        return self._kept + "".join(self._text)

    @property
    def reasoning(self) -> str | None:
        return "".join(self._reasoning) or None

    @property
    def tokens(self) -> int:
        """Of the answer, as far as this try has come."""
        return self._text_tokens + self._reasoning_tokens

    def say(self, piece: TextPiece) -> str:
        """What of it is new."""
        text = piece.text
        if not self._text and self._kept != self._kept.rstrip():
            # The kept text ends in white space, which the model was not shown and may say again.
            text = text.lstrip()
        if text:
            self._text.append(text)
            self._text_tokens += piece.tokens
            self.delivered = True
        return text

    def think(self, piece: ReasoningPiece) -> None:
        self._reasoning.append(piece.text)
        self._reasoning_tokens += piece.tokens
        self.delivered = True

    def refuse(self) -> None:
        """The answer does not have its form: from here on it is another try."""
        self._before.append(self._of_this_try())
        self._text_tokens = self._reasoning_tokens = 0
        self.end, self.refused = None, True

    def withdraw(self) -> None:
        """The text that was refused."""
        self._text, self.refused = [], False

    def usage(self, *, asked: bool) -> Usage | None:
        """Of all tries. `asked`: one that has said nothing yet counts too. None: there is none that counts."""
        began = self.end is not None or self._text_tokens + self._reasoning_tokens > 0
        tries = [*self._before, *([self._of_this_try()] if began or asked else [])]
        return sum(tries[1:], tries[0]) if tries else None

    def _of_this_try(self) -> Usage:
        if self.end is not None and self.end.usage is not None:
            return reported_usage(self.end.usage)
        # Servers stream one token to a delta.
        produced = self._text_tokens + self._reasoning_tokens
        source = UsageSource.ESTIMATED if self.end is not None else UsageSource.PARTIAL
        return Usage(self.estimate, produced, source, reasoning_tokens=self._reasoning_tokens)


def reported_usage(usage: ReportedUsage) -> Usage:
    return Usage(
        usage.input_tokens, usage.output_tokens, UsageSource.PROVIDER, usage.cached_input_tokens, usage.reasoning_tokens
    )
