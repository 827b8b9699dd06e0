"""Generations and their events."""

from datetime import datetime
from decimal import Decimal

import strawberry

from domain import model as model_domain
from domain.errors import GenerationErrorCode
from domain.generation import entity as domain
from domain.generation import log
from resolvers import generation as resolve
from resolvers import quota as resolve_quota
from schema.conversation import Conversation, GenerationSettings
from schema.lazy import EventPageRef, GenerationRef
from schema.message import Message
from schema.model import Model
from schema.node import Node
from schema.of import of
from schema.quota import Quota
from schema.window import ContextReport


@of(model_domain.Usage, name="Usage", description="Tokens of one run.")
class Usage:
    input_tokens: int = strawberry.field(description="The prompt, template and all.")
    cached_input_tokens: int = strawberry.field(description="Of these, served from the model server's cache.")
    output_tokens: int = strawberry.field(description="The answer.")
    reasoning_tokens: int = strawberry.field(description="Of these, thought aloud.")
    source: model_domain.UsageSource = strawberry.field(description="How they were counted.")


@of(
    domain.GenerationError,
    name="GenerationError",
    description="Why a run failed. The model server's own words are never shown.",
)
class GenerationError:
    code: GenerationErrorCode = strawberry.field(description="For translations.")
    message: str = strawberry.field(description="For developers, in English.")
    retryable: bool = strawberry.field(description="Asking again is worth a button.")
    retry_after: float | None = strawberry.field(description="Seconds; null: unknown.")


@of(domain.Notice, name="Notice", description="Something that its user should know, and that is no failure.")
class Notice:
    code: domain.NoticeCode = strawberry.field(description="For translations.")
    message: str = strawberry.field(description="For developers, in English.")
    quota = strawberry.field(
        resolver=resolve_quota.of_notice,
        graphql_type=Quota | None,
        description="The limit that it is about, as it is now; null where it is about none.",
    )


@of(domain.ProviderAttempt, name="ProviderAttempt", description="One try at one model server.")
class ProviderAttempt:
    provider: str = strawberry.field(description="The model server, by its name in the configuration.")
    model: str = strawberry.field(description="The `Model.key` that was asked for there.")
    started_at: datetime = strawberry.field(description="When it was asked.")
    ended_at: datetime | None = strawberry.field(description="When it had answered, or failed.")
    outcome: domain.AttemptOutcome = strawberry.field(description="What came of it.")
    provider_status: int | None = strawberry.field(description="The HTTP status, where there was one.")


@of(domain.Generation, name="Generation", description="One run of a model that writes one reply.")
class Generation(Node):
    conversation = strawberry.field(
        resolver=resolve.conversation, graphql_type=Conversation, description="The conversation that its reply is in."
    )
    reply = strawberry.field(resolver=resolve.reply, graphql_type=Message, description="What it writes.")
    trigger: domain.GenerationTrigger = strawberry.field(description="What started it.")
    status: domain.GenerationStatus = strawberry.field(description="What has become of it.")
    finish_reason: domain.FinishReason | None = strawberry.field(description="Why it ended; null until then.")
    error: GenerationError | None = strawberry.field(description="Set when it failed.")
    model = strawberry.field(resolver=resolve.model, graphql_type=Model, description="The model that answers.")
    requested_model = strawberry.field(
        resolver=resolve.requested_model, graphql_type=Model, description="The model that was asked for."
    )
    settings: GenerationSettings = strawberry.field(description="What really applied.")
    queued_at: datetime = strawberry.field(description="When it was accepted.")
    started_at: datetime | None = strawberry.field(description="When it began.")
    first_token_at: datetime | None = strawberry.field(description="When its first token was stored.")
    ended_at: datetime | None = strawberry.field(description="Set exactly when it has ended.")
    queue_position: int | None = strawberry.field(
        description="1 for the next to start; null unless QUEUED, and for a moment after the send."
    )
    latency_ms: int | None = strawberry.field(description="From acceptance to end; null until then.")
    time_to_first_token_ms: int | None = strawberry.field(
        description="From acceptance to the first token; null until then."
    )
    tokens_per_second: float | None = strawberry.field(
        description="From the first token to the end; null until then, and without a token."
    )
    usage: Usage | None = strawberry.field(
        description="Null until it ends, and when the model failed before it said anything."
    )
    cost: Decimal | None = strawberry.field(
        description="USD, by the model's prices when it was accepted; null without `usage`."
    )
    reserved: Decimal | None = strawberry.field(
        description="USD that were held for it while it ran: the most that it could cost."
    )
    notices: list[Notice] = strawberry.field(description="At most 10.")
    context: ContextReport | None = strawberry.field(
        description="What the model was given; null until it is assembled: a queued run's holds a reply that is still being written."
    )
    attempts: list[ProviderAttempt] = strawberry.field(
        description="Every try, fallbacks and retries; at most 20, set at its end."
    )
    text_offset: int = strawberry.field(
        description="Where its text begins in the reply, in UTF-16 code units: 0, or what continueReply kept."
    )
    last_seq: int = strawberry.field(description="The end of its log as of now.")
    events = strawberry.field(
        resolver=resolve.events,
        graphql_type=EventPageRef,
        description="The same log and the same cursor as the subscription, for pollers and tests.",
    )


@strawberry.interface(
    description="An entry of a run's log. `seq` is contiguous from 1, and means the same event for ever: "
    "a client sees a gap even in types it does not know."
)
class GenerationEvent:
    seq: int = strawberry.field(description="The cursor: after a cut, subscribe with `after` at the last one applied.")
    at: datetime = strawberry.field(description="When it was stored.")
    generation = strawberry.field(
        resolver=resolve.event_generation,
        graphql_type=GenerationRef,
        description="As of delivery, at least as new as `seq`; on deltas select its id only.",
    )


@of(log.GenerationQueued, name="GenerationQueued", description="It waits; again whenever its position changes.")
class GenerationQueued(GenerationEvent):
    position: int = strawberry.field(description="1 for the next to start.")


@of(
    log.GenerationStarted,
    name="GenerationStarted",
    description="The model is asked. Again, with a higher attempt, when a process died or a model failed before the first token.",
)
class GenerationStarted(GenerationEvent):
    attempt: int = strawberry.field(description="1, and higher each time it starts over.")
    model = strawberry.field(
        resolver=resolve.started_model,
        graphql_type=Model,
        description="The model that is asked now; after a fallback another than `requestedModel`.",
    )


@of(log.TextDelta, name="TextDelta", description="The reply grows. `text.slice(0, offset) + delta` is always right.")
class TextDelta(GenerationEvent):
    text: str = strawberry.field(description="What is added.")
    offset: int = strawberry.field(description="Where it begins in the reply, in UTF-16 code units.")
    text_so_far = strawberry.field(
        resolver=resolve.text_so_far,
        graphql_type=str | None,
        description="For explorers, which show one event at a time; null past 32,768 code units.",
    )


@of(log.TextTruncated, name="TextTruncated", description="Cut the reply to `length`.")
class TextTruncated(GenerationEvent):
    length: int = strawberry.field(description="What is left, in UTF-16 code units.")
    reason: log.TruncationReason = strawberry.field(description="Why.")


@of(log.ReasoningDelta, name="ReasoningDelta", description="As TextDelta, for `Message.reasoning`.")
class ReasoningDelta(GenerationEvent):
    text: str = strawberry.field(description="What is added.")
    offset: int = strawberry.field(description="Where it begins in the reasoning, in UTF-16 code units.")


@of(log.NoticeRaised, name="NoticeRaised", description="Something to show beside the reply.")
class NoticeRaised(GenerationEvent):
    notice: Notice = strawberry.field(description="What to say: translate its code.")


@of(
    log.GenerationSnapshot,
    name="GenerationSnapshot",
    description="First, when asked for, or when the range asked for is past retention. Not in the log: `seq` is the last one "
    "that `reply` includes, before GenerationFinished, which always follows as itself.",
)
class GenerationSnapshot(GenerationEvent):
    reply: Message = strawberry.field(description="As of `seq`: write it over what was assembled.")


@of(log.GenerationFinished, name="GenerationFinished", description="Exactly one, always last.")
class GenerationFinished(GenerationEvent):
    status: domain.GenerationStatus = strawberry.field(description="How it ended.")
    finish_reason: domain.FinishReason = strawberry.field(description="Why it ended.")
    reply = strawberry.field(
        resolver=resolve.event_reply,
        graphql_type=Message,
        description="The final truth: write it over what was assembled.",
    )
    usage = strawberry.field(
        resolver=resolve.finished_usage, graphql_type=Usage | None, description="Tokens, as `generation.usage`."
    )
    cost = strawberry.field(
        resolver=resolve.finished_cost, graphql_type=Decimal | None, description="USD, as `generation.cost`."
    )
    error = strawberry.field(
        resolver=resolve.finished_error,
        graphql_type=GenerationError | None,
        description="Set when it failed, as `generation.error`.",
    )
    quotas = strawberry.field(
        resolver=resolve_quota.of_viewer,
        graphql_type=list[Quota],
        description="The viewer's limits as they are now: what was held and not needed is back. At most 50.",
    )


@of(resolve.EventPage, name="GenerationEventPage", description="A slice of a run's log.")
class GenerationEventPage:
    events: list[GenerationEvent] = strawberry.field(description="In seq order, possibly none.")
    next_after: int = strawberry.field(description="The `after` of the next call.")
    terminal: bool = strawberry.field(description="The end is at or before `nextAfter`: stop polling.")


@of(log.Stopping, name="StopGenerationSuccess", description="The run is stopping, or had ended.")
class StopGenerationSuccess:
    generation: Generation = strawberry.field(
        description="It may still be RUNNING: the end arrives as GenerationFinished."
    )
    already_ended: bool = strawberry.field(
        resolver=resolve.already_ended,
        graphql_type=bool,
        description="It was over, or being stopped, before this call.",
    )
