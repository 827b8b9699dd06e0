"""How a request says how it wants to be answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What `refused` names happens to a whole server: see `refuse_connections` and `POST /refuse`."""

    NONE = "none"
    RATE_LIMITED = "rate_limited"
    ERROR_500 = "error_500"
    UNAVAILABLE_503 = "unavailable_503"
    BAD_REQUEST = "bad_request"
    HTML = "html"
    HANG_CONNECT = "hang_connect"
    HANG_FIRST = "hang_first"
    HANG_BETWEEN = "hang_between"
    CUT = "cut"
    CUT_CLEAN = "cut_clean"
    RESET = "reset"
    NO_DONE = "no_done"
    NO_FINISH = "no_finish"
    MALFORMED = "malformed"
    ERROR_DATA = "error_data"
    ERROR_EVENT = "error_event"
    HUGE_LINE = "huge_line"
    EMPTY = "empty"
    USAGE_ZERO = "usage_zero"
    USAGE_NONE = "usage_none"
    NUL = "nul"
    LONE_SURROGATE = "lone_surrogate"
    SPLIT_PAIR = "split_pair"
    SPLIT_UTF8 = "split_utf8"


@dataclass(frozen=True, slots=True)
class Script:
    """`reasoning`: so many words in `reasoning_content`. `think`: so many in a `<think>` block, whose tags are cut in two.

    `after`: words before the fault. `times`: the fault happens to the first so many requests with this very script.

    `comment_ms`: while it hangs, a comment comes that often. `say`: instead of numbered words, one delta for each.
    `prompt_tokens`: what it reports, if not the words that it was sent. `then`: how the next request with this very script
    is answered.
    """

    words: int = 20
    delay_ms: float = 0
    first_delay_ms: float = 0
    fault: Fault = Fault.NONE
    after: int = 5
    times: int | None = None
    comment_ms: float = 0
    retry_after: str = "2"
    finish: str = "stop"
    reasoning: int = 0
    think: int = 0
    prompt_tokens: int | None = None
    then: "Script | None" = None
    say: tuple[str, ...] = ()
    tag: str = ""
    id: str = ""


def script_of(body: dict[str, object]) -> Script:
    # What was said last counts, where turns were joined, with a summary too. Behind it may stand what gus has to say about an
    # answer that it refused.
    _, found, said = f"\n\n{_last_user_text(body)}".rpartition("\n\nscript:")
    if found:
        settings, _ = json.JSONDecoder().raw_decode(said.lstrip())
        return _script(settings)
    _, _, named = str(body.get("model", "")).partition("scripted/")
    return _script(dict(pair.split("=", 1) for pair in named.split(",") if pair))


def _last_user_text(body: dict[str, object]) -> str:
    users = [turn for turn in turns_of(body) if turn.get("role") == "user"]
    return str(users[-1].get("content")) if users else ""


def turns_of(body: dict[str, object]) -> list[dict[str, object]]:
    messages = body.get("messages")
    return messages if isinstance(messages, list) else []


def _script(settings: Mapping[str, object]) -> Script:
    chosen = {name: _typed(name, value) for name, value in settings.items()}
    return Script(**chosen)  # type: ignore[arg-type]  # `_typed` knows the type of each


def _typed(name: str, value: object) -> object:
    """In a model's name every value is a word."""
    match name:
        case "fault":
            return Fault(str(value))
        case "then":
            return _script(value) if isinstance(value, dict) else None
        case "say":
            return tuple(value) if isinstance(value, list) else (str(value),)
        case "delay_ms" | "first_delay_ms" | "comment_ms":
            return float(str(value))
        case "words" | "after" | "times" | "reasoning" | "think" | "prompt_tokens":
            return int(str(value))
        case _:
            return str(value)
