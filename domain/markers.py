"""Role markers in what people write must not reach a model as control tokens."""

import re

ZERO_WIDTH_SPACE = "\u200b"

# Servers that fill a raw template tokenise the whole prompt with control tokens on, so `<|im_end|>` typed by a user
# would end the user's turn. Any `<|name|>` counts, also with DeepSeek's fullwidth bars: each model family has its own.
_MARKER = re.compile(
    r"<[|｜][^<>|｜\n]{1,64}[|｜]>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<</?SYS>>"
    r"|</?s>"
    r"|<(?:bos|eos)>"
    r"|<(?:start|end)_of_turn>"
)


def break_markers(text: str) -> str:
    """Looks the same, and holds no marker any more."""
    # A marker can stand in another one, which when broken leaves it.
    while (broken := _MARKER.sub(_broken, text)) != text:
        text = broken
    return text


def _broken(marker: re.Match[str]) -> str:
    return marker[0][0] + ZERO_WIDTH_SPACE + marker[0][1:]
