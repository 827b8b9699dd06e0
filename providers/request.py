"""What is written to a model server."""

import json
from collections.abc import Iterable

from domain.markers import break_markers
from domain.model import ModelRequest, Turn
from domain.response_format import ResponseFormat
from providers.text import fit


def body(request: ModelRequest) -> bytes:
    # ASCII escapes, the default of `dumps`: whatever else is in the history, the bytes are valid UTF-8.
    return json.dumps(_required(request) | _optional(request)).encode()


def _required(request: ModelRequest) -> dict[str, object]:
    return {
        "model": request.name_at_provider,
        "messages": messages(request.turns),
        "max_tokens": request.max_output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _optional(request: ModelRequest) -> dict[str, object]:
    settings: dict[str, object] = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": [fit(stop) for stop in request.stop] or None,
        "response_format": _format(request.response_format),
    }
    if request.continues:
        # vLLM begins a new turn unless it is told; llama.cpp and Ollama go on by themselves.
        settings |= {"continue_final_message": True, "add_generation_prompt": False}
    return {name: value for name, value in settings.items() if value is not None}


def messages(turns: Iterable[Turn]) -> list[dict[str, str]]:
    return [_message(turn) for turn in turns]


def _format(form: ResponseFormat | None) -> dict[str, object] | None:
    """Without `strict`, with which OpenAI takes some schemas only: we check the answer ourselves."""
    if form is None or not form.is_json:
        return None
    if form.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": json.loads(form.schema)}}


def _message(turn: Turn) -> dict[str, str]:
    text = fit(turn.text)
    return {"role": turn.speaker.value, "content": text if turn.verbatim else break_markers(text)}
