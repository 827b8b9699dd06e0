"""Conversations, their messages, and how they are sent and ordered."""

from domain.conversation.actions import MessageAction
from domain.conversation.commands import BusyPolicy, ForkScope
from domain.conversation.entity import ConversationOrder, ConversationState, RequestedState, TitleSource
from domain.feedback import Rating
from domain.instruction import InstructionScope
from domain.message import MessageRole, MessageStatus
from domain.response_format import ResponseFormatType
from domain.window.policy import ContextStrategy
from schema.enums.describe import describe

describe(
    ConversationState,
    "Whether a conversation takes messages.",
    {
        "ACTIVE": "In use.",
        "INACTIVE": "Idle for long; the next send lifts it.",
        "PAUSED": "Refuses sends until it is active again.",
        "ARCHIVED": "Read-only, and hidden from lists unless asked for.",
    },
)
describe(
    RequestedState,
    "A state that can be asked for; only time makes a conversation INACTIVE.",
    {
        "ACTIVE": "In use.",
        "PAUSED": "Refuses sends until it is active again.",
        "ARCHIVED": "Read-only, and hidden from lists unless asked for. From here the way is to ACTIVE only.",
    },
)
describe(
    ConversationOrder,
    "The order of a list of conversations.",
    {
        "ACTIVITY_DESC": "Last message first; a rename does not bubble.",
        "ACTIVITY_ASC": "Longest without a message first.",
        "UPDATED_DESC": "Last change first.",
        "CREATED_DESC": "Newest first.",
        "CREATED_ASC": "Oldest first.",
        "TITLE_ASC": "By title; those without one last.",
    },
)
describe(
    TitleSource,
    "Who gave the title.",
    {"NONE": "There is none yet.", "AUTO": "Made from the first message.", "USER": "The user."},
)
describe(
    ContextStrategy,
    "What happens to what does not fit into a model's window.",
    {
        "SLIDING_WINDOW": "The oldest turns are left out.",
        "SUMMARIZE": "They are summed up, and the summary is given in their place.",
        "FAIL": "The send is refused: ContextTooLarge.",
    },
)
describe(
    InstructionScope,
    "Whose instruction it is, strongest first. A weaker layer adds to the stronger ones; it never overrides them.",
    {
        "PLATFORM": "The operator's, for every reply.",
        "ROLE": "The operator's, for users of one role.",
        "ENDPOINT": "The operator's, for one model.",
        "USER": "The user's own, for all their replies.",
        "CONVERSATION": "The user's, for one conversation.",
        "REQUEST": "The user's, for one reply.",
    },
)
describe(
    MessageRole,
    "Who speaks. Nobody can say a role: the API accepts the viewer's own words only.",
    {"USER": "The user.", "ASSISTANT": "The model.", "SYSTEM": "The operator."},
)
describe(
    MessageStatus,
    "What has become of a message. Treat an unknown value as not ended while `completedAt` is null.",
    {
        "PENDING": "Its run waits.",
        "STREAMING": "Its run writes: the text may grow or be cut.",
        "COMPLETE": "Whole; it may still have been cut by length: see `generation.finishReason`.",
        "STOPPED": "Stopped by the user; the text so far is kept.",
        "INTERRUPTED": "Its process was lost; the text so far is kept.",
        "FAILED": "Its run failed; the text so far is kept: see `generation.error`.",
        "BLOCKED": "Withheld by policy; it has no text.",
    },
)
describe(
    MessageAction,
    "What can be tried on a message.",
    {
        "EDIT": "editMessage.",
        "REGENERATE": "regenerateReply.",
        "CONTINUE": "continueReply: it was cut short, and its model can go on.",
        "STOP": "stopGeneration: it is being written, or waits.",
        "RATE": "rateMessage.",
        "FORK": "forkConversation.",
        "SELECT": "selectBranch.",
        "REPLY": "sendMessage with it as `parent`.",
    },
)
describe(
    BusyPolicy,
    "What a send does while a run is writing the branch that it would extend.",
    {
        "REJECT": "Is refused: ConversationBusy.",
        "ENQUEUE": "Stands below the pending reply at once, user message and PENDING reply, and is answered in its turn; at most 5.",
        "INTERRUPT": "Stops the run, keeps its text, and goes on below it.",
        "BRANCH": "Is answered in parallel, as a sibling of the message that is being answered.",
    },
)
describe(
    ForkScope,
    "How much of a conversation a fork copies.",
    {
        "PATH": "The messages from the root down to the one named.",
        "PATH_AND_SIBLINGS": "These and the siblings of each, without what is below those: the pagers of the path stay as they are.",
        "SUBTREE": "The message named, as a root, and all below it.",
    },
)
describe(Rating, "What a user thinks of a reply.", {"UP": "It was good.", "DOWN": "It was not."})
describe(
    ResponseFormatType,
    "What form an answer must have.",
    {
        "TEXT": "Any.",
        "JSON_OBJECT": "One JSON object, and nothing around it.",
        "JSON_SCHEMA": "JSON that is valid against the schema, and nothing around it.",
    },
)
