"""A scripted model server over real HTTP, down to the bytes, so that it can misbehave in every way that real ones do.

Each request says how it wants to be answered: in its last message (`script: {"words": 50, "fault": "cut"}`) or in the name
of its model (`scripted/words=50,fault=cut`). Every word is unlike every other, so what is lost or doubled can be counted.
`python -m tests.model_server --port 9000` runs it as a process; `GET /requests` then tells what it saw.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict
from enum import Enum
from types import TracebackType
from typing import Self

from tests.model_server.answer import Answer, Seen, prompt_tokens
from tests.model_server.ollama import answer_as_ollama
from tests.model_server.script import Fault, Script, script_of
from tests.model_server.wire import Request, Response, WatchedReader, read_request

__all__ = ["Counting", "Fault", "ModelServer", "Script", "Seen"]

REMEMBERED_REQUESTS = 10_000


class Counting(Enum):
    """How it answers when it is asked for the tokens of a prompt."""

    WORDS = "words"
    NONSENSE = "nonsense"
    BROKEN = "broken"
    HANGS = "hangs"


class ModelServer:
    """`async with ModelServer() as server:` listens on a free port of 127.0.0.1."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.models_status = 200
        self.seen: deque[Seen] = deque(maxlen=REMEMBERED_REQUESTS)
        self.counted: deque[Request] = deque(maxlen=REMEMBERED_REQUESTS)
        self.counting: Counting = Counting.WORDS
        self._times_asked: Counter[str] = Counter()
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.StreamWriter] = set()
        self._listener: asyncio.Server | None = None
        self._number = 0
        self._waiting: set[asyncio.Event] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        await self.accept_connections()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse_connections()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def accept_connections(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._protocol, "127.0.0.1", self.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def refuse_connections(self) -> None:
        """Answers that are being written go on; all else is refused until `accept_connections`."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in self._idle:
            writer.close()

    async def wait_for(self, happened: Callable[[Seen], bool]) -> Seen:
        """The newest request of which it is true, as soon as there is one."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            while not (found := next(filter(happened, reversed(self.seen)), None)):
                await changed.wait()
                changed.clear()
        finally:
            self._waiting.discard(changed)
        return found

    def _notice(self) -> None:
        for changed in self._waiting:
            changed.set()

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = WatchedReader()
        return asyncio.StreamReaderProtocol(reader, lambda _, writer: self._connected(reader, writer))

    def _connected(self, reader: WatchedReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: WatchedReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await self._next_request(reader, writer):
                await self._route(request, Response(writer), reader.gone)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _next_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
        self._idle.add(writer)
        try:
            return await read_request(reader)
        finally:
            self._idle.discard(writer)

    async def _route(self, request: Request, response: Response, gone: asyncio.Event) -> None:
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                await self._complete(request, response, gone)
            case "POST", "/api/chat":
                script = script_of(request.body)
                await answer_as_ollama(script, self._remember(request, script, response.connection), response)
            case "POST", "/v1/chat/completions/input_tokens":
                await self._count(request, response, "input_tokens")
            case "POST", "/tokenize":
                await self._count(request, response, "count")
            case "GET", "/v1/models":
                self._remember(request, Script(), response.connection)
                models = {"object": "list", "data": [{"id": "scripted", "object": "model"}]}
                await response.json(models, status=self.models_status)
            case "GET", "/requests":
                await response.json([_as_json(seen) for seen in self.seen])
            case "DELETE", "/requests":
                self.seen.clear()
                self._times_asked.clear()
                await response.json({})
            case "POST", "/refuse":
                await self.refuse_connections()
                await response.json({})
                await asyncio.sleep(float(str(request.body.get("seconds", 1))))
                await self.accept_connections()
            case _:
                await response.json({"error": {"code": 404, "message": "no such path"}}, status=404)

    async def _count(self, request: Request, response: Response, name: str) -> None:
        self.counted.append(request)
        match self.counting:
            case Counting.WORDS:
                await response.json({name: prompt_tokens(request.body)})
            case Counting.NONSENSE:
                await response.json({name: "many"})
            case Counting.BROKEN:
                await response.json({"error": {"code": 500, "message": "no"}}, status=500)
            case Counting.HANGS:
                await asyncio.Event().wait()

    async def _complete(self, request: Request, response: Response, gone: asyncio.Event) -> None:
        script = self._script_now(script_of(request.body))
        seen = self._remember(request, script, response.connection)
        answer = Answer(script, self._fault_now(script), seen, response, self._notice)
        await _until_gone(answer.send(), gone)
        seen.ended_at = time.monotonic()
        seen.disconnected_at = seen.ended_at if gone.is_set() else None
        self._notice()

    def _remember(self, request: Request, script: Script, connection: int) -> Seen:
        self._number += 1
        seen = Seen(self._number, connection, request.path, request.headers, request.body, script, request.raw)
        self.seen.append(seen)
        self._notice()
        return seen

    def _script_now(self, script: Script) -> Script:
        if script.then is not None:
            key = f"then {script!r}"
            self._times_asked[key] += 1
            for _ in range(self._times_asked[key] - 1):
                script = script.then or script
        return script

    def _fault_now(self, script: Script) -> Fault:
        if script.times is None:
            return script.fault
        key = repr(script)
        self._times_asked[key] += 1
        return script.fault if self._times_asked[key] <= script.times else Fault.NONE


async def _until_gone(answering: Coroutine[None, None, None], gone: asyncio.Event) -> None:
    """Raises what answering raises."""
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(_connection_errors_end(answering))
        watch = tasks.create_task(_cancel_when(gone, answer))
        await asyncio.wait({answer})
        watch.cancel()


async def _connection_errors_end(answering: Coroutine[None, None, None]) -> None:
    with suppress(ConnectionError):
        await answering


async def _cancel_when(gone: asyncio.Event, answer: asyncio.Task[None]) -> None:
    await gone.wait()
    answer.cancel()


def _as_json(seen: Seen) -> dict[str, object]:
    return {**asdict(seen), "raw": seen.raw.decode(), "text": seen.text}
