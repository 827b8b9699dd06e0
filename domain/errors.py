"""Everything the domain can say no with.

DomainError
├── Refusal                a mutation's typed answer; nothing was changed
│   ├── InvalidInput       NotFound          NotAllowed       LimitReached
│   ├── ConversationBusy   ConversationClosed                 IllegalTransition
│   ├── StaleBranch        StaleVersion      NotContinuable   KeyReused
│   ├── QuotaExceeded      TooManyGenerations
│   └── ContextTooLarge    ModelUnavailable  ServerDraining    Banned
├── BadPage                pagination arguments that mean nothing
├── BadVariables           arguments of a field that mean nothing together
├── BadCursor              a log cursor beyond the log's end
├── UnknownId              a subscription to what is not there, or not yours
├── NotAuthenticated       no credential where one is needed
├── Unavailable            storage that cannot answer now; nothing was changed
│   └── Gone               deleted between two reads of one operation
├── Unstorable             a value that no column takes, a bug of ours; nothing was changed
└── ModelFailure           a model server that did not answer properly
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from domain.conversation.entity import Conversation, ConversationState
    from domain.generation.entity import Generation
    from domain.message import Message
    from domain.model import Model
    from domain.plan import Plan
    from domain.quota.counter import Quota
    from domain.user import Role


class RefusalCode(Enum):
    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    NOT_ALLOWED = "NOT_ALLOWED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    TOO_MANY_GENERATIONS = "TOO_MANY_GENERATIONS"
    LIMIT_REACHED = "LIMIT_REACHED"
    CONVERSATION_BUSY = "CONVERSATION_BUSY"
    CONVERSATION_CLOSED = "CONVERSATION_CLOSED"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    STALE_BRANCH = "STALE_BRANCH"
    STALE_VERSION = "STALE_VERSION"
    NOT_CONTINUABLE = "NOT_CONTINUABLE"
    KEY_REUSED = "KEY_REUSED"
    CONTEXT_TOO_LARGE = "CONTEXT_TOO_LARGE"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    SERVER_DRAINING = "SERVER_DRAINING"
    BANNED = "BANNED"


class InputRule(Enum):
    REQUIRED = "REQUIRED"
    EMPTY = "EMPTY"
    TOO_LONG = "TOO_LONG"
    TOO_MANY = "TOO_MANY"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    MALFORMED = "MALFORMED"
    UNKNOWN_VALUE = "UNKNOWN_VALUE"
    FORBIDDEN_CHARACTER = "FORBIDDEN_CHARACTER"
    CONFLICTING_FIELDS = "CONFLICTING_FIELDS"
    WRONG_ROLE = "WRONG_ROLE"
    INVALID_JSON_SCHEMA = "INVALID_JSON_SCHEMA"


class LimitedResource(Enum):
    API_KEYS = "API_KEYS"
    CONVERSATIONS = "CONVERSATIONS"
    FORKED_MESSAGES = "FORKED_MESSAGES"


class DomainError(Exception):
    """`message` is for developers, in English, and says what to do next."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refusal(DomainError):
    code: ClassVar[RefusalCode]
    retryable: bool = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class InputProblem:
    """`path` leads from the argument down; `limit` is the bound that was passed."""

    rule: InputRule
    path: tuple[str, ...]
    message: str
    limit: int | None = None


class InvalidInput(Refusal):
    code = RefusalCode.INVALID_INPUT
    MOST_PROBLEMS: ClassVar[int] = 20

    def __init__(self, problems: list[InputProblem]) -> None:
        super().__init__("The input breaks a rule: see `problems`, correct it and call again.")
        self.problems = problems[: self.MOST_PROBLEMS]


class NotFound(Refusal):
    """Unknown and not yours look the same."""

    code = RefusalCode.NOT_FOUND

    def __init__(self, *path: str, message: str | None = None) -> None:
        super().__init__(message or f"There is no such {path[-1]}: it never existed, was deleted, or is not yours.")
        self.path = path


class NotAllowed(Refusal):
    """What would be enough, of what the viewer can get; None where nothing is."""

    code = RefusalCode.NOT_ALLOWED

    def __init__(
        self,
        message: str,
        *,
        required_role: "Role | None" = None,
        required_plan: "Plan | None" = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.required_role, self.required_plan = required_role, required_plan
        self.retryable = retry_after is not None


class QuotaExceeded(Refusal):
    """`quota`: as it is without what was asked for. `fits_ever`: that much fits into an empty window."""

    code = RefusalCode.QUOTA_EXCEEDED

    def __init__(self, quota: "Quota", wait: float, *, fits_ever: bool) -> None:
        advice = "wait, and send again" if fits_ever else "this would not even fit into an empty window: ask for less"
        super().__init__(
            f"The limit of {quota.metric.value} for each {quota.window.value} is reached: {advice}.", retry_after=wait
        )
        self.quota, self.retryable = quota, fits_ever


class TooManyGenerations(Refusal):
    """`generations`: the viewer's own, oldest first."""

    code = RefusalCode.TOO_MANY_GENERATIONS
    retryable = True

    def __init__(self, generations: "list[Generation]", *, active: int, limit: int) -> None:
        super().__init__(f"{active} of at most {limit} replies are being written: wait for one to end, or stop one.")
        self.generations, self.active, self.limit = generations, active, limit


class LimitReached(Refusal):
    code = RefusalCode.LIMIT_REACHED

    def __init__(self, resource: LimitedResource, *, active: int, limit: int) -> None:
        super().__init__(f"You have {active} of at most {limit}: remove one first.")
        self.resource, self.active, self.limit = resource, active, limit


class ConversationBusy(Refusal):
    code = RefusalCode.CONVERSATION_BUSY
    retryable = True

    def __init__(self, active: "Generation") -> None:
        super().__init__("A reply is still being written on this path: wait for its end, or stop it, and send again.")
        self.active_generation = active


class ConversationClosed(Refusal):
    code = RefusalCode.CONVERSATION_CLOSED

    def __init__(self, state: "ConversationState") -> None:
        super().__init__(f"The conversation is {state.value}: make it ACTIVE by setConversationState, and call again.")
        self.state = state


class IllegalTransition(Refusal):
    code = RefusalCode.ILLEGAL_TRANSITION

    def __init__(self, from_state: "ConversationState", to_state: "ConversationState") -> None:
        super().__init__(f"From {from_state.value} there is no way to {to_state.value}: make it ACTIVE first.")
        self.from_state, self.to_state = from_state, to_state


class StaleBranch(Refusal):
    code = RefusalCode.STALE_BRANCH

    def __init__(self, current_leaf: "Message | None") -> None:
        super().__init__("The conversation has moved on: show `currentLeaf` and send again below it.")
        self.current_leaf = current_leaf


class StaleVersion(Refusal):
    code = RefusalCode.STALE_VERSION

    def __init__(self, conversation: "Conversation") -> None:
        super().__init__("Somebody saved first: merge with `conversation`, and save again with its version.")
        self.conversation = conversation


class NotContinuable(Refusal):
    code = RefusalCode.NOT_CONTINUABLE

    def __init__(self, current_reply: "Message", why: str) -> None:
        super().__init__(why)
        self.current_reply = current_reply


class KeyReused(Refusal):
    code = RefusalCode.KEY_REUSED

    def __init__(self, idempotency_key: str) -> None:
        super().__init__("This idempotency key was used for another mutation or other input: make a new key.")
        self.idempotency_key = idempotency_key


class ContextTooLarge(Refusal):
    code = RefusalCode.CONTEXT_TOO_LARGE

    def __init__(self, *, required_tokens: int, limit_tokens: int, whole_path: bool = False) -> None:
        """`whole_path`: the policy is FAIL, and it is not the message alone that is too large."""
        super().__init__(
            "The conversation does not fit the window any more, and its policy is FAIL: change `contextPolicy`, or take another model."
            if whole_path
            else "The message does not fit: shorten it, or take another model or a context policy that leaves it more room."
        )
        self.required_tokens, self.limit_tokens = required_tokens, limit_tokens


class ModelUnavailable(Refusal):
    code = RefusalCode.MODEL_UNAVAILABLE
    retryable = True

    def __init__(self, model: "Model", alternatives: "tuple[Model, ...]") -> None:
        super().__init__(f"The model {model.key} takes no requests now: take one of `alternatives`.")
        self.model, self.alternatives = model, alternatives
        self.retryable = not model.retired


class ServerDraining(Refusal):
    code = RefusalCode.SERVER_DRAINING
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "This process is going away and wrote nothing: call again and another one answers.", retry_after=1.0
        )


class Banned(Refusal):
    """`until` None: for good."""

    code = RefusalCode.BANNED

    def __init__(self, until: datetime | None) -> None:
        super().__init__("You are banned from writing; what is there can still be read.")
        self.until = until


class BadPage(DomainError):
    pass


class BadVariables(DomainError):
    pass


class BadCursor(DomainError):
    pass


class UnknownId(DomainError):
    pass


class NotAuthenticated(DomainError):
    """`lasting`: the same credential will never be good again."""

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class Unavailable(DomainError):
    """`retry_after` in seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Gone(Unavailable):
    def __init__(self) -> None:
        super().__init__("The conversation was deleted while it was read: ask again.")


class Unstorable(DomainError):
    """Says nothing about the value: it may be a user's text."""


class GenerationErrorCode(Enum):
    MODEL_UNREACHABLE = "MODEL_UNREACHABLE"
    MODEL_OVERLOADED = "MODEL_OVERLOADED"
    MODEL_REFUSED = "MODEL_REFUSED"
    MODEL_BROKE_OFF = "MODEL_BROKE_OFF"
    MODEL_ANSWERED_NONSENSE = "MODEL_ANSWERED_NONSENSE"
    MODEL_ANSWERED_NOTHING = "MODEL_ANSWERED_NOTHING"
    FIRST_TOKEN_TIMEOUT = "FIRST_TOKEN_TIMEOUT"
    BETWEEN_TOKENS_TIMEOUT = "BETWEEN_TOKENS_TIMEOUT"
    TOTAL_TIMEOUT = "TOTAL_TIMEOUT"
    INVALID_JSON = "INVALID_JSON"
    CONTEXT_TOO_LARGE = "CONTEXT_TOO_LARGE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    SERVER_LOST = "SERVER_LOST"
    INTERNAL = "INTERNAL"


class ModelFailure(DomainError):
    """`retryable`: the same request may succeed later. `detail` is for the log only; it may hold the server's words."""

    def __init__(
        self,
        code: GenerationErrorCode,
        *,
        retryable: bool,
        retry_after: float | None = None,
        status: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(code.value)
        self.code, self.retryable, self.retry_after = code, retryable, retry_after
        self.status, self.detail = status, detail
