"""What admins see and change."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import strawberry

from domain.catalogue import Upserted
from domain.model import Model, ModelCapability, ModelKey
from domain.page import Page, page_args
from domain.user import Role, User, Viewer
from domain.world import PlanKey
from resolvers import node
from resolvers.context import Info
from resolvers.paging import After, First


@dataclass(frozen=True, slots=True)
class Admin:
    viewer: Viewer


@dataclass(frozen=True, slots=True)
class RoleSet:
    user: User


@dataclass(frozen=True, slots=True)
class PlanSet:
    user: User


@strawberry.input(
    description="A model as it is to be. No address and no secret: an admin's token must not make the server call anywhere."
)
class UpsertModelInput:
    key: str = strawberry.field(description="Its name for ever: 1 to 100 letters, digits and ._:/-")
    provider: str = strawberry.field(description="A configured model server, by its name.")
    name_at_provider: str = strawberry.field(description="What that server calls it.")
    display_name: str = strawberry.field(description="For people.")
    context_window: int = strawberry.field(description="Tokens that prompt and answer share, 256 to 100,000,000.")
    capabilities: list[ModelCapability] = strawberry.field(description="What it can do.")
    input_price_per_million: Decimal = strawberry.field(description="USD for a million prompt tokens, 0 to 10,000.")
    output_price_per_million: Decimal = strawberry.field(description="USD for a million tokens of answer, likewise.")
    max_output_tokens: int | None = strawberry.field(default=None, description="Null: only the window limits it.")
    fallbacks: list[str] | None = strawberry.field(default=None, description="Keys of at most 5 other models.")
    max_concurrency: int | None = strawberry.field(
        default=None, description="How many answers its server gives at once; null: as many as are asked for."
    )
    retired: bool = strawberry.field(default=False, description="Takes no sends any more.")


def admin(info: Info) -> Admin | None:
    viewer = info.context.viewer
    return Admin(viewer) if viewer.is_admin else None


async def users(
    root: strawberry.Parent[Admin],
    info: Info,
    query: Annotated[
        str | None, strawberry.argument(description="A user's id, or a part of the name in any case. Null: everybody.")
    ] = None,
    first: First = None,
    after: After = None,
) -> Page[User]:
    named = node.user_id(query)
    return await info.context.services.accounts.listed(
        root.viewer, str(named) if named else query, page_args(first, after)
    )


async def set_user_role(
    info: Info,
    user: Annotated[strawberry.ID, strawberry.argument(description="Whose it is.")],
    role: Annotated[Role, strawberry.argument(description="What the user may do from now on.")],
) -> RoleSet:
    return RoleSet(await info.context.services.accounts.set_role(info.context.viewer, node.user_id(user), role))


async def set_user_plan(
    info: Info,
    user: Annotated[strawberry.ID, strawberry.argument(description="Whose it is.")],
    plan: Annotated[str, strawberry.argument(description="A `Plan.key`.")],
) -> PlanSet:
    found = node.user_id(user)
    return PlanSet(await info.context.services.accounts.set_plan(info.context.viewer, found, PlanKey(plan)))


async def upsert_model(info: Info, input: UpsertModelInput) -> Upserted:
    model = Model(
        key=ModelKey(input.key),
        provider=input.provider,
        name_at_provider=input.name_at_provider,
        display_name=input.display_name,
        context_window=input.context_window,
        max_output_tokens=input.max_output_tokens,
        capabilities=frozenset(input.capabilities),
        input_price_per_million=input.input_price_per_million,
        output_price_per_million=input.output_price_per_million,
        retired=input.retired,
        fallbacks=tuple(map(ModelKey, input.fallbacks or ())),
        max_concurrency=input.max_concurrency,
    )
    return await info.context.services.catalogue.upsert(info.context.viewer, model)


def user_of_change(root: strawberry.Parent[RoleSet | PlanSet]) -> User:
    return root.user


def upserted(root: strawberry.Parent[Upserted]) -> Model:
    return root.model
