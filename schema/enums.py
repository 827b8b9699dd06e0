"""The closed sets of the API, each value described for those who switch over it. Enums grow: keep a default branch."""

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from domain.access import ModelUnavailableReason
from domain.conversation.actions import MessageAction
from domain.conversation.commands import BusyPolicy, ForkScope
from domain.conversation.entity import ConversationOrder, ConversationState, RequestedState, TitleSource
from domain.errors import GenerationErrorCode, InputRule, LimitedResource, RefusalCode
from domain.feedback import Rating
from domain.generation.entity import (
    AttemptOutcome,
    FinishReason,
    GenerationStatus,
    GenerationTrigger,
    NoticeCode,
)
from domain.generation.log import TruncationReason
from domain.instruction import InstructionScope
from domain.ledger import UsageDimension
from domain.message import MessageRole, MessageStatus
from domain.model import ModelCapability, ModelHealth, UsageSource
from domain.quota.counter import QuotaState
from domain.quota.limit import QuotaMetric, QuotaScope, QuotaWindow
from domain.response_format import ResponseFormatType
from domain.usage import UsagePurpose
from domain.user import Role
from domain.window.policy import ContextStrategy


def _describe(enum: type[Enum], description: str, values: Mapping[str, str]) -> None:
    strawberry.enum(enum, description=description)
    definition: StrawberryEnumDefinition = enum.__strawberry_definition__  # type: ignore[attr-defined]  # set by the line above
    definition.values = [replace(value, description=values[value.name]) for value in definition.values]


_describe(
    Role,
    "What a user may do.",
    {
        "GUEST": "A visitor without an account.",
        "USER": "An ordinary user.",
        "PREMIUM": "A paying user.",
        "ADMIN": "Runs this server: sees runs, flags, money and audit, and never another person's messages.",
        "SERVICE": "A program.",
    },
)
_describe(
    QuotaMetric,
    "What can be limited.",
    {
        "MESSAGES": "Replies that were asked for: sends, edits, regenerations and continuations.",
        "TOKENS": "Tokens of prompts and answers.",
        "COST": "USD, by the models' prices.",
        "CONCURRENT_GENERATIONS": "Replies that are being written, or wait for their turn.",
    },
)
_describe(
    QuotaWindow,
    "Over which time, of UTC.",
    {
        "MINUTE": "From one full minute to the next.",
        "HOUR": "From one full hour to the next.",
        "DAY": "From midnight to midnight.",
        "MONTH": "From the first of a month to the next.",
        "INSTANT": "At any moment.",
    },
)
_describe(
    QuotaScope,
    "Whom a limit was made for.",
    {
        "USER": "This user.",
        "API_KEY": "The API key that is used.",
        "PLAN": "Every user of the plan, each for himself.",
    },
)
_describe(
    UsageDimension,
    "What usage can be grouped by.",
    {
        "HOUR": "Full hours of UTC.",
        "DAY": "Days of UTC.",
        "MONTH": "Months of UTC.",
        "MODEL": "Who answered.",
        "CONVERSATION": "Where.",
        "PURPOSE": "What for.",
        "USER": "Who asked; for admins.",
    },
)
_describe(
    UsagePurpose,
    "What a model was asked for.",
    {"REPLY": "A reply.", "TITLE": "A conversation's title.", "SUMMARY": "A summary of what no longer fits a window."},
)
_describe(
    QuotaState,
    "Whether a limit has been passed.",
    {
        "OK": "Neither.",
        "SOFT_EXCEEDED": "The soft limit: sends go through.",
        "HARD_EXCEEDED": "Nothing is left: sends are refused until something comes back.",
    },
)
_describe(
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
_describe(
    ConversationState,
    "Whether a conversation takes messages.",
    {
        "ACTIVE": "In use.",
        "INACTIVE": "Idle for long; the next send lifts it.",
        "PAUSED": "Refuses sends until it is active again.",
        "ARCHIVED": "Read-only, and hidden from lists unless asked for.",
    },
)
_describe(
    RequestedState,
    "A state that can be asked for; only time makes a conversation INACTIVE.",
    {
        "ACTIVE": "In use.",
        "PAUSED": "Refuses sends until it is active again.",
        "ARCHIVED": "Read-only, and hidden from lists unless asked for. From here the way is to ACTIVE only.",
    },
)
_describe(
    ContextStrategy,
    "What happens to what does not fit into a model's window.",
    {
        "SLIDING_WINDOW": "The oldest turns are left out.",
        "SUMMARIZE": "They are summed up, and the summary is given in their place.",
        "FAIL": "The send is refused: ContextTooLarge.",
    },
)
_describe(
    TitleSource,
    "Who gave the title.",
    {"NONE": "There is none yet.", "AUTO": "Made from the first message.", "USER": "The user."},
)
_describe(
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
_describe(
    MessageRole,
    "Who speaks. Nobody can say a role: the API accepts the viewer's own words only.",
    {"USER": "The user.", "ASSISTANT": "The model.", "SYSTEM": "The operator."},
)
_describe(
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
_describe(
    GenerationStatus,
    "What has become of a run. It has ended exactly when `endedAt` is set.",
    {
        "QUEUED": "Waits for its turn.",
        "RUNNING": "Writes.",
        "COMPLETED": "The model said all it had to say, or as much as it was allowed to.",
        "STOPPED": "Stopped by the user.",
        "FAILED": "See `error`.",
        "INTERRUPTED": "The process that ran it was lost.",
        "TIMED_OUT": "It took longer than a run may.",
    },
)
_describe(
    FinishReason,
    "Why a run ended.",
    {
        "STOP": "The model was done.",
        "LENGTH": "It reached `maxOutputTokens` or the end of its window.",
        "CONTENT_FILTER": "The model server withheld the rest.",
        "USER_STOP": "stopGeneration.",
        "INTERRUPT": "A newer send took its place.",
        "CANCELLED": "The conversation was deleted.",
        "SERVER_LOST": "The process that ran it was lost.",
        "TIMEOUT": "It took too long.",
        "ERROR": "See `error`.",
        "BUDGET": "The model went on past what was reserved for its answer: it was cut there, and its text is kept.",
    },
)
_describe(
    GenerationTrigger,
    "What started a run.",
    {
        "SEND": "sendMessage.",
        "EDIT": "editMessage.",
        "REGENERATE": "regenerateReply.",
        "CONTINUE": "continueReply.",
    },
)
_describe(
    BusyPolicy,
    "What a send does while a run is writing the branch that it would extend.",
    {
        "REJECT": "ConversationBusy.",
        "ENQUEUE": "Stands below the pending reply at once, user message and PENDING reply, and is answered in its turn; at most 5.",
        "INTERRUPT": "Stops the run, keeps its text, and goes on below it.",
        "BRANCH": "Is answered in parallel, as a sibling of the message that is being answered.",
    },
)
_describe(
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
_describe(
    ForkScope,
    "How much of a conversation a fork copies.",
    {
        "PATH": "The messages from the root down to the one named.",
        "PATH_AND_SIBLINGS": "These and the siblings of each, without what is below those: the pagers of the path stay as they are.",
        "SUBTREE": "The message named, as a root, and all below it.",
    },
)
_describe(Rating, "What a user thinks of a reply.", {"UP": "It was good.", "DOWN": "It was not."})
_describe(
    ResponseFormatType,
    "What form an answer must have.",
    {
        "TEXT": "Any.",
        "JSON_OBJECT": "One JSON object, and nothing around it.",
        "JSON_SCHEMA": "JSON that is valid against the schema, and nothing around it.",
    },
)
_describe(
    NoticeCode,
    "What a notice is about.",
    {
        "CONTEXT_TRIMMED": "The conversation outgrew the model's window: its oldest turns were left out.",
        "CONTEXT_SUMMARIZED": "The conversation outgrew the model's window: a summary stands in for its oldest turns.",
        "SOFT_LIMIT": "A soft limit was passed, for the first time in its window: see `quota`.",
        "MODEL_FALLBACK": "The model did not answer, and another one was asked.",
        "PROVIDER_TRUNCATED": "The model server read only a part of what it was sent.",
        "OUTPUT_REPAIRED": "The first answer was not the JSON that was asked for; the one that stands there is.",
    },
)
_describe(
    AttemptOutcome,
    "What came of one try at a model server.",
    {
        "ANSWERED": "It answered, whole.",
        "REFUSED_CONNECTION": "No connection.",
        "TIMED_OUT": "It was silent for too long.",
        "RATE_LIMITED": "It takes no more requests now.",
        "SERVER_ERROR": "It failed.",
        "BAD_RESPONSE": "It refused, or its answer could not be read.",
        "CUT_OFF": "It broke off.",
        "CANCELLED": "We hung up.",
        "CIRCUIT_OPEN": "It was not asked: it had failed again and again.",
    },
)
_describe(
    GenerationErrorCode,
    "What went wrong in a run. Translate these; decide by `retryable`.",
    {
        "MODEL_UNREACHABLE": "No connection to the model server.",
        "MODEL_OVERLOADED": "The model server has too much to do.",
        "MODEL_REFUSED": "The model server refused the request.",
        "MODEL_BROKE_OFF": "The model server broke off; what it said is kept.",
        "MODEL_ANSWERED_NONSENSE": "The model server's answer could not be read.",
        "MODEL_ANSWERED_NOTHING": "The model server's answer was empty.",
        "FIRST_TOKEN_TIMEOUT": "The model server took too long to begin.",
        "BETWEEN_TOKENS_TIMEOUT": "The model server fell silent; what it said is kept.",
        "TOTAL_TIMEOUT": "The run took longer than a run may.",
        "INVALID_JSON": "The answer is not the JSON that was asked for, also when asked once more; its text is kept.",
        "QUOTA_EXCEEDED": "When its turn came it would have gone past a limit.",
        "CONTEXT_TOO_LARGE": "When its turn came the message no longer fitted the model's window.",
        "SERVER_LOST": "The process that ran it was lost; what was said is kept.",
        "INTERNAL": "A fault of ours.",
    },
)
_describe(
    TruncationReason,
    "Why text was taken back.",
    {
        "STOPPED": "It came after what the user had seen when they stopped the run.",
        "REPAIR": "It was not the JSON that was asked for; another answer takes its place.",
    },
)
_describe(
    UsageSource,
    "How tokens were counted.",
    {
        "PROVIDER": "As the model server reported; a reported 0 stays 0.",
        "ESTIMATED": "Counted by us: the model server reported nothing.",
        "PARTIAL": "Counted by us: the run was cut short.",
    },
)
_describe(
    ModelCapability,
    "What a model can do.",
    {
        "STREAMING": "Answers token by token.",
        "JSON_SCHEMA": "Can be held to a JSON schema.",
        "CONTINUE": "Can go on from a text that was begun.",
        "REASONING": "Thinks aloud before it answers.",
    },
)
_describe(
    ModelHealth,
    "How the model's server does, as this process last saw it.",
    {"UP": "Answers.", "DEGRADED": "Answers, with failures.", "DOWN": "Does not answer.", "UNKNOWN": "Not asked yet."},
)
_describe(
    RefusalCode,
    "One per refusal type; for translations. Treat unknown ones by `retryable`.",
    {
        "INVALID_INPUT": "See `problems`.",
        "NOT_FOUND": "Unknown, deleted, or not yours.",
        "NOT_ALLOWED": "The viewer may not.",
        "QUOTA_EXCEEDED": "It would go past a limit.",
        "TOO_MANY_GENERATIONS": "Too many replies are being written at once.",
        "LIMIT_REACHED": "A cap on stored things.",
        "CONVERSATION_BUSY": "A run is writing the path that the send would extend.",
        "CONVERSATION_CLOSED": "The conversation's state does not allow it.",
        "ILLEGAL_TRANSITION": "There is no way from the state it is in to the one asked for.",
        "STALE_VERSION": "`expectedVersion` did not match: somebody saved first.",
        "STALE_BRANCH": "`expectedLeaf` is no longer the active leaf.",
        "NOT_CONTINUABLE": "The reply ended whole, or has gone on meanwhile.",
        "KEY_REUSED": "The idempotency key stands for another call.",
        "CONTEXT_TOO_LARGE": "The message does not fit the model's window.",
        "MODEL_UNAVAILABLE": "The model takes no requests.",
        "SERVER_DRAINING": "This process is going away.",
        "BANNED": "The viewer may read, and not write.",
    },
)
_describe(
    InputRule,
    "Which rule an input breaks.",
    {
        "REQUIRED": "It must be given.",
        "EMPTY": "It must say something.",
        "TOO_LONG": "See `limit`, in UTF-16 code units.",
        "TOO_MANY": "See `limit`.",
        "OUT_OF_RANGE": "The number lies outside of its range.",
        "MALFORMED": "It cannot be read.",
        "UNKNOWN_VALUE": "No such thing is configured.",
        "FORBIDDEN_CHARACTER": "NUL, or half of a surrogate pair.",
        "CONFLICTING_FIELDS": "Two fields that exclude each other.",
        "WRONG_ROLE": "A message of this role does not allow it.",
        "INVALID_JSON_SCHEMA": "It is no JSON schema, or one that goes beyond what is supported; `path` leads into it.",
    },
)
_describe(
    LimitedResource,
    "What there is only so much of.",
    {
        "API_KEYS": "Live API keys of one user.",
        "CONVERSATIONS": "Conversations of one user.",
        "FORKED_MESSAGES": "Messages that one fork copies, and those that all of a user's forks hold.",
    },
)
_describe(
    ModelUnavailableReason,
    "Why a model is not there for the viewer.",
    {
        "ROLE": "No plan that the viewer may have includes it.",
        "PLAN": "The viewer's plan does not include it: see `requiredPlan`.",
        "DOWN": "Its server does not answer. A send is taken all the same, for its fallbacks and retries.",
        "RETIRED": "It takes no sends any more.",
    },
)
_describe(
    QuotaMetric,
    "What is limited.",
    {
        "MESSAGES": "Sends.",
        "TOKENS": "Tokens of prompts and answers.",
        "COST": "USD.",
        "CONCURRENT_GENERATIONS": "Runs that have not ended.",
    },
)
_describe(
    QuotaWindow,
    "Over which time, UTC.",
    {"MINUTE": "A minute.", "HOUR": "An hour.", "DAY": "A day.", "MONTH": "A month.", "INSTANT": "At a time."},
)
