"""One streamed answer: the bytes of a `/chat/completions` body in, pieces and one end out."""

import json
from collections.abc import Iterator
from typing import Protocol

import msgspec

from domain.errors import GenerationErrorCode, ModelFailure
from domain.model import AnswerEnd, ModelFinishReason, Piece, ReasoningPiece, ReportedUsage, TextPiece
from providers.failures import error_event, failed
from providers.sse import EventTooLarge, SseEvent, SseParser
from providers.text import Deltas
from providers.thinking import Thinking

DONE = "[DONE]"

REASONS = {
    "stop": ModelFinishReason.STOP,
    "length": ModelFinishReason.LENGTH,
    "content_filter": ModelFinishReason.CONTENT_FILTER,
}


class _Delta(msgspec.Struct):
    content: str
    reasoning_content: None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: None = None


class _PlainChunk(msgspec.Struct):
    """What nearly all chunks are: one delta of text and nothing that ends, counts or fails."""

    choices: tuple[_Choice]
    usage: None = None
    error: None = None


_plain_chunk = msgspec.json.Decoder(_PlainChunk)


class EventParser(Protocol):
    def events(self, chunk: bytes) -> Iterator[SseEvent]:
        """Those that `chunk` completes. Raises EventTooLarge."""


class AnswerReader:
    """`parser`: of its bytes, by default of server-sent events. `begins`: the text is an answer from its beginning.

    `begun`: a piece was handed out. `whole`: the server said that this is all. `done`: nothing can follow.
    """

    def __init__(self, parser: EventParser | None = None, *, begins: bool = True) -> None:
        self._parser = parser or SseParser()
        self._text, self._reasoning = Deltas(), Deltas()
        self._thinking = Thinking(begins=begins)
        self._pieces: list[TextPiece | ReasoningPiece] = []
        self._has_text = False
        self._reason: ModelFinishReason | None = None
        self._usage: ReportedUsage | None = None
        self.begun = self.done = False

    @property
    def whole(self) -> bool:
        return self.done or self._reason is not None

    def pieces(self, chunk: bytes) -> Iterator[Piece]:
        """Neighbours of one kind are one piece. Raises ModelFailure, after the pieces that came before it."""
        failure: ModelFailure | None = None
        try:
            for event in self._parser.events(chunk):
                self._take(event)
        except EventTooLarge as error:
            failure = failed(GenerationErrorCode.MODEL_ANSWERED_NONSENSE, error)
        except ModelFailure as error:
            failure = error
        yield from self._taken()
        if failure is not None:
            raise failure

    def end(self) -> Iterator[Piece]:
        """To be called when nothing more can be read. Raises ModelFailure unless the answer is whole."""
        self._deliver(self._reasoning.rest(), self._text.rest())
        thought, said = self._thinking.rest()
        self._hand_out(thought, said)
        yield from self._taken()
        if not self.whole:
            raise failed(GenerationErrorCode.MODEL_BROKE_OFF, "the stream ended before the answer", retryable=True)
        reason = self._reason or ModelFinishReason.STOP
        if not self._has_text and reason is not ModelFinishReason.CONTENT_FILTER:
            raise failed(GenerationErrorCode.MODEL_ANSWERED_NOTHING, retryable=True)
        yield AnswerEnd(reason, self._usage)

    def _take(self, event: SseEvent) -> None:
        if event.kind == "error":
            raise error_event(_record_or_words(event.data), begun=self.begun)
        if event.data == DONE:
            self.done = True
            return
        try:
            # An eighth of the time of what follows, which reads all that a chunk may be.
            plain = _plain_chunk.decode(event.data)
        except (ValueError, RecursionError):
            self._take_record(_record(event.data))
        else:
            self._deliver("", self._text.fit(plain.choices[0].delta.content))

    def _take_record(self, record: dict[str, object]) -> None:
        if record.get("error"):
            raise error_event(record["error"], begun=self.begun)
        # A server may report usage with every chunk; the last one counts.
        self._usage = _usage(record.get("usage")) or self._usage
        # With `include_usage` the last chunk has no choices at all.
        for choice in _choices(record):
            self._take_choice(choice)

    def _take_choice(self, choice: dict[str, object]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            reasoning, text = _words(delta, "reasoning_content"), _words(delta, "content")
            self._deliver(self._reasoning.fit(reasoning), self._text.fit(text))
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._reason = REASONS.get(reason, ModelFinishReason.STOP)

    def _deliver(self, reasoning: str, text: str) -> None:
        thought, said = self._thinking.split(text) if text else ("", "")
        self._hand_out(reasoning + thought, said)

    def _hand_out(self, reasoning: str, text: str) -> None:
        if reasoning:
            self.begun = True
            self._add(ReasoningPiece(reasoning))
        if text:
            self.begun = self._has_text = True
            self._add(TextPiece(text))

    def _add(self, piece: TextPiece | ReasoningPiece) -> None:
        last = self._pieces[-1] if self._pieces else None
        if last is not None and type(last) is type(piece):
            self._pieces[-1] = type(piece)(last.text + piece.text, last.tokens + piece.tokens)
        else:
            self._pieces.append(piece)

    def _taken(self) -> list[TextPiece | ReasoningPiece]:
        taken, self._pieces = self._pieces, []
        return taken


def _record(payload: str) -> dict[str, object]:
    try:
        record = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _nonsense(payload) from error
    if not isinstance(record, dict):
        raise _nonsense(payload)
    return record


def _record_or_words(payload: str) -> object:
    try:
        record = _record(payload)
    except ModelFailure:
        return payload
    return record.get("error") or record


def _choices(record: dict[str, object]) -> list[dict[str, object]]:
    """We ask for one choice: what a server sends beyond the first is not an answer to us."""
    choices = record.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise _nonsense(record)
    return choices[:1]


def _words(delta: dict[str, object], name: str) -> str:
    words = delta.get(name)
    if words is None:
        return ""
    if not isinstance(words, str):
        raise _nonsense(delta)
    return words


def _usage(reported: object) -> ReportedUsage | None:
    if not isinstance(reported, dict):
        return None
    prompt, completion = _count(reported, "prompt_tokens"), _count(reported, "completion_tokens")
    if prompt is None or completion is None:
        return None
    cached = _count(reported.get("prompt_tokens_details"), "cached_tokens") or 0
    reasoning = _count(reported.get("completion_tokens_details"), "reasoning_tokens") or 0
    return ReportedUsage(prompt, completion, cached_input_tokens=cached, reasoning_tokens=reasoning)


def _count(counts: object, name: str) -> int | None:
    count = counts.get(name) if isinstance(counts, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


def _nonsense(what: object) -> ModelFailure:
    return failed(GenerationErrorCode.MODEL_ANSWERED_NONSENSE, what)
