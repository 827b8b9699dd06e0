"""A model server that costs next to nothing: `python -m tests.load.model`.

The last message says what comes: `{"words": 100}` are so many words, 50 a second; `{"words": 0}` is silence without end.
"""

import asyncio
import json
from contextlib import suppress
from typing import cast

import uvloop

from tests.load.words import word_now

WORDS_PER_SECOND = 50
# What a model thinks before its first word, so that who asks has time to subscribe.
FIRST_SECONDS = 0.1

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LISTED = b'{"object": "list", "data": [{"id": "timed", "object": "model"}]}'
WORD = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"timed",'
    '"choices":[{"index":0,"delta":{"content":"%s"},"logprobs":null,"finish_reason":null}]}\n\n'
)
END = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":%d}}\n\n',
    b"data: [DONE]\n\n",
)


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, _: Exception | None) -> None:
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if blank and len(body) >= _content_length(head):
            self._received = b""
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(LISTED), LISTED))
            return
        self._words = self._left = _words_wanted(body)
        self._transport.write(HEAD)
        if self._left:
            self._at = self._loop.time() + FIRST_SECONDS
            self._next = self._loop.call_at(self._at, self._say)

    def _say(self) -> None:
        self._chunk((WORD % word_now()).encode())
        self._left -= 1
        if not self._left:
            self._end()
            return
        self._at += 1 / WORDS_PER_SECOND
        self._next = self._loop.call_at(self._at, self._say)

    def _end(self) -> None:
        finish, usage, done = END
        self._chunk(finish)
        self._chunk(usage % (self._words, self._words + 10))
        self._chunk(done)
        self._transport.write(b"0\r\n\r\n")

    def _chunk(self, part: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(part), part))


def _content_length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return sum(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


def _words_wanted(body: bytes) -> int:
    said = json.loads(body)["messages"][-1]["content"]
    return int(json.loads(said)["words"])


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
