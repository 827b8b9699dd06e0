"""The models on offer, and one that was retired."""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal

from domain.model import Model, ModelCapability, ModelKey

BOTH = (ModelCapability.STREAMING, ModelCapability.CONTINUE)


def model(
    key: str,
    *,
    provider: str = "here",
    context_window: int = 65_536,
    max_output_tokens: int | None = None,
    capabilities: tuple[ModelCapability, ...] = BOTH,
    output_price_per_million: Decimal = Decimal("1.5"),
    retired: bool = False,
    fallbacks: tuple[str, ...] = (),
    max_concurrency: int | None = None,
) -> Model:
    return Model(
        key=ModelKey(key),
        provider=provider,
        name_at_provider="scripted",
        display_name=key.title(),
        context_window=context_window,
        max_output_tokens=max_output_tokens,
        capabilities=frozenset(capabilities),
        input_price_per_million=Decimal("0.25"),
        output_price_per_million=output_price_per_million,
        retired=retired,
        fallbacks=tuple(map(ModelKey, fallbacks)),
        max_concurrency=max_concurrency,
    )


MODELS = (
    model("scripted"),
    model("small", context_window=128, max_output_tokens=16),
    model("other"),
    model("brisk", provider="brisk"),
    model("retired", retired=True),
    model("whole", capabilities=(ModelCapability.STREAMING,)),
    model("scarce", provider="narrow", max_concurrency=1),
    model("backed", provider="shaky", fallbacks=("spare", "other")),
    model("frail", provider="shaky", fallbacks=("whole",)),
    model("tight", context_window=400, max_output_tokens=100),
    model("counted", provider="counting", context_window=400, max_output_tokens=100),
    model("formal", capabilities=(*BOTH, ModelCapability.JSON_SCHEMA)),
    model("spare", provider="steady", max_output_tokens=2048, output_price_per_million=Decimal(30)),
)
PROVIDERS = sorted({model.provider for model in MODELS})
ON_OFFER = [model.key for model in MODELS if not model.retired]


def tables(models: Iterable[Model], base_url: str) -> Iterator[str]:
    """The lines of a file for GUS_MODELS: all of their servers are the one at that address."""
    for server in sorted({model.provider for model in models}):
        yield f"[[servers]]\nname = {json.dumps(server)}\nbase_url = {json.dumps(base_url)}"
    for model in models:
        table = {
            "key": model.key,
            "server": model.provider,
            "name": model.name_at_provider,
            "context_window": model.context_window,
            "capabilities": [each.value for each in model.capabilities],
            "input_price_per_million": float(model.input_price_per_million),
            "output_price_per_million": float(model.output_price_per_million),
            **({} if model.max_concurrency is None else {"max_concurrency": model.max_concurrency}),
        }
        # A value in JSON is one in TOML as well.
        yield "\n".join(["[[models]]", *(f"{name} = {json.dumps(value)}" for name, value in table.items())])
