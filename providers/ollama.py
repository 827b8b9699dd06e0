"""Ollama's own /api/chat: the one by which a request says how large the model's window is to be (`num_ctx`).

https://docs.ollama.com/api/chat. Its OpenAI-compatible endpoint takes no such thing, and cuts what does not fit its default.
"""

import json
from collections.abc import Iterator

from domain.model import ModelRequest
from providers.request import messages
from providers.sse import LARGEST_EVENT_BYTES, EventTooLarge, SseEvent
from providers.text import fit

PATH = "../api/chat"
MEDIA_TYPE = "application/x-ndjson"


def body(request: ModelRequest) -> bytes:
    form = request.response_format
    asked: dict[str, object] = {
        "model": request.name_at_provider,
        "messages": messages(request.turns),
        "stream": True,
        "options": {name: value for name, value in _options(request).items() if value is not None},
    }
    if form is not None and form.is_json:
        asked["format"] = "json" if form.schema is None else json.loads(form.schema)
    return json.dumps(asked).encode()


def _options(request: ModelRequest) -> dict[str, object]:
    return {
        "num_ctx": request.context_window,
        "num_predict": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": [fit(stop) for stop in request.stop] or None,
    }


class LinesParser:
    """Its lines of JSON as the events of an OpenAI-compatible stream. A line that is not ended is bounded."""

    def __init__(self) -> None:
        self._line = bytearray()

    def events(self, chunk: bytes) -> Iterator[SseEvent]:
        """Those that `chunk` completes; to be read to its end. Raises EventTooLarge after those that came before it."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line, self._line = bytes(self._line) + end, bytearray()
            if line.strip():
                yield from _events(line)
        if len(self._line) + len(rest) > LARGEST_EVENT_BYTES:
            raise EventTooLarge(f"a line of more than {LARGEST_EVENT_BYTES} bytes")
        self._line += rest


def _events(line: bytes) -> Iterator[SseEvent]:
    """What is no record of Ollama's is left to who reads the events: to them it is nonsense as well."""
    text = line.decode("utf-8", "replace")
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        yield SseEvent("message", text)
    elif "error" in record:
        yield SseEvent("error", json.dumps({"error": record["error"]}))
    else:
        yield SseEvent("message", json.dumps(_chunk(record)))
        if record.get("done"):
            yield SseEvent("message", "[DONE]")


def _chunk(record: dict[str, object]) -> dict[str, object]:
    said = record.get("message")
    message = said if isinstance(said, dict) else {}
    delta = {"content": message.get("content"), "reasoning_content": message.get("thinking")}
    if not record.get("done"):
        return {"choices": [{"delta": delta}]}
    counts = {"prompt_tokens": record.get("prompt_eval_count"), "completion_tokens": record.get("eval_count")}
    return {"choices": [{"delta": delta, "finish_reason": record.get("done_reason") or "stop"}], "usage": counts}
