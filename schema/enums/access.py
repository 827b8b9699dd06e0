"""Who may what, which models there are, and why something was refused."""

from domain.access import ModelUnavailableReason
from domain.errors import InputRule, LimitedResource, RefusalCode
from domain.model import ModelCapability, ModelHealth
from domain.user import Role
from schema.enums.describe import describe

describe(
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
describe(
    ModelCapability,
    "What a model can do.",
    {
        "STREAMING": "Answers token by token.",
        "JSON_SCHEMA": "Can be held to a JSON schema.",
        "CONTINUE": "Can go on from a text that was begun.",
        "REASONING": "Thinks aloud before it answers.",
    },
)
describe(
    ModelHealth,
    "How the model's server does, as this process last saw it.",
    {"UP": "Answers.", "DEGRADED": "Answers, with failures.", "DOWN": "Does not answer.", "UNKNOWN": "Not asked yet."},
)
describe(
    ModelUnavailableReason,
    "Why a model is not there for the viewer.",
    {
        "ROLE": "No plan that the viewer may have includes it.",
        "PLAN": "The viewer's plan does not include it: see `requiredPlan`.",
        "DOWN": "Its server does not answer. A send is taken all the same, for its fallbacks and retries.",
        "RETIRED": "It takes no sends any more.",
    },
)
describe(
    RefusalCode,
    "One per refusal type; for translations. Treat unknown ones by `retryable`.",
    {
        "INVALID_INPUT": "The input breaks rules: see `problems`.",
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
describe(
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
describe(
    LimitedResource,
    "What there is only so much of.",
    {
        "API_KEYS": "Live API keys of one user.",
        "CONVERSATIONS": "Conversations of one user.",
        "FORKED_MESSAGES": "Messages that one fork copies, and those that all of a user's forks hold.",
    },
)
