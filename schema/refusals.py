"""Refusals: what a mutation answers instead of doing it. The one place where a domain refusal becomes a GraphQL value."""

import dataclasses
from datetime import datetime
from typing import Any

import strawberry

from domain import errors
from domain.conversation.entity import ConversationState
from domain.user import Role
from schema.conversation import Conversation
from schema.generation import Generation
from schema.message import Message
from schema.model import Model
from schema.of import of
from schema.plan import Plan
from schema.quota import Quota


@strawberry.interface(
    description="Why a mutation did nothing. End each switch over a result with `... on Refusal`: so new refusals break nobody."
)
class Refusal:
    code: errors.RefusalCode = strawberry.field(description="For translations.")
    message: str = strawberry.field(description="For developers, in English: what to do next.")
    retryable: bool = strawberry.field(
        description="The same call under the same key may succeed without the user changing anything."
    )
    retry_after: float | None = strawberry.field(
        description="Not before so many seconds, from the moment of arrival; null: unknown, or pointless."
    )


@of(errors.InputProblem, name="InputProblem", description="One rule that the input breaks.")
class InputProblem:
    rule: errors.InputRule = strawberry.field(description="Which rule.")
    path: list[str] = strawberry.field(description='From the argument down, e.g. ["input", "settings", "stop", "2"].')
    message: str = strawberry.field(description="For developers, in English.")
    limit: int | None = strawberry.field(description="The bound that was passed, for length and range rules.")


@of(errors.InvalidInput, name="InvalidInput", description="The input breaks rules: all of them at once.")
class InvalidInput(Refusal):
    problems: list[InputProblem] = strawberry.field(description="At most 20.")


@of(
    errors.NotFound,
    name="NotFound",
    description="An id of the input is unknown, deleted, or not yours: these look the same.",
)
class NotFound(Refusal):
    path: list[str] = strawberry.field(description="Which id, from the argument down.")


@of(errors.NotAllowed, name="NotAllowed", description="The viewer may not do this.")
class NotAllowed(Refusal):
    required_role: Role | None = strawberry.field(
        description="A role that would be enough, and that the viewer can get; null where none would do."
    )
    required_plan: Plan | None = strawberry.field(description="A plan that would be enough, likewise.")


@of(
    errors.QuotaExceeded,
    name="QuotaExceeded",
    description="It would go past a limit: nothing was counted. `retryAfter` is always set here.",
)
class QuotaExceeded(Refusal):
    quota: Quota = strawberry.field(
        description="The limit that is to be waited for longest, without what was asked for now."
    )


@of(
    errors.TooManyGenerations,
    name="TooManyGenerations",
    description="As many replies as the viewer may have at once are being written, or wait for their turn.",
)
class TooManyGenerations(Refusal):
    generations: list[Generation] = strawberry.field(
        description="The viewer's own, oldest first, to offer Stop; at most 20."
    )
    active: int = strawberry.field(description="How many there are.")
    limit: int = strawberry.field(description="How many there may be.")


@of(errors.LimitReached, name="LimitReached", description="A cap on stored things is reached.")
class LimitReached(Refusal):
    resource: errors.LimitedResource = strawberry.field(description="What there is too much of.")
    active: int = strawberry.field(description="How many there are.")
    limit: int = strawberry.field(description="How many there may be.")


@of(
    errors.ConversationBusy,
    name="ConversationBusy",
    description="A run is writing the path that the send would extend.",
)
class ConversationBusy(Refusal):
    active_generation: Generation = strawberry.field(description="Follow it, or stop it.")


@of(
    errors.ConversationClosed,
    name="ConversationClosed",
    description="The conversation is PAUSED, which refuses new messages, or ARCHIVED, which refuses any change.",
)
class ConversationClosed(Refusal):
    state: ConversationState = strawberry.field(description="PAUSED or ARCHIVED.")


@of(errors.IllegalTransition, name="IllegalTransition", description="There is no way from one state to the other.")
class IllegalTransition(Refusal):
    from_state: ConversationState = strawberry.field(name="from", description="The state it is in.")
    to_state: ConversationState = strawberry.field(name="to", description="The state that was asked for.")


@of(
    errors.StaleVersion,
    name="StaleVersion",
    description="`expectedVersion` did not match: somebody saved first.",
)
class StaleVersion(Refusal):
    conversation: Conversation = strawberry.field(description="As it is now, to merge and save again.")


@of(
    errors.StaleBranch,
    name="StaleBranch",
    description="`expectedLeaf` is no longer the active leaf: the client is behind.",
)
class StaleBranch(Refusal):
    current_leaf: Message | None = strawberry.field(description="Show this one. Null: the conversation is empty.")


@of(errors.NotContinuable, name="NotContinuable", description="The reply ended whole, or has gone on meanwhile.")
class NotContinuable(Refusal):
    current_reply: Message = strawberry.field(description="As it is now.")


@of(errors.KeyReused, name="KeyReused", description="The idempotency key stands for another mutation or other input.")
class KeyReused(Refusal):
    idempotency_key: str = strawberry.field(description="The key.")


@of(
    errors.ContextTooLarge,
    name="ContextTooLarge",
    description="Not even the message alone fits the model's context window.",
)
class ContextTooLarge(Refusal):
    required_tokens: int = strawberry.field(description="What message and answer would need, by estimate.")
    limit_tokens: int = strawberry.field(description="What the model has.")


@of(errors.ModelUnavailable, name="ModelUnavailable", description="The model takes no requests now.")
class ModelUnavailable(Refusal):
    model: Model = strawberry.field(description="The model that was asked for.")
    alternatives: list[Model] = strawberry.field(description="Models that do; at most 10.")


@of(errors.Banned, name="Banned", description="The viewer is banned from writing. Reads go on.")
class Banned(Refusal):
    until: datetime | None = strawberry.field(description="When the ban ends; null: it does not.")


@of(
    errors.ServerDraining,
    name="ServerDraining",
    description="This process is going away and wrote nothing: the same call reaches another.",
)
class ServerDraining(Refusal):
    pass


TYPES: dict[type[errors.Refusal], type] = {
    declared.__entity__: declared  # type: ignore[attr-defined]  # set by `of`
    for declared in Refusal.__subclasses__()
}


class Handler:
    """A refusal that was raised is the answer, wherever the field's union has a place for it."""

    def __init__(self, exception_type: type[errors.Refusal], error_type: type) -> None:
        self.exception_type, self.error_type = exception_type, error_type
        self._fields = [field.name for field in dataclasses.fields(error_type)]

    def handle(self, exception: errors.Refusal, *, field: Any, info: Any) -> object:
        return self.copied(exception)

    def copied(self, refusal: errors.Refusal) -> object:
        # A copy of its fields: graphql-core raises what is an Exception, also when it is returned.
        return self.error_type(**{name: getattr(refusal, name) for name in self._fields})


HANDLERS = [Handler(refusal, declared) for refusal, declared in TYPES.items()]


def told(refusal: errors.Refusal) -> object:
    """A refusal as a value of a field."""
    return next(handler for handler in HANDLERS if handler.exception_type is type(refusal)).copied(refusal)
