"""Fields of models."""

import strawberry

from domain.model import Model, ModelCapability, ModelHealth
from resolvers.context import Info


def models(info: Info) -> list[Model]:
    return info.context.services.models.on_offer()


def capabilities(root: strawberry.Parent[Model]) -> list[ModelCapability]:
    return sorted(root.capabilities, key=lambda capability: capability.name)


def fallbacks(root: strawberry.Parent[Model], info: Info) -> list[Model]:
    return [info.context.services.models.recorded(key) for key in root.fallbacks]


async def health(root: strawberry.Parent[Model], info: Info) -> ModelHealth:
    return await info.context.services.models.health(root)
