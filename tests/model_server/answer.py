"""One scripted answer, and what is remembered of its request."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.model_server.script import Fault, Script, turns_of
from tests.model_server.wire import Response

HUGE = 2 * 1024 * 1024


@dataclass(slots=True)
class Seen:
    """One request. `produced`: the words that were written to the socket. Times are of the monotonic clock.

    `connection`: the client's port; requests on one connection have the same.
    """

    number: int
    connection: int
    path: str
    headers: dict[str, str]
    body: dict[str, object]
    script: Script
    raw: bytes = field(default=b"", repr=False)
    at: float = field(default_factory=time.monotonic)
    produced: list[str] = field(default_factory=list)
    disconnected_at: float | None = None
    ended_at: float | None = None

    @property
    def text(self) -> str:
        return "".join(self.produced)


class Answer:
    """One answer, written as its script says."""

    def __init__(
        self, script: Script, fault: Fault, seen: Seen, response: Response, notice: Callable[[], None]
    ) -> None:
        self._script, self._fault, self._seen = script, fault, seen
        self._response, self._notice = response, notice

    async def send(self) -> None:
        script = self._script
        match self._fault:
            case Fault.RATE_LIMITED:
                await self._refuse(429, {"retry-after": script.retry_after})
            case Fault.ERROR_500:
                await self._refuse(500)
            case Fault.UNAVAILABLE_503:
                await self._refuse(503, {"retry-after": script.retry_after})
            case Fault.BAD_REQUEST:
                await self._refuse(400)
            case Fault.HTML:
                await self._response.html("<html><body>Bad gateway, but with 200</body></html>")
            case Fault.HANG_CONNECT:
                await self._hang()
            case _:
                await self._stream()

    async def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        error = {"error": {"code": status, "message": "the server's own words", "type": "scripted"}}
        await self._response.json(error, status=status, headers=headers)

    async def _stream(self) -> None:
        await self._response.begin_stream()
        await self._chunk({"role": "assistant", "content": None})
        await asyncio.sleep(self._script.first_delay_ms / 1000)
        if self._fault is Fault.HANG_FIRST:
            await self._hang()
        if self._fault is not Fault.EMPTY:
            await self._say_all()
        await self._finish()

    async def _say_all(self) -> None:
        for number in range(1, self._script.reasoning + 1):
            await self._chunk({"reasoning_content": f"r{number} "})
        for part in self._thoughts():
            await self._chunk({"content": part})
        for count, word in enumerate(self._words()):
            if count == self._script.after:
                await self._break()
            if count:
                await asyncio.sleep(self._script.delay_ms / 1000)
            await self._say(word)
        if len(self._words()) <= self._script.after:
            await self._break()

    def _thoughts(self) -> list[str]:
        if not self._script.think:
            return []
        return [
            "<thi",
            "nk>\n",
            *(f"t{number} " for number in range(1, self._script.think + 1)),
            "</th",
            "ink>\n",
            "\n",
        ]

    def _words(self) -> list[str]:
        if self._script.say:
            return list(self._script.say)
        tag = self._script.tag or f"{self._seen.number:x}{secrets.token_hex(2)}"
        return [f"{' ' if number > 1 else ''}w{number}-{tag}" for number in range(1, self._script.words + 1)]

    async def _say(self, word: str) -> None:
        await self._chunk({"content": word})
        self._seen.produced.append(word)
        self._notice()

    async def _break(self) -> None:
        """The fault that lies between two words, if the script has one."""
        match self._fault:
            case Fault.HANG_BETWEEN:
                await self._hang()
            case Fault.CUT:
                self._response.close()
            case Fault.CUT_CLEAN:
                await self._response.end_stream()
                self._response.close()
            case Fault.RESET:
                # A reset also throws away what the client has not read yet.
                await asyncio.sleep(0.05)
                self._response.reset()
            case Fault.MALFORMED:
                await self._event(b'data: {"choices": [{"delta": {"content": "br')
            case Fault.ERROR_DATA:
                await self._event(b'data: {"error": {"message": "the server\'s own words", "type": "scripted"}}')
            case Fault.ERROR_EVENT:
                await self._event(b'event: error\ndata: {"message": "the server\'s own words", "code": 503}')
            case Fault.HUGE_LINE:
                await self._event(b'data: {"choices": [{"delta": {"content": "' + b"x" * HUGE + b'"}}]}')
            case _:
                await self._break_a_character()

    async def _break_a_character(self) -> None:
        match self._fault:
            case Fault.NUL:
                await self._event(rb'data: {"choices": [{"index": 0, "delta": {"content": "\u0000|\u0000"}}]}')
            case Fault.LONE_SURROGATE:
                await self._event(rb'data: {"choices": [{"index": 0, "delta": {"content": "\ud83d|"}}]}')
            case Fault.SPLIT_PAIR:
                await self._event(rb'data: {"choices": [{"index": 0, "delta": {"content": "\ud83d"}}]}')
                await self._event(rb'data: {"choices": [{"index": 0, "delta": {"content": "\ude00"}}]}')
            case Fault.SPLIT_UTF8:
                whole = 'data: {"choices": [{"index": 0, "delta": {"content": "😀"}}]}\n\n'.encode()
                middle = whole.index("😀".encode()) + 2
                await self._response.stream(whole[:middle])
                # Long enough for the two halves to be two reads.
                await asyncio.sleep(0.02)
                await self._response.stream(whole[middle:])
            case _:
                pass

    async def _finish(self) -> None:
        if self._fault is not Fault.NO_FINISH:
            await self._chunk({}, finish_reason=self._script.finish)
        if self._fault is not Fault.USAGE_NONE:
            await self._record({"choices": [], "usage": self._usage()})
        if self._fault not in (Fault.NO_DONE, Fault.NO_FINISH):
            await self._event(b"data: [DONE]")
        await self._response.end_stream()

    def _usage(self) -> dict[str, int]:
        if self._fault is Fault.USAGE_ZERO:
            return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        prompt, completion = self._prompt_tokens(), len(self._seen.produced)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def _prompt_tokens(self) -> int:
        if self._script.prompt_tokens is not None:
            return self._script.prompt_tokens
        return prompt_tokens(self._seen.body)

    async def _chunk(self, delta: dict[str, object], finish_reason: str | None = None) -> None:
        await self._record({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    async def _record(self, record: dict[str, object]) -> None:
        await self._event(b"data: " + json.dumps({"id": f"chatcmpl-{self._seen.number}", **record}).encode())

    async def _event(self, lines: bytes) -> None:
        await self._response.stream(lines + b"\n\n")

    async def _hang(self) -> None:
        while self._script.comment_ms:
            await asyncio.sleep(self._script.comment_ms / 1000)
            await self._response.stream(b": still here\n\n")
        await asyncio.Event().wait()


def prompt_tokens(body: dict[str, object]) -> int:
    """Its tokens are words, and its template adds nothing."""
    return sum(len(str(turn.get("content")).split()) for turn in turns_of(body))
