"""Generations: how they start, go on and end."""

from domain.errors import GenerationErrorCode
from domain.generation.entity import AttemptOutcome, FinishReason, GenerationStatus, GenerationTrigger, NoticeCode
from domain.generation.log import TruncationReason
from schema.enums.describe import describe

describe(
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
describe(
    GenerationTrigger,
    "What started a run.",
    {
        "SEND": "sendMessage.",
        "EDIT": "editMessage.",
        "REGENERATE": "regenerateReply.",
        "CONTINUE": "continueReply.",
    },
)
describe(
    FinishReason,
    "Why a run ended.",
    {
        "STOP": "The model was done.",
        "LENGTH": "It reached `maxOutputTokens` or the end of its window.",
        "CONTENT_FILTER": "The model server withheld the rest.",
        "USER_STOP": "The user stopped it: stopGeneration.",
        "INTERRUPT": "A newer send took its place.",
        "CANCELLED": "The conversation was deleted.",
        "SERVER_LOST": "The process that ran it was lost.",
        "TIMEOUT": "It took too long.",
        "ERROR": "See `error`.",
        "BUDGET": "The model went on past what was reserved for its answer: it was cut there, and its text is kept.",
    },
)
describe(
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
        "QUOTA_EXCEEDED": "When its turn came, or that of a fallback, it would have gone past a limit: see `viewer.quotas`.",
        "CONTEXT_TOO_LARGE": "When its turn came the message no longer fitted the model's window.",
        "SERVER_LOST": "The process that ran it was lost; what was said is kept.",
        "INTERNAL": "A fault of ours.",
    },
)
describe(
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
describe(
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
describe(
    TruncationReason,
    "Why text was taken back.",
    {
        "STOPPED": "It came after what the user had seen when they stopped the run.",
        "REPAIR": "It was not the JSON that was asked for; another answer takes its place.",
    },
)
