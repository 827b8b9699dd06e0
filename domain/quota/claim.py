"""What a run may take at most, and what tokens cost it: fixed when it is accepted, whatever changes later."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from domain.model import Model, ModelKey, Models, Usage, UsageSource


@dataclass(frozen=True, slots=True)
class Price:
    """A model's, in USD for a million tokens."""

    model_key: ModelKey
    input_per_million: Decimal
    output_per_million: Decimal


@dataclass(frozen=True, slots=True)
class Claim:
    """`cost`: the dearest that it can be, whichever of `prices` will apply. `messages` 0: nobody has asked for the run."""

    tokens: int
    cost: Decimal
    prices: tuple[Price, ...]
    messages: int = 1


def claim_of(models: Sequence[Model], input_tokens: int, output_tokens: int, *, messages: int = 1) -> Claim:
    """Of a run that the first of `models` answers, or else one of the others."""
    most = Usage(input_tokens, output_tokens, UsageSource.ESTIMATED)
    prices = tuple(Price(model.key, model.input_price_per_million, model.output_price_per_million) for model in models)
    return Claim(input_tokens + output_tokens, max(model.cost(most) for model in models), prices, messages)


def candidates(model: Model, models: Models) -> list[Model]:
    """Who may answer for it: itself first."""
    fallbacks = [models.find(key) for key in model.fallbacks]
    return [model, *(found for found in fallbacks if found is not None and not found.retired)]
