"""The root types: everything that can be asked, done and followed."""

from typing import Annotated, TypeAlias

import strawberry

import resolvers.admin as on_admin
import resolvers.changes as on_changes
import resolvers.conversation as on_conversation
import resolvers.feedback as on_feedback
import resolvers.fork as on_fork
import resolvers.generation as on_generation
import resolvers.guest as on_guest
import resolvers.instruction as on_instruction
import resolvers.message as on_message
import resolvers.model as on_model
import resolvers.node as on_node
import resolvers.quota as on_quota
import resolvers.throttle as on_throttle
import resolvers.user as on_user
from schema.admin import Admin, SetUserPlanSuccess, SetUserRoleSuccess, UpsertModelSuccess
from schema.conversation import (
    Conversation,
    CreateConversationSuccess,
    DeleteConversationSuccess,
    ForkConversationSuccess,
    MarkConversationReadSuccess,
    SelectBranchSuccess,
    SetConversationStateSuccess,
    UpdateConversationSuccess,
)
from schema.event import ConversationEvent, ViewerEvent
from schema.feedback import RateMessageSuccess
from schema.generation import Generation, GenerationEvent, StopGenerationSuccess
from schema.guest import StartGuestSessionSuccess
from schema.instruction import PublishInstructionSuccess, SetInstructionSuccess
from schema.message import Message, SendMessageSuccess
from schema.model import Model
from schema.node import Node
from schema.preview import SendPreview
from schema.quota import SetQuotaSuccess
from schema.refusals import (
    Banned,
    ContextTooLarge,
    ConversationBusy,
    ConversationClosed,
    IllegalTransition,
    InvalidInput,
    KeyReused,
    LimitReached,
    ModelUnavailable,
    NotAllowed,
    NotContinuable,
    NotFound,
    QuotaExceeded,
    ServerDraining,
    StaleBranch,
    StaleVersion,
    TooManyGenerations,
)
from schema.throttle import RateLimit
from schema.user import CreateApiKeySuccess, RevokeApiKeySuccess, Viewer

StartGuestSessionResult: TypeAlias = Annotated[
    StartGuestSessionSuccess | NotAllowed,
    strawberry.union("StartGuestSessionResult", description="What startGuestSession answers."),
]
CreateConversationResult: TypeAlias = Annotated[
    CreateConversationSuccess | InvalidInput | NotFound | LimitReached | KeyReused | ServerDraining | Banned,
    strawberry.union("CreateConversationResult", description="What createConversation answers."),
]
UpdateConversationResult: TypeAlias = Annotated[
    UpdateConversationSuccess | InvalidInput | NotFound | ConversationClosed | StaleVersion | ServerDraining | Banned,
    strawberry.union("UpdateConversationResult", description="What updateConversation answers."),
]
SetConversationStateResult: TypeAlias = Annotated[
    SetConversationStateSuccess | NotFound | IllegalTransition | ServerDraining | Banned,
    strawberry.union("SetConversationStateResult", description="What setConversationState answers."),
]
SelectBranchResult: TypeAlias = Annotated[
    SelectBranchSuccess | NotFound | ConversationClosed | ServerDraining,
    strawberry.union("SelectBranchResult", description="What selectBranch answers."),
]
MarkConversationReadResult: TypeAlias = Annotated[
    MarkConversationReadSuccess | NotFound,
    strawberry.union("MarkConversationReadResult", description="What markConversationRead answers."),
]
ForkConversationResult: TypeAlias = Annotated[
    ForkConversationSuccess | InvalidInput | NotFound | LimitReached | KeyReused | ServerDraining | Banned,
    strawberry.union("ForkConversationResult", description="What forkConversation answers."),
]
RateMessageResult: TypeAlias = Annotated[
    RateMessageSuccess | InvalidInput | NotFound | Banned,
    strawberry.union("RateMessageResult", description="What rateMessage answers."),
]
DeleteConversationResult: TypeAlias = Annotated[
    DeleteConversationSuccess | NotFound | ServerDraining,
    strawberry.union("DeleteConversationResult", description="What deleteConversation answers."),
]
SendMessageResult: TypeAlias = Annotated[
    SendMessageSuccess
    | InvalidInput
    | NotFound
    | NotAllowed
    | QuotaExceeded
    | TooManyGenerations
    | LimitReached
    | ConversationBusy
    | ConversationClosed
    | StaleBranch
    | KeyReused
    | ContextTooLarge
    | ModelUnavailable
    | ServerDraining
    | Banned,
    strawberry.union("SendMessageResult", description="What sendMessage answers."),
]
EditMessageResult: TypeAlias = Annotated[
    SendMessageSuccess
    | InvalidInput
    | NotFound
    | NotAllowed
    | QuotaExceeded
    | TooManyGenerations
    | ConversationBusy
    | ConversationClosed
    | KeyReused
    | ContextTooLarge
    | ModelUnavailable
    | ServerDraining
    | Banned,
    strawberry.union("EditMessageResult", description="What editMessage answers."),
]
RegenerateReplyResult: TypeAlias = Annotated[
    SendMessageSuccess
    | InvalidInput
    | NotFound
    | NotAllowed
    | QuotaExceeded
    | TooManyGenerations
    | ConversationBusy
    | ConversationClosed
    | KeyReused
    | ContextTooLarge
    | ModelUnavailable
    | ServerDraining
    | Banned,
    strawberry.union("RegenerateReplyResult", description="What regenerateReply answers."),
]
ContinueReplyResult: TypeAlias = Annotated[
    SendMessageSuccess
    | InvalidInput
    | NotFound
    | NotAllowed
    | QuotaExceeded
    | TooManyGenerations
    | ConversationBusy
    | ConversationClosed
    | NotContinuable
    | KeyReused
    | ContextTooLarge
    | ModelUnavailable
    | ServerDraining
    | Banned,
    strawberry.union("ContinueReplyResult", description="What continueReply answers."),
]
StopGenerationResult: TypeAlias = Annotated[
    StopGenerationSuccess | NotFound,
    strawberry.union("StopGenerationResult", description="What stopGeneration answers."),
]
CreateApiKeyResult: TypeAlias = Annotated[
    CreateApiKeySuccess | InvalidInput | NotAllowed | LimitReached | Banned,
    strawberry.union("CreateApiKeyResult", description="What createApiKey answers."),
]
SetUserRoleResult: TypeAlias = Annotated[
    SetUserRoleSuccess | InvalidInput | NotFound | NotAllowed,
    strawberry.union("SetUserRoleResult", description="What setUserRole answers."),
]
SetUserPlanResult: TypeAlias = Annotated[
    SetUserPlanSuccess | InvalidInput | NotFound | NotAllowed,
    strawberry.union("SetUserPlanResult", description="What setUserPlan answers."),
]
UpsertModelResult: TypeAlias = Annotated[
    UpsertModelSuccess | InvalidInput | NotAllowed,
    strawberry.union("UpsertModelResult", description="What upsertModel answers."),
]
RevokeApiKeyResult: TypeAlias = Annotated[
    RevokeApiKeySuccess | NotFound | NotAllowed,
    strawberry.union("RevokeApiKeyResult", description="What revokeApiKey answers."),
]

SetQuotaResult: TypeAlias = Annotated[
    SetQuotaSuccess | InvalidInput | NotFound | NotAllowed,
    strawberry.union("SetQuotaResult", description="What setQuota answers."),
]
SetInstructionResult: TypeAlias = Annotated[
    SetInstructionSuccess | InvalidInput | Banned,
    strawberry.union("SetInstructionResult", description="What setInstruction answers."),
]
PublishInstructionResult: TypeAlias = Annotated[
    PublishInstructionSuccess | InvalidInput | NotAllowed,
    strawberry.union("PublishInstructionResult", description="What publishInstruction answers."),
]


@strawberry.type(
    description="Everything that can be asked. A query asks, a null answers: an unknown id is null, never an error."
)
class Query:
    viewer = strawberry.field(
        resolver=on_user.viewer,
        graphql_type=Viewer | None,
        description="Who is asking. Null only for a visitor without a credential, "
        "who may ask nothing but this, `models`, `rateLimit` and startGuestSession.",
    )
    node = strawberry.field(
        resolver=on_node.node, graphql_type=Node | None, description="Anything of the viewer's by its id."
    )
    nodes = strawberry.field(
        resolver=on_node.nodes,
        graphql_type=list[Node | None],
        description="In the order of `ids`, null for each unknown one.",
    )
    conversation = strawberry.field(
        resolver=on_conversation.conversation,
        graphql_type=Conversation | None,
        description="One of the viewer's conversations.",
    )
    message = strawberry.field(
        resolver=on_message.message, graphql_type=Message | None, description="One of the viewer's messages."
    )
    generation = strawberry.field(
        resolver=on_generation.generation, graphql_type=Generation | None, description="One of the viewer's runs."
    )
    preview_send = strawberry.field(
        resolver=on_message.preview_send,
        graphql_type=SendPreview,
        description="Dry run: the same checks, context and price as sendMessage. Stores nothing.",
    )
    models = strawberry.field(
        resolver=on_model.models, graphql_type=list[Model], description="Every model on offer; at most 200."
    )
    admin = strawberry.field(
        resolver=on_admin.admin, graphql_type=Admin | None, description="Null unless the viewer is an admin."
    )
    rate_limit = strawberry.field(
        resolver=on_throttle.rate_limit,
        graphql_type=RateLimit,
        description="What this operation cost, and what is left at the edge of this process.",
    )


@strawberry.type(
    description="Everything that can be done. Each answers with a union: one success, or the refusals it can meet. "
    "A mutation starts work and returns at once; the work is observed by subscription."
)
class Mutation:
    start_guest_session = strawberry.mutation(
        resolver=on_guest.start_guest_session,
        graphql_type=StartGuestSessionResult,
        description="Lets a visitor without an account in, and needs no credential: a user of its own, and a token for it. "
        "Only so many for one address on a day: keep the token.",
    )
    create_conversation = strawberry.mutation(
        resolver=on_conversation.create_conversation,
        graphql_type=CreateConversationResult,
        description="Opens an empty conversation.",
    )
    update_conversation = strawberry.mutation(
        resolver=on_changes.update_conversation,
        graphql_type=UpdateConversationResult,
        description="Changes what is given of a conversation's own fields, guarded by `expectedVersion`.",
    )
    set_conversation_state = strawberry.mutation(
        resolver=on_changes.set_conversation_state,
        graphql_type=SetConversationStateResult,
        description="Pauses, archives or reopens. To the state it is in: success. Replies that are being written go on.",
    )
    select_branch = strawberry.mutation(
        resolver=on_changes.select_branch,
        graphql_type=SelectBranchResult,
        description="Shows the branch of a message, on every device, also while a reply is being written. "
        "Refused only in ARCHIVED.",
    )
    mark_conversation_read = strawberry.mutation(
        resolver=on_changes.mark_conversation_read,
        graphql_type=MarkConversationReadResult,
        description="The viewer has seen all that is in it.",
    )
    fork_conversation = strawberry.mutation(
        resolver=on_fork.fork_conversation,
        graphql_type=ForkConversationResult,
        description="Copies a part of a conversation into a new one: new ids, no runs, usage or feedback. "
        "A reply that is being written is copied with its text so far, INTERRUPTED. At most 10,000 messages.",
    )
    delete_conversation = strawberry.mutation(
        resolver=on_conversation.delete_conversation,
        graphql_type=DeleteConversationResult,
        description="Deletes a conversation with all its messages. A second call says NotFound: treat it as done.",
    )
    send_message = strawberry.mutation(
        resolver=on_message.send_message,
        graphql_type=SendMessageResult,
        description="Stores what the viewer says and starts the reply: follow `generation` by `generationEvents`.",
    )
    edit_message = strawberry.mutation(
        resolver=on_message.edit_message,
        graphql_type=EditMessageResult,
        description="Says something else in place of a message: a sibling of it, and a reply to that. The old branch stays.",
    )
    regenerate_reply = strawberry.mutation(
        resolver=on_message.regenerate_reply,
        graphql_type=RegenerateReplyResult,
        description="Starts another answer to the message that a reply answers: a sibling of that reply, which stays.",
    )
    continue_reply = strawberry.mutation(
        resolver=on_message.continue_reply,
        graphql_type=ContinueReplyResult,
        description="Goes on with a reply that was stopped, interrupted or cut by length; its text is kept to the byte.",
    )
    rate_message = strawberry.mutation(
        resolver=on_feedback.rate_message,
        graphql_type=RateMessageResult,
        description="Says what the viewer thinks of a reply, in place of what they said before.",
    )
    stop_generation = strawberry.mutation(
        resolver=on_generation.stop_generation,
        graphql_type=StopGenerationResult,
        description="Stops a run; the text is kept. Idempotent, and from any process.",
    )
    create_api_key = strawberry.mutation(
        resolver=on_user.create_api_key,
        graphql_type=CreateApiKeyResult,
        description="Makes an API key. Not idempotent, by design: its secret is in this answer, once.",
    )
    set_user_role = strawberry.mutation(
        resolver=on_admin.set_user_role,
        graphql_type=SetUserRoleResult,
        description="For admins. Effective everywhere within five seconds; the last admin stays one.",
    )
    set_user_plan = strawberry.mutation(
        resolver=on_admin.set_user_plan,
        graphql_type=SetUserPlanResult,
        description="For admins. Effective everywhere within five seconds.",
    )
    upsert_model = strawberry.mutation(
        resolver=on_admin.upsert_model,
        graphql_type=UpsertModelResult,
        description="For admins: adds a model, or says anew what it is. Effective everywhere within two seconds.",
    )
    revoke_api_key = strawberry.mutation(
        resolver=on_user.revoke_api_key,
        graphql_type=RevokeApiKeyResult,
        description="Ends an API key; its sockets are closed within 10 seconds.",
    )
    set_instruction = strawberry.mutation(
        resolver=on_instruction.set_instruction,
        graphql_type=SetInstructionResult,
        description="What every reply to the viewer is told from now on, beside what the operator says.",
    )
    set_quota = strawberry.mutation(
        resolver=on_quota.set_quota,
        graphql_type=SetQuotaResult,
        description="For admins: a limit of one user, one API key or everybody of a plan, for every send from now on.",
    )
    publish_instruction = strawberry.mutation(
        resolver=on_instruction.publish_instruction,
        graphql_type=PublishInstructionResult,
        description="For admins: the next version of an instruction. Replies that were given an older one keep naming it.",
    )


@strawberry.type(
    description="Everything that can be followed, over WebSocket (graphql-transport-ws) or SSE (graphql-sse)."
)
class Subscription:
    generation_events = strawberry.subscription(
        resolver=on_generation.generation_events,
        graphql_type=GenerationEvent,
        description="Replays every event after `after`, tails until GenerationFinished, completes. "
        "Any process, any device, during or after the run. An unknown id is one error NOT_FOUND; `after` past the end, BAD_VARIABLES.",
    )
    conversation_events = strawberry.subscription(
        resolver=on_conversation.conversation_events,
        graphql_type=ConversationEvent,
        description="Tree changes of one conversation for other tabs and devices: no tokens. Completes when it is deleted.",
    )
    viewer_events = strawberry.subscription(
        resolver=on_user.viewer_events,
        graphql_type=ViewerEvent,
        description="What a sidebar needs, over all conversations; one per tab. No cursor: each (re)connect begins with ViewerSnapshot.",
    )
