"""What administrators have said about models, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.model import NANO_USD, Model, ModelCapability, ModelKey
from domain.world import UserId
from repositories.database import Database

_COLUMNS = (
    "key, provider, name_at_provider, display_name, context_window, max_output_tokens, capabilities, input_price_nano, "
    "output_price_nano, fallbacks, max_concurrency, retired"
)

_READ = f"SELECT {_COLUMNS} FROM models ORDER BY key"

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('models', 0))"

_COUNT_OTHERS = "SELECT count(*) FROM models WHERE key <> ALL($1)"

_SAY = f"""
INSERT INTO models ({_COLUMNS}, updated_at, updated_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (key) DO UPDATE SET
  ({_COLUMNS}, updated_at, updated_by) = ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
RETURNING xmax = 0 AS is_new
"""


class SqlModels:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def said(self) -> list[Model]:
        return [_to_model(row) for row in await self._database.fetch(_READ)]

    async def say(
        self, model: Model, by: UserId, at: datetime, *, configured: Sequence[ModelKey], most: int
    ) -> bool | None:
        async with self._database.transaction() as session:
            await session.fetch(_ONE_AT_A_TIME)
            [others] = await session.fetch(_COUNT_OTHERS, [*configured, model.key])
            if model.key not in configured and others["count"] >= most:
                return None
            [said] = await session.fetch(_SAY, *_values(model), at, by)
        is_new: bool = said["is_new"]
        return is_new


def _values(model: Model) -> tuple[object, ...]:
    return (
        model.key,
        model.provider,
        model.name_at_provider,
        model.display_name,
        model.context_window,
        model.max_output_tokens,
        sorted(capability.value for capability in model.capabilities),
        int(model.input_price_per_million * NANO_USD),
        int(model.output_price_per_million * NANO_USD),
        list(model.fallbacks),
        model.max_concurrency,
        model.retired,
    )


def _to_model(row: Mapping[str, Any]) -> Model:
    return Model(
        key=ModelKey(row["key"]),
        provider=row["provider"],
        name_at_provider=row["name_at_provider"],
        display_name=row["display_name"],
        context_window=row["context_window"],
        max_output_tokens=row["max_output_tokens"],
        capabilities=frozenset(map(ModelCapability, row["capabilities"])),
        input_price_per_million=Decimal(row["input_price_nano"]) / NANO_USD,
        output_price_per_million=Decimal(row["output_price_nano"]) / NANO_USD,
        retired=row["retired"],
        fallbacks=tuple(map(ModelKey, row["fallbacks"])),
        max_concurrency=row["max_concurrency"],
    )
