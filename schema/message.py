"""Messages."""

from datetime import datetime

import strawberry

from domain import message as domain
from domain.conversation.actions import MessageAction
from domain.conversation.once import Sent
from resolvers import feedback as resolve_feedback
from resolvers import message as resolve
from resolvers import quota as resolve_quota
from resolvers import usage as resolve_usage
from schema.conversation import Conversation
from schema.lazy import FeedbackRef, GenerationRef, MessageRef, NoticeRef, QuotaRef, UsageTotalsRef
from schema.model import Model
from schema.node import Connection, Node
from schema.of import of


@of(domain.Message, name="Message", description="A node of the tree. Its place never changes.")
class Message(Node):
    conversation = strawberry.field(resolver=resolve.conversation, graphql_type=Conversation, description="The tree.")
    role: domain.MessageRole = strawberry.field(description="Who speaks.")
    status: domain.MessageStatus = strawberry.field(description="What has become of it.")
    text: str = strawberry.field(
        description="The whole plain text; of a reply that is being written, as of `textThroughSeq`."
    )
    excerpt = strawberry.field(
        resolver=resolve.excerpt_of,
        description="Its beginning on one line, for lists; never cut inside a surrogate pair.",
    )
    reasoning: str | None = strawberry.field(description="What the model thought aloud, if it did.")
    text_through_seq: int = strawberry.field(
        description="The last seq of `generation`'s log that `text`, `reasoning` and `status` include: "
        "subscribe after it, no gap and no duplicate. 0 for a user's message."
    )
    generation = strawberry.field(
        resolver=resolve.generation,
        graphql_type=GenerationRef | None,
        description="The latest run that writes or wrote this reply; null for a user's message and for a fork's copy.",
    )
    generations = strawberry.field(
        resolver=resolve.generations,
        graphql_type=Connection[GenerationRef],
        description="All runs that wrote this reply, oldest first: continueReply adds one.",
    )
    parent = strawberry.field(resolver=resolve.parent, graphql_type=MessageRef | None, description="Null at a root.")
    children = strawberry.field(
        resolver=resolve.children, graphql_type=Connection[MessageRef], description="In creation order."
    )
    child_count: int = strawberry.field(
        description="How many children: cached once on the parent, it moves every sibling's pager."
    )
    siblings = strawberry.field(
        resolver=resolve.siblings,
        graphql_type=Connection[MessageRef],
        description="In creation order, this one among them.",
    )
    sibling_index: int = strawberry.field(
        description="1-based, in creation order, dense and final: the 2 of a 2/3 pager."
    )
    sibling_count = strawberry.field(
        resolver=resolve.sibling_count,
        graphql_type=int,
        description="The 3 of a 2/3 pager, as of this read; `parent.childCount` stays right in a cache.",
    )
    depth: int = strawberry.field(description="0 at a root.")
    previous_sibling = strawberry.field(
        resolver=resolve.previous_sibling, graphql_type=MessageRef | None, description="The pager's left arrow."
    )
    next_sibling = strawberry.field(
        resolver=resolve.next_sibling, graphql_type=MessageRef | None, description="The pager's right arrow."
    )
    leaf = strawberry.field(
        resolver=resolve.leaf,
        graphql_type=MessageRef,
        description="The last leaf active at or below this message, else the latest: `path(leaf: nextSibling.leaf.id)` pages.",
    )
    sent_at: datetime | None = strawberry.field(
        description="The client's clock, if it gave it; never far in the future."
    )
    received_at: datetime = strawberry.field(description="Ours. Of a reply: when its run was accepted.")
    first_token_at: datetime | None = strawberry.field(description="When the first text of a reply was stored.")
    completed_at: datetime | None = strawberry.field(description="When a reply's run ended.")
    idempotency_key: str | None = strawberry.field(
        description="Of a user's message, the key of the send that made it: matches an optimistic bubble."
    )
    model = strawberry.field(
        resolver=resolve.model, graphql_type=Model | None, description="Of a reply, the model that answered."
    )
    tokens: int | None = strawberry.field(
        description="Of its text, as a model server has counted them; null until one has. By several tokenizers: the most."
    )
    viewer_can = strawberry.field(
        resolver=resolve.viewer_can,
        graphql_type=list[MessageAction],
        description="What the viewer may try here, by role, status and state, for buttons; limits can still refuse. "
        "Each at most once.",
    )
    usage = strawberry.field(
        resolver=resolve_usage.of_message,
        graphql_type=UsageTotalsRef,
        description="Of a reply, what all its runs have taken that have ended; nothing for a user's message and for a fork's copy.",
    )
    feedback = strawberry.field(
        resolver=resolve_feedback.feedback,
        graphql_type=FeedbackRef | None,
        description="The viewer's own, of a reply; null while there is none.",
    )


@of(Sent, name="SendMessageSuccess", description="The message is stored and its reply is being written.")
class SendMessageSuccess:
    conversation: Conversation = strawberry.field(description="As it is now; `activeLeaf` is the reply.")
    user_message: Message | None = strawberry.field(description="What is answered; never null as yet.")
    reply: Message = strawberry.field(description="The answer, which grows.")
    generation: GenerationRef = strawberry.field(description="Follow it: `generationEvents(generation: its id)`.")
    notices: list[NoticeRef] = strawberry.field(description="What its author should know; at most 10.")
    quotas = strawberry.field(
        resolver=resolve_quota.of_viewer,
        graphql_type=list[QuotaRef],
        description="The viewer's limits as they are now, for bars on the page; at most 50.",
    )
    replayed: bool = strawberry.field(description="This key had been answered before: nothing was sent again.")
