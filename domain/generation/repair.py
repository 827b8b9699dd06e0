"""Asking once more for an answer that did not have its form."""

from dataclasses import replace

from domain.model import ModelRequest, Speaker, Turn
from domain.response_format import ResponseFormat
from domain.window.scale import Scale

_REFUSED = "(An answer to this was refused, as it was not the JSON that is wanted: {problem})"
_WANTED = "(Answer with JSON, and with nothing before or after it.)"
_SCHEMA = "(Answer with JSON that is valid against this JSON schema, and with nothing before or after it: {schema})"


def asked_once_more(request: ModelRequest, form: ResponseFormat, problem: str, room_tokens: int) -> ModelRequest:
    """Told in the user's last turn: templates insist on alternation, and what is begun of the answer stays the last.

    The schema is shown to a model whose server was not given it, if there is room.
    """
    refused = _REFUSED.format(problem=problem)
    plain = f"{refused}\n\n{_WANTED}"
    if form.schema is not None and request.response_format is None:
        whole = f"{refused}\n\n{_SCHEMA.format(schema=form.schema)}"
        plain = whole if Scale().tokens(whole) <= room_tokens else plain
    return replace(request, turns=_with_last_words(request.turns, plain))


def _with_last_words(turns: tuple[Turn, ...], words: str) -> tuple[Turn, ...]:
    """Of the user."""
    last = max(index for index, turn in enumerate(turns) if turn.speaker is Speaker.USER)
    told = replace(turns[last], text=f"{turns[last].text}\n\n{words}")
    return (*turns[:last], told, *turns[last + 1 :])
