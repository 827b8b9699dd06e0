"""What gus is measured against: the same schema in a plain Strawberry + Litestar server, which stores nothing.

`python -m tests.load.plain_server MODEL_URL`. It is what the libraries' documentation leads to, written with care: the stock
controller, one httpx client for all, the model's tokens straight through.
"""

import json
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated
from uuid import uuid4

import httpx
import strawberry
import uvicorn
from litestar import Litestar
from strawberry.litestar import make_graphql_controller

MODEL_URL = sys.argv[1] if len(sys.argv) > 1 else ""


@strawberry.type
class Conversation:
    id: strawberry.ID


@strawberry.type
class Message:
    id: strawberry.ID
    text: str


@strawberry.type
class Generation:
    id: strawberry.ID


@strawberry.input
class SendMessageInput:
    text: str
    idempotency_key: str


@strawberry.interface
class Refusal:
    code: str
    message: str


@strawberry.type
class InvalidInput(Refusal):
    pass


@strawberry.type
class SendMessageSuccess:
    conversation: Conversation
    reply: Message
    generation: Generation


SendMessageResult = Annotated[SendMessageSuccess | InvalidInput, strawberry.union("SendMessageResult")]


@strawberry.interface
class GenerationEvent:
    seq: int


@strawberry.type
class GenerationStarted(GenerationEvent):
    attempt: int


@strawberry.type
class TextDelta(GenerationEvent):
    text: str
    offset: int


@strawberry.type
class TextTruncated(GenerationEvent):
    length: int


@strawberry.type
class GenerationFinished(GenerationEvent):
    status: str
    reply: Message


class Chat:
    """Questions wait for their subscription, which asks the model."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None))
        self._questions: dict[str, str] = {}

    def send(self, text: str) -> str:
        generation = uuid4().hex
        self._questions[generation] = text
        return generation

    async def events(self, generation: str) -> AsyncGenerator[GenerationEvent, None]:
        text, seq = "", 1
        yield GenerationStarted(seq=seq, attempt=1)
        async for word in self._words(self._questions.pop(generation)):
            seq += 1
            yield TextDelta(seq=seq, text=word, offset=len(text))
            text += word
        reply = Message(id=strawberry.ID(generation), text=text)
        yield GenerationFinished(seq=seq + 1, status="COMPLETED", reply=reply)

    async def _words(self, question: str) -> AsyncIterator[str]:
        body = {"model": "timed", "stream": True, "messages": [{"role": "user", "content": question}]}
        async with self._client.stream("POST", f"{MODEL_URL}/v1/chat/completions", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    choices = json.loads(line.removeprefix("data: "))["choices"]
                    if choices and (word := choices[0]["delta"].get("content")):
                        yield word


def create_app() -> Litestar:
    chat = Chat()

    @strawberry.type
    class Query:
        hello: str = "world"

    @strawberry.type
    class Mutation:
        @strawberry.mutation(graphql_type=SendMessageResult)  # type: ignore[untyped-decorator]  # as Strawberry declares it
        async def send_message(self, input: SendMessageInput) -> SendMessageSuccess:
            generation = strawberry.ID(chat.send(input.text))
            return SendMessageSuccess(
                conversation=Conversation(id=generation),
                reply=Message(id=generation, text=""),
                generation=Generation(id=generation),
            )

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def generation_events(
            self, generation: strawberry.ID, after: int = 0
        ) -> AsyncGenerator[GenerationEvent, None]:
            async for event in chat.events(generation):
                yield event

    types = [GenerationStarted, TextDelta, TextTruncated, GenerationFinished, InvalidInput]
    schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription, types=types)
    return Litestar([make_graphql_controller(schema, path="/graphql")])


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(create_app(), log_level="warning")).run([listener])


if __name__ == "__main__":
    main()
