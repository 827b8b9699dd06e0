"""What may be said: the limits of every input, and all that is wrong with one at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.conversation.commands import PolicyChange
from domain.errors import InputProblem, InputRule, InvalidInput
from domain.generation.entity import GenerationSettings
from domain.model import Model, Models
from domain.text import is_blank, storable, units


@dataclass(frozen=True, slots=True)
class InputLimits:
    """Lengths are UTF-16 code units. Clients show counters by these numbers; the same ones refuse.

    The transport takes 1 MiB: texts of other scripts, or with escapes, may be too large for it before they are too long.
    """

    text_length: int = 500_000
    title_length: int = 200
    tags: int = 20
    tag_length: int = 50
    stop_sequences: int = 4
    stop_length: int = 64
    idempotency_key_length: int = 128
    comment_length: int = 2_000


LIMITS = InputLimits()
MOST_OUTPUT_TOKENS = 1_000_000
MOST_INPUT_TOKENS = 10_000_000


class Problems:
    """Collects; `refuse` raises them all together. `root`: the argument that paths lead down from."""

    def __init__(self, root: Sequence[str] = ("input",)) -> None:
        self._found: list[InputProblem] = []
        self._root = root

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
        self.text(key, ("idempotencyKey",), LIMITS.idempotency_key_length)

    def within(self, value: float | None, path: Sequence[str], lowest: float, highest: float) -> None:
        # Written so that NaN, which compares with nothing, is refused.
        if value is not None and not lowest <= value <= highest:
            passed = lowest if value < lowest else highest
            self.add(InputRule.OUT_OF_RANGE, path, f"From {lowest:g} to {highest:g}.", int(passed))

    def refuse(self) -> None:
        """Raises InvalidInput if anything was found."""
        if self._found:
            raise InvalidInput(self._found)


def check_settings(problems: Problems, settings: GenerationSettings, models: Models, path: Sequence[str]) -> None:
    model = models.find(settings.model) if settings.model is not None else None
    if settings.model is not None and model is None:
        problems.add(InputRule.UNKNOWN_VALUE, (*path, "model"), "There is no model with this key: see Query.models.")
    problems.within(settings.temperature, (*path, "temperature"), 0, 2)
    problems.within(settings.top_p, (*path, "topP"), 0, 1)
    if model is None:
        problems.within(settings.max_output_tokens, (*path, "maxOutputTokens"), 1, MOST_OUTPUT_TOKENS)
    else:
        check_output(problems, settings, model, path)
    _check_stop(problems, settings.stop or (), (*path, "stop"))


def check_output(problems: Problems, settings: GenerationSettings, model: Model, path: Sequence[str]) -> None:
    """Against the model that will answer, whoever named it."""
    problems.within(settings.max_output_tokens, (*path, "maxOutputTokens"), 1, _most_output(model))


def check_policy(problems: Problems, policy: PolicyChange, path: Sequence[str]) -> None:
    problems.within(policy.max_input_tokens, (*path, "maxInputTokens"), 1, MOST_INPUT_TOKENS)
    problems.within(policy.reserve_output_tokens, (*path, "reserveOutputTokens"), 1, MOST_OUTPUT_TOKENS)


def check_title(problems: Problems, title: str | None, path: Sequence[str]) -> None:
    if title is not None:
        problems.text(title, path, LIMITS.title_length)


def check_tags(problems: Problems, tags: Iterable[str], path: Sequence[str]) -> None:
    tags = list(tags)
    if len(tags) > LIMITS.tags:
        problems.add(InputRule.TOO_MANY, path, f"At most {LIMITS.tags} tags.", LIMITS.tags)
    for index, tag in enumerate(tags[: LIMITS.tags]):
        problems.text(tag, (*path, str(index)), LIMITS.tag_length)


def _most_output(model: Model) -> int:
    return model.max_output_tokens or model.context_window


def _check_stop(problems: Problems, stop: Sequence[str], path: Sequence[str]) -> None:
    if len(stop) > LIMITS.stop_sequences:
        problems.add(
            InputRule.TOO_MANY, path, f"At most {LIMITS.stop_sequences} stop sequences.", LIMITS.stop_sequences
        )
    for index, sequence in enumerate(stop[: LIMITS.stop_sequences]):
        if not sequence:
            problems.add(InputRule.EMPTY, (*path, str(index)), "A stop sequence has at least one character.")
        problems.length(sequence, (*path, str(index)), LIMITS.stop_length)
        problems.storable(sequence, (*path, str(index)))
