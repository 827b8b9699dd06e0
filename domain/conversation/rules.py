"""What may be said: the limits of every input."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.conversation.commands import PolicyChange
from domain.errors import InputRule
from domain.generation.entity import GenerationSettings
from domain.instruction import INSTRUCTION_LENGTH
from domain.model import Model, Models
from domain.problems import IDEMPOTENCY_KEY_LENGTH, Problems
from domain.response_format import SCHEMA_LENGTH, JsonChecker, ResponseFormat, ResponseFormatType
from domain.text import storable, units


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
    idempotency_key_length: int = IDEMPOTENCY_KEY_LENGTH
    comment_length: int = 2_000
    instruction_length: int = INSTRUCTION_LENGTH
    schema_length: int = SCHEMA_LENGTH


LIMITS = InputLimits()
MOST_OUTPUT_TOKENS = 1_000_000
MOST_INPUT_TOKENS = 10_000_000


async def check_settings(
    problems: Problems, settings: GenerationSettings, models: Models, checker: JsonChecker, path: Sequence[str]
) -> None:
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
    if settings.response_format is not None:
        await _check_format(problems, settings.response_format, checker, (*path, "responseFormat", "schema"))


def check_output(problems: Problems, settings: GenerationSettings, model: Model, path: Sequence[str]) -> None:
    """Against the model that will answer, whoever named it."""
    problems.within(settings.max_output_tokens, (*path, "maxOutputTokens"), 1, _most_output(model))


def check_policy(problems: Problems, policy: PolicyChange, path: Sequence[str]) -> None:
    problems.within(policy.max_input_tokens, (*path, "maxInputTokens"), 1, MOST_INPUT_TOKENS)
    problems.within(policy.reserve_output_tokens, (*path, "reserveOutputTokens"), 1, MOST_OUTPUT_TOKENS)


def check_title(problems: Problems, title: str | None, path: Sequence[str]) -> None:
    if title is not None:
        problems.text(title, path, LIMITS.title_length)


def check_instruction(problems: Problems, text: str | None, path: Sequence[str]) -> None:
    if text is not None:
        problems.text(text, path, LIMITS.instruction_length)


def check_tags(problems: Problems, tags: Iterable[str], path: Sequence[str]) -> None:
    tags = list(tags)
    if len(tags) > LIMITS.tags:
        problems.add(InputRule.TOO_MANY, path, f"At most {LIMITS.tags} tags.", LIMITS.tags)
    for index, tag in enumerate(tags[: LIMITS.tags]):
        problems.text(tag, (*path, str(index)), LIMITS.tag_length)


async def _check_format(problems: Problems, form: ResponseFormat, checker: JsonChecker, path: Sequence[str]) -> None:
    """`path` leads to the schema."""
    if form.schema is None:
        if form.type is ResponseFormatType.JSON_SCHEMA:
            problems.add(InputRule.REQUIRED, path, "JSON_SCHEMA needs the schema.")
    elif form.type is not ResponseFormatType.JSON_SCHEMA:
        problems.add(InputRule.CONFLICTING_FIELDS, path, f"{form.type.value} takes no schema: say JSON_SCHEMA.")
    elif units(form.schema) > LIMITS.schema_length:
        problems.length(form.schema, path, LIMITS.schema_length)
    elif not storable(form.schema):
        problems.storable(form.schema, path)
    elif problem := await checker.schema_problem(form.schema):
        problems.add(InputRule.INVALID_JSON_SCHEMA, (*path, *problem.path), problem.message)


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
