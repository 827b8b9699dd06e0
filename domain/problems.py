"""All that is wrong with one input, at once."""

from collections.abc import Sequence

from domain.errors import InputProblem, InputRule, InvalidInput
from domain.text import is_blank, storable, units

IDEMPOTENCY_KEY_LENGTH = 128


class Problems:
    """Collects; `refuse` raises them all together. `root`: the argument that paths lead down from."""

    def __init__(self, root: Sequence[str] = ("input",)) -> None:
        self._root = root
        self._found: list[InputProblem] = []

    def add(self, rule: InputRule, path: Sequence[str], message: str, limit: int | None = None) -> None:
        self._found.append(InputProblem(rule, (*self._root, *path), message, limit))

    def text(self, text: str, path: Sequence[str], limit: int) -> None:
        if is_blank(text):
            self.add(InputRule.EMPTY, path, "Say something that can be seen.")
        self.length(text, path, limit)
        self.storable(text, path)

    def storable(self, text: str, path: Sequence[str]) -> None:
        if not storable(text):
            self.add(
                InputRule.FORBIDDEN_CHARACTER, path, "NUL and halves of surrogate pairs cannot be stored: remove them."
            )

    def length(self, text: str, path: Sequence[str], limit: int) -> None:
        if units(text) > limit:
            self.add(InputRule.TOO_LONG, path, f"At most {limit} UTF-16 code units.", limit)

    def key(self, key: str) -> None:
        self.text(key, ("idempotencyKey",), IDEMPOTENCY_KEY_LENGTH)

    def within(self, value: float | None, path: Sequence[str], lowest: float, highest: float) -> None:
        # Written so that NaN, which compares with nothing, is refused.
        if value is not None and not lowest <= value <= highest:
            passed = lowest if value < lowest else highest
            self.add(InputRule.OUT_OF_RANGE, path, f"From {lowest:g} to {highest:g}.", int(passed))

    def refuse(self) -> None:
        """Raises InvalidInput if anything was found."""
        if self._found:
            raise self.refusal()

    def refusal(self) -> InvalidInput:
        return InvalidInput(self._found)
