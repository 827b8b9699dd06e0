"""Models on offer, what they are asked, and the pieces in which they answer."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import NewType, Protocol

from domain.errors import ModelUnavailable
from domain.response_format import ResponseFormat

ModelKey = NewType("ModelKey", str)

NANO_USD = 1_000_000_000


class ModelCapability(Enum):
    STREAMING = "STREAMING"
    JSON_SCHEMA = "JSON_SCHEMA"
    CONTINUE = "CONTINUE"
    REASONING = "REASONING"


class ModelHealth(Enum):
    UP = "UP"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Model:
    """Prices are USD for a million tokens. `max_output_tokens` also is what a run reserves when it names no limit.

    `max_concurrency`: how many answers its server gives at once, over all processes; None: as many as are asked for.
    """

    key: ModelKey
    provider: str
    name_at_provider: str
    display_name: str
    context_window: int
    max_output_tokens: int | None
    capabilities: frozenset[ModelCapability]
    input_price_per_million: Decimal
    output_price_per_million: Decimal
    retired: bool = False
    fallbacks: tuple[ModelKey, ...] = ()
    max_concurrency: int | None = None

    @property
    def id(self) -> ModelKey:
        return self.key

    @property
    def tokenizer(self) -> str:
        """Models of one name count alike, whichever server has them."""
        return self.name_at_provider

    def cost(self, usage: "Usage") -> Decimal:
        """USD, exact to the nano."""
        per_million = (
            usage.input_tokens * self.input_price_per_million + usage.output_tokens * self.output_price_per_million
        )
        return (per_million / 1_000_000).quantize(Decimal(1) / NANO_USD)


class UsageSource(Enum):
    """The surest first."""

    PROVIDER = "PROVIDER"
    ESTIMATED = "ESTIMATED"
    PARTIAL = "PARTIAL"


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int
    output_tokens: int
    source: UsageSource
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """As sure as the less sure of both."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            max(self.source, other.source, key=list(UsageSource).index),
            self.cached_input_tokens + other.cached_input_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Of a text by itself, without what a template puts around it."""

    tokenizer: str
    tokens: int


class Speaker(Enum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Turn:
    """`verbatim`: role markers in it are the operator's own; in every other turn they are broken before they are sent."""

    speaker: Speaker
    text: str
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """`name_at_provider`: the model's name at its server. `continues`: the last turn is the answer's own beginning.

    `response_format`: what the server is to hold the answer to. `context_window`: the model's, for a server that wants to be told.
    """

    name_at_provider: str
    turns: tuple[Turn, ...]
    max_output_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    continues: bool = False
    response_format: ResponseFormat | None = None
    context_window: int | None = None


class ModelFinishReason(Enum):
    STOP = "STOP"
    LENGTH = "LENGTH"
    CONTENT_FILTER = "CONTENT_FILTER"


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Never empty; no NUL, no lone surrogate, never half a pair. `tokens`: of how many deltas of the server's it was made."""

    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class ReasoningPiece:
    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """As the server says; a reported 0 stays 0."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """Always the last piece of an answer that is whole. `usage` is None when the server reported none."""

    reason: ModelFinishReason
    usage: ReportedUsage | None


Piece = TextPiece | ReasoningPiece | AnswerEnd


class LanguageModel(Protocol):
    """One model server."""

    def answer(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """One try. Pieces in order, an AnswerEnd last; raises ModelFailure.

        Closing the generator, or cancelling the task that reads it, closes the connection to the server at once.
        """

    def body(self, request: ModelRequest) -> bytes:
        """What `answer` will send, to the byte."""

    async def prompt_tokens(self, name_at_provider: str, turns: Sequence[Turn]) -> int | None:
        """Of these turns as prompted, template and all; None: this server does not count, or not in time."""

    async def health(self) -> ModelHealth: ...


class ModelServers(Protocol):
    """Every configured model server by its name in the configuration."""

    def __getitem__(self, provider: str) -> LanguageModel: ...


class Models:
    """The catalogue: configured at start, changed by administrators; the first one is the default."""

    def __init__(self, models: Iterable[Model], servers: ModelServers) -> None:
        self._models = {model.key: model for model in models}
        self._servers = servers

    def become(self, models: Iterable[Model]) -> None:
        """What administrators have said since is in it."""
        self._models = {model.key: model for model in models}

    def on_offer(self) -> list[Model]:
        return [model for model in self._models.values() if not model.retired]

    @property
    def keys(self) -> list[ModelKey]:
        return list(self._models)

    def find(self, key: ModelKey) -> Model | None:
        return self._models.get(key)

    def recorded(self, key: ModelKey) -> Model:
        """A model that old replies name: one that has left the configuration reads as retired."""
        return self._models.get(key) or _forgotten(key)

    def server(self, model: Model) -> LanguageModel:
        return self._servers[model.provider]

    async def health(self, model: Model) -> ModelHealth:
        return ModelHealth.UNKNOWN if model.retired else await self.server(model).health()

    def require_offered(self, model: Model) -> Model:
        """Raises ModelUnavailable."""
        if model.retired:
            raise ModelUnavailable(model, tuple(self.on_offer()[:10]))
        return model


def _forgotten(key: ModelKey) -> Model:
    return Model(key, "", key, key, 0, None, frozenset(), Decimal(0), Decimal(0), retired=True)
