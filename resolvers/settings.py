"""How a model is asked, and what it is given: the inputs that conversations and sends share."""

import dataclasses
import json
from typing import TypeVar

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from domain.conversation.commands import PolicyChange, SettingsChange
from domain.generation.entity import GenerationSettings
from domain.model import ModelKey
from domain.response_format import ResponseFormat, ResponseFormatType
from domain.window.policy import ContextStrategy

T = TypeVar("T")

ONCE_KEY = (
    "Made once per user gesture (a UUID), stored with the draft before the first try. "
    "Same key and same input: the first result again, `replayed: true`."
)


@strawberry.input(description="What form an answer must have.")
class ResponseFormatInput:
    type: ResponseFormatType = strawberry.field(description="JSON_SCHEMA needs the `schema`.")
    schema: JSON | None = strawberry.field(
        default=UNSET,
        description="JSON Schema 2020-12, for JSON_SCHEMA only. At most 16,384 UTF-16 code units as compact JSON, 64 deep, "
        "1,000 schemas in it. `$ref` leads into the schema itself (`#/$defs/...`); `pattern` and `patternProperties` are "
        "refused; `format` and `$schema` are not looked at.",
    )


@strawberry.input(
    description="How the model is asked. Null or absent: the conversation's value, then the model's or the server's default."
)
class GenerationSettingsInput:
    model: str | None = strawberry.field(default=UNSET, description="A `Model.key`, not an id.")
    temperature: float | None = strawberry.field(default=UNSET, description="0 to 2.")
    top_p: float | None = strawberry.field(default=UNSET, description="0 to 1.")
    max_output_tokens: int | None = strawberry.field(default=UNSET, description="1 to what the model allows.")
    seed: int | None = strawberry.field(default=UNSET, description="The same seed makes the same answer likelier.")
    stop: list[str] | None = strawberry.field(default=UNSET, description="At most 4 texts at which the answer ends.")
    response_format: ResponseFormatInput | None = strawberry.field(
        default=UNSET,
        description="Every answer is checked. One that is not valid is asked for once more (TextTruncated, then the new text; "
        "notice OUTPUT_REPAIRED); then the run FAILED with INVALID_JSON. A model without the capability JSON_SCHEMA is not told "
        "of it at first: say in the text what you want.",
    )


@strawberry.input(description="What of a conversation a model is given. Null or absent: the default.")
class ContextPolicyInput:
    strategy: ContextStrategy | None = strawberry.field(
        default=UNSET, description="What happens to what does not fit. Default SLIDING_WINDOW."
    )
    max_input_tokens: int | None = strawberry.field(
        default=UNSET, description="1 to 10,000,000; default: what the model's window holds."
    )
    reserve_output_tokens: int | None = strawberry.field(
        default=UNSET, description="Kept free for the answer, 1 to 1,000,000; default 1,024."
    )


def given(value: T | None) -> T | None:
    """Null and absent mean the same."""
    return None if value is UNSET else value


def cleared(input: ContextPolicyInput | GenerationSettingsInput) -> frozenset[str]:
    """In an update they do not: absent leaves, null clears."""
    names = (field.name for field in dataclasses.fields(input))
    return frozenset(name for name in names if getattr(input, name) is None)


def settings_of(input: GenerationSettingsInput | None) -> GenerationSettings:
    if input is None:
        return GenerationSettings()
    model, stop = given(input.model), given(input.stop)
    return GenerationSettings(
        model=ModelKey(model) if model is not None else None,
        temperature=given(input.temperature),
        top_p=given(input.top_p),
        max_output_tokens=given(input.max_output_tokens),
        seed=given(input.seed),
        stop=tuple(stop) if stop is not None else None,
        response_format=_format_of(given(input.response_format)),
    )


def _format_of(input: ResponseFormatInput | None) -> ResponseFormat | None:
    if input is None:
        return None
    schema = given(input.schema)
    text = None if schema is None else json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return ResponseFormat(input.type, text)


def settings_change(input: GenerationSettingsInput | None) -> SettingsChange:
    """Null clears all of them."""
    if input is UNSET:
        return SettingsChange()
    input = input or GenerationSettingsInput(**dict.fromkeys(GenerationSettings.__slots__))
    return SettingsChange(settings_of(input), cleared(input))


def new_policy(input: ContextPolicyInput | None) -> PolicyChange:
    return dataclasses.replace(policy_change(input), cleared=frozenset())


def policy_change(input: ContextPolicyInput | None) -> PolicyChange:
    """Null clears all of it."""
    if input is UNSET:
        return PolicyChange()
    input = input or ContextPolicyInput(strategy=None, max_input_tokens=None, reserve_output_tokens=None)
    return PolicyChange(
        strategy=given(input.strategy),
        max_input_tokens=given(input.max_input_tokens),
        reserve_output_tokens=given(input.reserve_output_tokens),
        cleared=cleared(input),
    )
