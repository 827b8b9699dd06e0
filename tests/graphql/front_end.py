"""A front end: whole operations through the transport that serves everybody, in one process with the server or over HTTP."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import httpx
from asyncpg.connection import LoggedQuery
from litestar import Litestar

from tests.graphql.documents import (
    CONTINUE,
    CREATE,
    EDIT,
    FOLLOW,
    FORK,
    MARK_READ,
    RATE,
    REGENERATE,
    SELECT,
    SEND,
    SET_STATE,
    STOP,
    UPDATE,
)

# asyncpg learning a type, once for each connection; and who is asking, which a process looks up every other second at most.
_NOT_COUNTED = re.compile(r"typeinfo_tree|set_config\(|FROM api_keys k JOIN users u")

_OUTLINE = re.compile(r"^(BEGIN|COMMIT|ROLLBACK)|\b(?:FROM|INTO|UPDATE) ([a-z_]+)")

A_MOMENT = 0.3

_COUNTED: ContextVar[list[str] | None] = ContextVar("counted", default=None)


def note(statement: LoggedQuery) -> None:
    """Statements are noted in the context of the operation that needs them: what runs beside it is not counted."""
    counted = _COUNTED.get()
    if counted is not None and not _NOT_COUNTED.search(statement.query):
        counted.append(statement.query)


def outlined(statements: list[str]) -> list[str]:
    """Each by the first table that it names; what begins and ends a transaction by that."""
    found = [_OUTLINE.search(statement) for statement in statements]
    return [match[1] or match[2] for match in found if match]


def script(**settings: object) -> str:
    """What a message says to have the model server answer so: see tests/model_server/script.py."""
    return "script:" + json.dumps(settings)


def here(sent: dict[str, Any]) -> dict[str, str]:
    """The conversation of a send, for the next one's input."""
    return {"conversation": sent["conversation"]["id"]}


class Erred(AssertionError):
    """Nothing was to go wrong."""

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.args[0]]


class FrontEnd:
    """`secret` None: a visitor. Of a server that is another process it has a client, and nothing is followed there."""

    def __init__(self, app: Litestar | httpx.AsyncClient, secret: str | None) -> None:
        self._app, self._secret = app, secret
        self._headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._http = app if isinstance(app, httpx.AsyncClient) else _client(app)

    def at(self, app: Litestar) -> "FrontEnd":
        """The same user at another process."""
        return FrontEnd(app, self._secret)

    async def answer(self, query: str, **variables: object) -> dict[str, Any]:
        """The response's JSON, errors and all."""
        return dict((await self.response(query, **variables)).json())

    async def response(self, query: str, **variables: object) -> httpx.Response:
        body = _as_browsers_write_it({"query": query, "variables": variables})
        headers = {**self._headers, "Content-Type": "application/json"}
        return await self._http.post("/graphql", content=body, headers=headers)

    async def ask(self, query: str, **variables: object) -> dict[str, Any]:
        answered = await self.answer(query, **variables)
        if "errors" in answered:
            raise Erred(answered["errors"])
        return dict(answered["data"])

    async def refused(self, query: str, **variables: object) -> list[str]:
        """The codes of the errors."""
        return [error["extensions"]["code"] for error in (await self.answer(query, **variables))["errors"]]

    async def counted(self, query: str, **variables: object) -> tuple[dict[str, Any], list[str]]:
        """The answer, and the statements that it took but for the credential's. Those of its run follow as they come."""
        await self.ask("{viewer {id}}")  # the use of a key is noted once a minute
        statements: list[str] = []
        token = _COUNTED.set(statements)
        try:
            answered = await self.ask(query, **variables)
            await asyncio.sleep(0)  # asyncpg tells its loggers a turn of the loop later
            return answered, statements
        finally:
            _COUNTED.reset(token)

    async def send(self, text: str, **input: object) -> dict[str, Any]:
        """sendMessage under a new key, unless `input` has one."""
        given = {"text": text, "idempotencyKey": str(uuid4()), **input}
        return dict((await self.ask(SEND, input=given))["sendMessage"])

    async def said(self, text: str, **input: object) -> dict[str, Any]:
        """A send whose reply has ended."""
        sent = await self.send(text, **input)
        assert sent["__typename"] == "SendMessageSuccess", sent
        await self.followed(sent["generation"]["id"])
        return sent

    async def edit(self, message: str, text: str, **input: object) -> dict[str, Any]:
        given = {"message": message, "text": text, "idempotencyKey": str(uuid4()), **input}
        return dict((await self.ask(EDIT, input=given))["editMessage"])

    async def regenerate(self, reply: str, **input: object) -> dict[str, Any]:
        given = {"reply": reply, "idempotencyKey": str(uuid4()), **input}
        return dict((await self.ask(REGENERATE, input=given))["regenerateReply"])

    async def go_on(self, reply: str, **input: object) -> dict[str, Any]:
        """continueReply, likewise."""
        given = {"reply": reply, "idempotencyKey": str(uuid4()), **input}
        return dict((await self.ask(CONTINUE, input=given))["continueReply"])

    async def stop(self, generation: str, seen_seq: int | None = None) -> dict[str, Any]:
        return dict((await self.ask(STOP, generation=generation, seenSeq=seen_seq))["stopGeneration"])

    async def create(self, **input: object) -> dict[str, Any]:
        given = {"idempotencyKey": str(uuid4()), **input}
        return dict((await self.ask(CREATE, input=given))["createConversation"])

    async def update(self, conversation: str, **input: object) -> dict[str, Any]:
        given = {"conversation": conversation, **input}
        return dict((await self.ask(UPDATE, input=given))["updateConversation"])

    async def set_state(self, conversation: str, state: str) -> dict[str, Any]:
        return dict((await self.ask(SET_STATE, conversation=conversation, state=state))["setConversationState"])

    async def select(self, message: str) -> dict[str, Any]:
        return dict((await self.ask(SELECT, message=message))["selectBranch"])

    async def mark_read(self, conversation: str) -> dict[str, Any]:
        return dict((await self.ask(MARK_READ, conversation=conversation))["markConversationRead"])

    async def fork(self, message: str, **input: object) -> dict[str, Any]:
        given = {"message": message, "idempotencyKey": str(uuid4()), **input}
        return dict((await self.ask(FORK, input=given))["forkConversation"])

    async def rate(self, message: str, rating: str | None = None, **said: object) -> dict[str, Any]:
        return dict((await self.ask(RATE, message=message, rating=rating, **said))["rateMessage"])

    async def followed(self, generation: str, after: int = 0, *, snapshot: bool = False) -> list[dict[str, Any]]:
        """The whole stream."""
        async with self.following(generation, after, snapshot=snapshot) as events:
            return [event async for event in events]

    async def heard(self, generation: str, words: int = 3) -> list[dict[str, Any]]:
        """The events up to that word of numbered ones."""
        events: list[dict[str, Any]] = []
        async with self.following(generation) as stream:
            while sum(event.get("text", "").count("w") for event in events) < words:
                events.append(await anext(stream))
        return events

    @asynccontextmanager
    async def following(
        self, generation: str, after: int = 0, *, snapshot: bool = False
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events as they come; leaving is what a closed tab is."""
        async with self.watching(FOLLOW, generation=generation, after=after, snapshot=snapshot) as events:
            yield events

    @asynccontextmanager
    async def watching(self, query: str, **variables: object) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of any subscription, likewise."""
        async with self._streaming({"query": query, "variables": variables}) as answers:
            yield _events(answers)

    async def first(self, query: str, **variables: object) -> dict[str, Any] | None:
        """A stream's first answer, with errors or without; None: there is none within a moment."""
        async with self._streaming({"query": query, "variables": variables}) as answers, aclosing(answers):
            with suppress(TimeoutError, StopAsyncIteration):
                async with asyncio.timeout(A_MOMENT):
                    return await anext(answers)
        return None

    async def stream_refused(self, query: str, **variables: object) -> list[str]:
        async with self._streaming({"query": query, "variables": variables}) as answers:
            refused = [answer async for answer in answers]
        assert len(refused) == 1
        assert "data" not in refused[0]
        return [error["extensions"]["code"] for error in refused[0]["errors"]]

    @asynccontextmanager
    async def _streaming(self, request: dict[str, object]) -> AsyncIterator[AsyncGenerator[dict[str, Any], None]]:
        """httpx's ASGI transport gathers a response before it gives it: this one hands it on part by part."""
        parts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        body = [{"type": "http.request", "body": json.dumps(request).encode(), "more_body": False}]
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if body:
                return body.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        assert not isinstance(self._app, httpx.AsyncClient)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._app(self._scope(), receive, parts.put))  # type: ignore[arg-type]  # as above
            yield _answers(parts)
            left.set()

    def _scope(self) -> Any:
        headers = {**self._headers, "Accept": "text/event-stream", "Content-Type": "application/json"}
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("gus", 80),
        }


def _client(app: Litestar) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's ASGI types are narrower
    return httpx.AsyncClient(transport=transport, base_url="http://gus")


def _as_browsers_write_it(envelope: object) -> bytes:
    """In UTF-8, but for halves of surrogate pairs, which are escaped."""
    text = json.dumps(envelope, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):x}", text).encode()


async def _answers(parts: asyncio.Queue[dict[str, Any]]) -> AsyncGenerator[dict[str, Any], None]:
    """The `data:` of every `next`, up to `complete`."""
    async with asyncio.timeout(30):
        start = await parts.get()
        assert start["status"] == 200
        while True:
            part = await parts.get()
            for event in part["body"].decode().split("\n\n"):
                if event.startswith("event: next\ndata: "):
                    yield json.loads(event.removeprefix("event: next\ndata: "))
            if not part["more_body"]:
                assert part["body"].endswith(b"event: complete\ndata:\n\n")
                return


async def _events(answers: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[dict[str, Any], None]:
    async for answer in answers:
        assert "errors" not in answer, answer["errors"]
        [event] = answer["data"].values()
        yield event
