"""How a model is asked: the input that conversations and sends share."""

import strawberry

from domain.generation.entity import GenerationSettings
from domain.model import ModelKey

ONCE_KEY = (
    "Made once per user gesture (a UUID), stored with the draft before the first try. "
    "Same key and same input: the first result again, `replayed: true`."
)


@strawberry.input(
    description="How the model is asked. Null or absent: the conversation's value, then the model's or the server's default."
)
class GenerationSettingsInput:
    model: str | None = strawberry.field(default=None, description="A `Model.key`, not an id.")
    temperature: float | None = strawberry.field(default=None, description="0 to 2.")
    top_p: float | None = strawberry.field(default=None, description="0 to 1.")
    max_output_tokens: int | None = strawberry.field(default=None, description="1 to what the model allows.")
    seed: int | None = strawberry.field(default=None, description="The same seed makes the same answer likelier.")
    stop: list[str] | None = strawberry.field(default=None, description="At most 4 texts at which the answer ends.")


def settings_of(given: GenerationSettingsInput | None) -> GenerationSettings:
    if given is None:
        return GenerationSettings()
    return GenerationSettings(
        model=ModelKey(given.model) if given.model is not None else None,
        temperature=given.temperature,
        top_p=given.top_p,
        max_output_tokens=given.max_output_tokens,
        seed=given.seed,
        stop=tuple(given.stop) if given.stop is not None else None,
    )
