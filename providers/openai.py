"""Any model server with an OpenAI-compatible `/chat/completions`, and Ollama, which is asked by its own `/api/chat`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import aiohttp
import httpx

from domain.errors import GenerationErrorCode, ModelFailure
from domain.model import ModelHealth, ModelRequest, Piece, Turn
from providers import ollama
from providers.answer import AnswerReader, EventParser
from providers.counting import Counting, PromptCounter
from providers.failures import LONGEST_DETAIL, failed, refusal, retry_after
from providers.health import CachedHealth, OwnCalls
from providers.patience import Patience
from providers.request import body
from providers.sse import SseParser
from providers.tap import TappedTransport, tap_of

# Shorter than what servers allow (5 s in llama.cpp and uvicorn): a POST on a connection that the server is just closing fails.
KEEP_IDLE_CONNECTION = timedelta(seconds=2)
# A whole answer is still worth a moment: for its usage, and for the end of the body, which frees the connection for the next.
AFTER_FINISH = timedelta(seconds=2)
AFTER_DONE = timedelta(milliseconds=200)
# For the words of a refusal.
AFTER_REFUSAL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server is asked, and how it answers. `path`: relative to the base URL."""

    path: str
    media_type: str
    body: Callable[[ModelRequest], bytes]
    parser: Callable[[], EventParser]


OPENAI = Dialect("chat/completions", "text/event-stream", body, SseParser)
OLLAMA = Dialect(ollama.PATH, ollama.MEDIA_TYPE, ollama.body, ollama.LinesParser)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """`base_url` ends before `/chat/completions`, mostly in `/v1`. The first token's time runs from the request on.

    `counts`: how it is asked for the tokens of a prompt; None: it cannot be.
    """

    name: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    connect_timeout: timedelta = timedelta(seconds=5)
    first_token_timeout: timedelta = timedelta(seconds=60)
    between_tokens_timeout: timedelta = timedelta(seconds=30)
    health_timeout: timedelta = timedelta(seconds=2)
    health_kept_for: timedelta = timedelta(seconds=5)
    max_connections: int = 200
    counts: Counting | None = None
    count_timeout: timedelta = timedelta(milliseconds=300)
    dialect: Dialect = OPENAI


class OpenAiServer:
    """One client for one server; open while its `async with` is."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._client = _client(config)
        self._url = self._client.base_url.join(config.dialect.path)
        self._health = CachedHealth(self._client, timeout=config.health_timeout, kept_for=config.health_kept_for)
        self._own_calls = OwnCalls()
        self._counter = PromptCounter(self._client, config.counts, config.count_timeout) if config.counts else None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def health(self) -> ModelHealth:
        return self._own_calls.worse_than(await self._health.now())

    def body(self, request: ModelRequest) -> bytes:
        return self._config.dialect.body(request)

    async def prompt_tokens(self, name_at_provider: str, turns: Sequence[Turn]) -> int | None:
        return await self._counter.tokens(name_at_provider, turns) if self._counter else None

    async def answer(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        reader = AnswerReader(self._config.dialect.parser(), begins=not request.continues)
        patience = Patience(self._config.first_token_timeout, self._config.between_tokens_timeout)
        with self._own_calls.counted(), _told_as_failure(reader), closing(patience):
            async with self._streamed(request, patience) as response:
                chunks, tap = response.aiter_raw(), tap_of(response)
                while chunk := await _next_chunk(chunks, reader, patience):
                    for piece in reader.pieces(chunk):
                        tap.shut()
                        yield piece
                        tap.open()
                        # Only now: the time that our own reader takes is not the model's.
                        patience.begin_again()
            for piece in reader.end():
                yield piece

    @asynccontextmanager
    async def _streamed(self, request: ModelRequest, patience: Patience) -> AsyncIterator[httpx.Response]:
        response = await self._send(request, patience)
        try:
            if response.status_code != 200:
                raise await _refused(response)
            if _media_type(response) != self._config.dialect.media_type:
                raise await _not_a_stream(response)
            yield response
        finally:
            # A body that was not read to its end takes its connection along, so the server sees at once that nobody reads.
            await response.aclose()

    async def _send(self, request: ModelRequest, patience: Patience) -> httpx.Response:
        outgoing = self._client.build_request("POST", self._url, content=self.body(request))
        try:
            with patience:
                return await self._client.send(outgoing, stream=True)
        except httpx.TransportError as error:
            raise failed(GenerationErrorCode.MODEL_UNREACHABLE, repr(error), retryable=True) from error
        except aiohttp.ClientError as error:
            raise failed(GenerationErrorCode.MODEL_ANSWERED_NONSENSE, repr(error)) from error


async def _next_chunk(chunks: AsyncIterator[bytes], reader: AnswerReader, patience: Patience) -> bytes:
    """Empty at the end. What goes wrong behind a whole answer is no failure of the answer."""
    if reader.whole:
        patience.shorten(AFTER_DONE if reader.done else AFTER_FINISH)
    try:
        with patience:
            return await anext(chunks, b"")
    except (TimeoutError, httpx.TransportError, aiohttp.ClientError):
        if reader.whole:
            return b""
        raise


@contextmanager
def _told_as_failure(reader: AnswerReader) -> Iterator[None]:
    try:
        yield
    except ModelFailure as failure:
        failure.retryable = failure.retryable and not reader.begun
        raise
    except TimeoutError as error:
        code = GenerationErrorCode.BETWEEN_TOKENS_TIMEOUT if reader.begun else GenerationErrorCode.FIRST_TOKEN_TIMEOUT
        raise failed(code, retryable=not reader.begun) from error
    except (httpx.TransportError, aiohttp.ClientError) as error:
        raise failed(GenerationErrorCode.MODEL_BROKE_OFF, repr(error), retryable=not reader.begun) from error


async def _refused(response: httpx.Response) -> ModelFailure:
    wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    return refusal(response.status_code, retry_after=wait, detail=await _first_words(response))


def _media_type(response: httpx.Response) -> str:
    media_type: str = response.headers.get("content-type", "")
    return media_type.partition(";")[0].strip().lower()


async def _not_a_stream(response: httpx.Response) -> ModelFailure:
    detail = f"{response.headers.get('content-type')}: {await _first_words(response)}"
    return failed(GenerationErrorCode.MODEL_ANSWERED_NONSENSE, detail, status=response.status_code)


async def _first_words(response: httpx.Response) -> str:
    words = b""
    # They are for the log only: as many as come in time will do.
    with suppress(TimeoutError, httpx.TransportError, aiohttp.ClientError):
        async with asyncio.timeout(AFTER_REFUSAL.total_seconds()):
            chunks = response.aiter_raw()
            while len(words) < LONGEST_DETAIL and (chunk := await anext(chunks, b"")):
                words += chunk
    return words[:LONGEST_DETAIL].decode("utf-8", "replace")


def _client(config: ServerConfig) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=config.max_connections, keepalive_expiry=KEEP_IDLE_CONNECTION.total_seconds())
    return httpx.AsyncClient(
        transport=TappedTransport(limits=limits, trust_env=False),
        base_url=config.base_url,
        headers=_headers(config),
        # Reading has its own limits, between tokens and not between bytes.
        timeout=httpx.Timeout(None, connect=config.connect_timeout.total_seconds()),
        trust_env=False,
    )


def _headers(config: ServerConfig) -> dict[str, str]:
    headers = {
        "accept": f"{config.dialect.media_type}, application/json;q=0.5",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "gus",
    }
    return headers | ({"authorization": f"Bearer {config.api_key}"} if config.api_key else {})
