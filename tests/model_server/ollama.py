"""As Ollama answers at its own /api/chat: lines of JSON, and a prompt cut to `num_ctx`, with 200."""

import json

from tests.model_server.answer import Seen, prompt_tokens
from tests.model_server.script import Fault, Script
from tests.model_server.wire import Response

DEFAULT_WINDOW = 4096


async def answer_as_ollama(script: Script, seen: Seen, response: Response) -> None:
    if script.fault is Fault.BAD_REQUEST:
        await response.json({"error": "the server's own words"}, status=400)
        return
    await response.begin_stream("application/x-ndjson")
    if script.reasoning:
        await _line(response, message={"role": "assistant", "content": "", "thinking": "Hm. "}, done=False)
    for word in script.say or tuple(f"w{number} " for number in range(1, script.words + 1)):
        if script.fault is Fault.ERROR_DATA:
            await _line(response, error="the server's own words")
        seen.produced.append(word)
        await _line(response, message={"role": "assistant", "content": word}, done=False)
        if script.fault is Fault.CUT:
            response.close()
    await _line(
        response,
        message={"role": "assistant", "content": ""},
        done=True,
        done_reason=script.finish,
        prompt_eval_count=min(prompt_tokens(seen.body), _window(seen)),
        eval_count=len(seen.produced),
    )
    await response.end_stream()


def _window(seen: Seen) -> int:
    options = seen.body.get("options")
    window = options.get("num_ctx") if isinstance(options, dict) else None
    return window if isinstance(window, int) else DEFAULT_WINDOW


async def _line(response: Response, **record: object) -> None:
    """In two parts, as it may come."""
    line = json.dumps(record).encode() + b"\n"
    await response.stream(line[: len(line) // 2])
    await response.stream(line[len(line) // 2 :])
