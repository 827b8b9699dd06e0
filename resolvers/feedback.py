"""Feedback on replies."""

from dataclasses import dataclass
from typing import Annotated

import strawberry

from domain.feedback import Feedback, Rating
from domain.message import Message
from resolvers import node
from resolvers.context import Info


@dataclass(frozen=True, slots=True)
class Rated:
    message: Message


async def feedback(root: strawberry.Parent[Message], info: Info) -> Feedback | None:
    return await info.context.loaders.feedback.load(root.id)


def rated_message(root: strawberry.Parent[Rated]) -> Message:
    return root.message


async def rate_message(
    info: Info,
    message: Annotated[strawberry.ID, strawberry.argument(description="A reply, else WRONG_ROLE.")],
    rating: Annotated[
        Rating | None, strawberry.argument(description="Null takes the feedback away, tags and comment with it.")
    ] = None,
    tags: Annotated[
        list[str] | None, strawberry.argument(description="At most 20, each at most 50 UTF-16 code units.")
    ] = None,
    comment: Annotated[str | None, strawberry.argument(description="1 to 2,000 UTF-16 code units.")] = None,
) -> Rated:
    context = info.context
    rated = await context.services.feedback.rate(context.viewer, node.message_id(message), rating, tags or (), comment)
    return Rated(rated)
