"""A generation: one run of a model that writes one reply."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

from domain.errors import GenerationErrorCode
from domain.message import MessageStatus
from domain.model import Model, ModelKey, TokenCount, Usage
from domain.quota.claim import Claim, Price
from domain.quota.counter import QuotaId
from domain.response_format import ResponseFormat
from domain.window.report import ContextReport
from domain.world import ApiKeyId, ConversationId, GenerationId, MessageId, UserId


class GenerationStatus(Enum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    TIMED_OUT = "TIMED_OUT"

    def of_reply(self) -> MessageStatus:
        return _REPLY_STATUS[self]


_REPLY_STATUS = {
    GenerationStatus.QUEUED: MessageStatus.PENDING,
    GenerationStatus.RUNNING: MessageStatus.STREAMING,
    GenerationStatus.COMPLETED: MessageStatus.COMPLETE,
    GenerationStatus.STOPPED: MessageStatus.STOPPED,
    GenerationStatus.FAILED: MessageStatus.FAILED,
    GenerationStatus.INTERRUPTED: MessageStatus.INTERRUPTED,
    GenerationStatus.TIMED_OUT: MessageStatus.FAILED,
}


class FinishReason(Enum):
    STOP = "STOP"
    LENGTH = "LENGTH"
    CONTENT_FILTER = "CONTENT_FILTER"
    USER_STOP = "USER_STOP"
    INTERRUPT = "INTERRUPT"
    CANCELLED = "CANCELLED"
    SERVER_LOST = "SERVER_LOST"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"
    BUDGET = "BUDGET"


class GenerationTrigger(Enum):
    SEND = "SEND"
    EDIT = "EDIT"
    REGENERATE = "REGENERATE"
    CONTINUE = "CONTINUE"


@dataclass(frozen=True, slots=True)
class GenerationError:
    """`retryable`: a button to ask again is worth showing; not whether gus itself asks again."""

    code: GenerationErrorCode
    retryable: bool
    retry_after: float | None = None

    @property
    def message(self) -> str:
        return _WORDS[self.code]


HOPELESS = frozenset({GenerationErrorCode.MODEL_REFUSED, GenerationErrorCode.CONTEXT_TOO_LARGE})

_WORDS = {
    GenerationErrorCode.MODEL_UNREACHABLE: "The model server could not be reached.",
    GenerationErrorCode.MODEL_OVERLOADED: "The model server takes no more requests now.",
    GenerationErrorCode.MODEL_REFUSED: "The model server refused the request.",
    GenerationErrorCode.MODEL_BROKE_OFF: "The model server broke off in the middle of its answer.",
    GenerationErrorCode.MODEL_ANSWERED_NONSENSE: "The model server's answer could not be read.",
    GenerationErrorCode.MODEL_ANSWERED_NOTHING: "The model server's answer was empty.",
    GenerationErrorCode.FIRST_TOKEN_TIMEOUT: "The model server took too long to begin its answer.",
    GenerationErrorCode.BETWEEN_TOKENS_TIMEOUT: "The model server fell silent in the middle of its answer.",
    GenerationErrorCode.TOTAL_TIMEOUT: "The answer took too long.",
    GenerationErrorCode.INVALID_JSON: "The answer is not the JSON that was asked for, nor was it when asked once more.",
    GenerationErrorCode.CONTEXT_TOO_LARGE: "The message did not fit the model's context window when its turn came.",
    GenerationErrorCode.QUOTA_EXCEEDED: "When its turn came, or that of a fallback, the reply would have gone past a limit.",
    GenerationErrorCode.SERVER_LOST: "The process that wrote the reply was lost; the text so far is kept.",
    GenerationErrorCode.INTERNAL: "Something is wrong on our side.",
}


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """None: the conversation's, then the model's or the server's default."""

    model: ModelKey | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    response_format: ResponseFormat | None = None

    def over(self, weaker: "GenerationSettings") -> "GenerationSettings":
        """Field by field."""
        mine = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        return replace(weaker, **mine)


class NoticeCode(Enum):
    CONTEXT_TRIMMED = "CONTEXT_TRIMMED"
    CONTEXT_SUMMARIZED = "CONTEXT_SUMMARIZED"
    SOFT_LIMIT = "SOFT_LIMIT"
    MODEL_FALLBACK = "MODEL_FALLBACK"
    PROVIDER_TRUNCATED = "PROVIDER_TRUNCATED"
    OUTPUT_REPAIRED = "OUTPUT_REPAIRED"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a run that its user should know and that is no failure. `quota_id`: of the limit that it is about."""

    code: NoticeCode
    message: str
    quota_id: QuotaId | None = None


class AttemptOutcome(Enum):
    ANSWERED = "ANSWERED"
    REFUSED_CONNECTION = "REFUSED_CONNECTION"
    TIMED_OUT = "TIMED_OUT"
    RATE_LIMITED = "RATE_LIMITED"
    SERVER_ERROR = "SERVER_ERROR"
    BAD_RESPONSE = "BAD_RESPONSE"
    CUT_OFF = "CUT_OFF"
    CANCELLED = "CANCELLED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"


@dataclass(frozen=True, slots=True)
class ProviderAttempt:
    """One try at one model server. `provider_status`: of its HTTP answer, where there was one."""

    provider: str
    model: str
    started_at: datetime
    ended_at: datetime
    outcome: AttemptOutcome
    provider_status: int | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """`text_offset`: where its text begins in the reply, in UTF-16 code units. `last_seq`: of its log.

    `estimated_input_tokens`: our count of the prompt, taken before it was sent. `waits_for`: the run before it in a queue.
    `produced_tokens`: the model's, as counted while they came in. `instruction`: what it was given for itself alone.
    `context`: None until it is assembled.
    `reserved` and `reserved_tokens`: what was held for it at most, None: nothing. `prices`: of those who may answer.
    """

    id: GenerationId
    conversation_id: ConversationId
    owner_id: UserId
    reply_id: MessageId
    trigger: GenerationTrigger
    status: GenerationStatus
    model_key: ModelKey
    requested_model_key: ModelKey
    settings: GenerationSettings
    estimated_input_tokens: int
    queued_at: datetime
    started_at: datetime | None = None
    first_token_at: datetime | None = None
    ended_at: datetime | None = None
    finish_reason: FinishReason | None = None
    error: GenerationError | None = None
    usage: Usage | None = None
    cost: Decimal | None = None
    text_offset: int = 0
    last_seq: int = 0
    attempt: int = 1
    queue_position: int | None = None
    waits_for: GenerationId | None = None
    notices: tuple[Notice, ...] = ()
    attempts: tuple[ProviderAttempt, ...] = ()
    produced_tokens: int = 0
    instruction: str | None = None
    context: ContextReport | None = None
    api_key_id: ApiKeyId | None = None
    reserved: Decimal | None = None
    reserved_tokens: int = 0
    prices: tuple[Price, ...] = ()

    def priced(self, model: Model) -> Model:
        """The model at the prices of when the run was accepted."""
        agreed = next((price for price in self.prices if price.model_key == model.key), None)
        if agreed is None:
            return model
        return replace(
            model,
            input_price_per_million=agreed.input_per_million,
            output_price_per_million=agreed.output_per_million,
        )

    def holds(self, claim: Claim) -> bool:
        return self.reserved is None or (claim.cost <= self.reserved and claim.tokens <= self.reserved_tokens)

    @property
    def delivered(self) -> bool:
        """Something of it was shown, or may have been."""
        return self.first_token_at is not None

    @property
    def latency_ms(self) -> int | None:
        return _ms(self.ended_at - self.queued_at) if self.ended_at else None

    @property
    def time_to_first_token_ms(self) -> int | None:
        return _ms(self.first_token_at - self.queued_at) if self.first_token_at else None

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens over the time from the first token to the end."""
        if not (self.usage and self.first_token_at and self.ended_at and self.ended_at > self.first_token_at):
            return None
        return self.usage.output_tokens / (self.ended_at - self.first_token_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, whatever its end. `text` and `reasoning` are the reply's, whole; `model_key`: who answered.

    `handed_over`: another process is to go on with the reply. `tokens`: of `text`, where the model's server counted them.
    """

    status: GenerationStatus
    finish_reason: FinishReason
    text: str
    usage: Usage | None = None
    reasoning: str | None = None
    error: GenerationError | None = None
    model_key: ModelKey | None = None
    notices: tuple[Notice, ...] = ()
    attempts: tuple[ProviderAttempt, ...] = ()
    handed_over: bool = False
    tokens: TokenCount | None = None

    def cost(self, model: Model) -> Decimal | None:
        return model.cost(self.usage) if self.usage else None


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
