"""Instructions: the viewer's own, those that admins publish, and the versions that replies name."""

from dataclasses import dataclass
from typing import Annotated

import strawberry

from domain.conversation.entity import Conversation
from domain.instruction import PUBLISHED, Instruction, InstructionRef, InstructionScope, Publication
from domain.page import Page, page_args
from domain.user import User, Viewer
from resolvers.admin import Admin
from resolvers.context import Info
from resolvers.paging import After, First


@strawberry.input(description="The next version of what models are told.")
class PublishInstructionInput:
    scope: InstructionScope = strawberry.field(description="PLATFORM, ROLE or ENDPOINT.")
    text: str = strawberry.field(description="At most 32,000 UTF-16 code units; empty: nothing from then on.")
    expected_version: int = strawberry.field(
        description="The version that it replaces, 0 for the first; another one is InvalidInput."
    )
    key: str = strawberry.field(default="", description="Of PLATFORM empty, of ROLE a Role, of ENDPOINT a `Model.key`.")


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """The viewer's own is what they asked for."""


@dataclass(frozen=True, slots=True)
class Published:
    instruction: Instruction


async def of_viewer(root: strawberry.Parent[Viewer], info: Info) -> str | None:
    return await info.context.services.instructions.own(root)


async def of_conversation(root: strawberry.Parent[Conversation], info: Info) -> str | None:
    return await info.context.loaders.conversation_instruction.load(root.id)


async def published(
    root: strawberry.Parent[Admin],
    info: Info,
    scope: Annotated[
        InstructionScope | None, strawberry.argument(description="Null: of all that are published.")
    ] = None,
    history: Annotated[bool, strawberry.argument(description="Every version, not only those in force.")] = False,
    first: First = None,
    after: After = None,
) -> Page[Instruction]:
    page = page_args(first, after)
    return await info.context.services.instructions.published(root.viewer, scope, page, history=history)


async def published_by(root: strawberry.Parent[Instruction], info: Info) -> User | None:
    return await info.context.loaders.user.load(root.published_by_id) if root.published_by_id else None


def key_of_ref(root: strawberry.Parent[InstructionRef]) -> str:
    return root.key if root.scope in PUBLISHED else ""


async def set_instruction(
    info: Info,
    text: Annotated[
        str | None,
        strawberry.argument(description="1 to 8,000 UTF-16 code units; null: none from now on."),
    ] = None,
) -> InstructionSet:
    await info.context.services.instructions.say(info.context.viewer, text)
    return InstructionSet()


async def publish_instruction(info: Info, input: PublishInstructionInput) -> Published:
    publication = Publication(input.scope, input.key, input.text, input.expected_version)
    return Published(await info.context.services.instructions.publish(info.context.viewer, publication))
