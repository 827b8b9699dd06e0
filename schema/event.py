"""What happens in a conversation, and over all of a viewer's conversations, for other tabs and devices."""

from datetime import datetime

import strawberry

from domain.conversation import events as domain
from resolvers import conversation as resolve
from resolvers import user as resolve_viewer
from schema.conversation import Conversation
from schema.generation import Generation
from schema.message import Message
from schema.of import of
from schema.quota import Quota
from schema.user import Viewer


@strawberry.interface(
    description="Something happened in a conversation. Entities are as they are at delivery, so replays are harmless."
)
class ConversationEvent:
    seq: int = strawberry.field(
        description="Rises in one conversation, and may skip: `Conversation.eventSeq` is its clock."
    )
    at: datetime = strawberry.field(description="When it was stored.")
    conversation = strawberry.field(
        resolver=resolve.event_conversation, graphql_type=Conversation, description="As it is now."
    )


@of(
    domain.ConversationSnapshot,
    name="ConversationSnapshot",
    description="The state now: refetch what is on screen by selecting it here.",
)
class ConversationSnapshot(ConversationEvent):
    pass


@of(
    domain.MessageAdded,
    name="MessageAdded",
    description="One per message, user's and reply alike; one's own too: match by `idempotencyKey`.",
)
class MessageAdded(ConversationEvent):
    added_message = strawberry.field(resolver=resolve.event_message, graphql_type=Message, description="The message.")


@of(domain.MessageChanged, name="MessageChanged", description="Feedback was given or taken away.")
class MessageChanged(ConversationEvent):
    changed_message = strawberry.field(
        resolver=resolve.event_message, graphql_type=Message, description="As it is now."
    )


@of(
    domain.ConversationChanged,
    name="ConversationChanged",
    description="Title, tags, pinned, settings, policy, state or read mark: whatever is selected of `conversation` is new.",
)
class ConversationChanged(ConversationEvent):
    pass


@of(domain.BranchSelected, name="BranchSelected", description="Another branch is shown.")
class BranchSelected(ConversationEvent):
    active_leaf = strawberry.field(
        resolver=resolve.event_message,
        graphql_type=Message,
        description="The end of the branch that is shown from now on.",
    )


@of(
    domain.ReplyStarted,
    name="ReplyStarted",
    description="The cue to follow `generationEvents(generation: its id, snapshot: true)`.",
)
class ReplyStarted(ConversationEvent):
    reply = strawberry.field(
        resolver=resolve.event_message, graphql_type=Message, description="The reply that is being written."
    )
    generation = strawberry.field(
        resolver=resolve.event_generation,
        graphql_type=Generation,
        description="The run that writes it: follow this one.",
    )


@of(domain.ReplyFinished, name="ReplyFinished", description="A run has ended, whatever its end.")
class ReplyFinished(ConversationEvent):
    reply = strawberry.field(
        resolver=resolve.event_message, graphql_type=Message, description="The reply, as it ended."
    )
    generation = strawberry.field(
        resolver=resolve.event_generation, graphql_type=Generation, description="The run that wrote it."
    )


@strawberry.interface(description="Something happened to what a viewer sees over all conversations.")
class ViewerEvent:
    at: datetime = strawberry.field(description="When it was delivered.")


@of(
    domain.ViewerSnapshot, name="ViewerSnapshot", description="First after each (re)connect: a cue to refetch the list."
)
class ViewerSnapshot(ViewerEvent):
    viewer = strawberry.field(resolver=resolve_viewer.viewer_now, graphql_type=Viewer, description="Refetch here.")


@of(
    domain.ConversationTouched,
    name="ConversationTouched",
    description="New, renamed, pinned, archived, a message added, a reply ended, read elsewhere: put it where its fields say.",
)
class ConversationTouched(ViewerEvent):
    conversation = strawberry.field(
        resolver=resolve_viewer.touched, graphql_type=Conversation, description="As it is now."
    )


@of(
    domain.QuotaMoved,
    name="QuotaMoved",
    description="A limit's use, or the limit itself, is another one now; at most once a second for each.",
)
class QuotaMoved(ViewerEvent):
    quota: Quota = strawberry.field(description="As it is now.")


@of(domain.ConversationRemoved, name="ConversationRemoved", description="A conversation was deleted.")
class ConversationRemoved(ViewerEvent):
    removed_conversation = strawberry.field(
        resolver=resolve_viewer.removed_id, graphql_type=strawberry.ID, description="For removal from caches."
    )
