"""A typed client of gus with httpx and websockets: send, stream, resume after a cut, stop, and page through branches.

Run it: `python gus.py http://localhost:8000/graphql gus_your_key "What is a tree?"`
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

REFUSED = "... on Refusal { code message }"
STARTED = f"... on SendMessageSuccess {{ conversation {{ id }} reply {{ id }} generation {{ id }} }} {REFUSED}"
SEND = f"mutation Send($input: SendMessageInput!) {{ sendMessage(input: $input) {{ {STARTED} }} }}"
REGENERATE = f"mutation Again($input: RegenerateReplyInput!) {{ regenerateReply(input: $input) {{ {STARTED} }} }}"
STOP = f"mutation Stop($id: ID!, $seen: Int!) {{ stopGeneration(generation: $id, seenSeq: $seen) {{ {REFUSED} }} }}"
PAGER = "query($id: ID!) { message(id: $id) { siblingIndex siblingCount previousSibling { id } nextSibling { id } } }"
PATH = "... on SelectBranchSuccess { conversation { path(last: 20) { nodes { text } } } }"
SHOW = f"mutation Show($message: ID!) {{ selectBranch(message: $message) {{ {PATH} {REFUSED} }} }}"
WATCH = """subscription Watch($generation: ID!, $after: Int!) {
  generationEvents(generation: $generation, after: $after) {
    __typename seq ... on TextDelta { text offset } ... on TextTruncated { length }
    ... on GenerationSnapshot { reply { text } } ... on GenerationFinished { status reply { text } }
  }
}"""
LONGEST_WAIT_SECONDS = 5.0
# The server will say the same again: the message, the credential or the protocol is wrong.
HOPELESS = {4400, 4401, 4403, 4406, 4409}
Json = dict[str, Any]


class Refused(Exception):
    """The server said no, in a way that its schema knows; with the code, for your translations, and a message."""


class Failed(Exception):
    """A bad document, a missing credential, or a bug of the server's; with the list of errors."""


@dataclass(frozen=True, slots=True)
class Started:
    conversation: str
    reply: str
    generation: str


@dataclass(frozen=True, slots=True)
class Shown:
    """After an event: all that is needed to go on after a cut, or a restart."""

    text: str = ""
    seq: int = 0
    status: str | None = None

    def after(self, event: Json) -> "Shown":
        match event["__typename"]:
            case "TextDelta":
                return Shown(_first(self.text, event["offset"]) + event["text"], event["seq"])
            case "TextTruncated":
                return Shown(_first(self.text, event["length"]), event["seq"])
            case "GenerationSnapshot" | "GenerationFinished":
                return Shown(event["reply"]["text"], event["seq"], event.get("status"))
        return Shown(self.text, event["seq"])


@dataclass(frozen=True, slots=True)
class Pager:
    index: int
    count: int
    previous: str | None
    next: str | None


class Gus:
    def __init__(self, url: str, key: str) -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(headers=self._headers, timeout=30)
        self.aclose = self._http.aclose

    async def send(self, text: str, *, conversation: str | None = None, key: str = "") -> Started:
        """`key`: one for one gesture of the user; repeated it sends nothing twice."""
        given = {"text": text, "conversation": conversation, "idempotencyKey": key or str(uuid4())}
        return _started((await self._ask(SEND, {"input": given}))["sendMessage"])

    async def regenerate(self, reply: str, *, key: str = "") -> Started:
        given = {"reply": reply, "idempotencyKey": key or str(uuid4())}
        return _started((await self._ask(REGENERATE, {"input": given}))["regenerateReply"])

    async def follow(self, generation: str, shown: Shown = Shown()) -> AsyncGenerator[Shown, None]:
        """From the beginning, or from what was shown last; to the end, over as many connections as it takes."""
        wait = 0.25
        while shown.status is None:
            try:
                async with aclosing(self._events(generation, shown.seq)) as events:
                    async for event in events:
                        shown, wait = shown.after(event), 0.25
                        yield shown
            except (OSError, InvalidHandshake, ConnectionClosed) as cut:
                if isinstance(cut, ConnectionClosed) and cut.rcvd is not None and cut.rcvd.code in HOPELESS:
                    raise
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    async def stop(self, generation: str, seen_seq: int) -> None:
        """The reply ends where the user saw it end, whatever was written meanwhile."""
        _granted((await self._ask(STOP, {"id": generation, "seen": seen_seq}))["stopGeneration"])

    async def pager(self, message: str) -> Pager:
        """For "2 of 3", and the arrows beside it."""
        found = (await self._ask(PAGER, {"id": message}))["message"]
        before, after = [(found[side] or {}).get("id") for side in ("previousSibling", "nextSibling")]
        return Pager(found["siblingIndex"], found["siblingCount"], before, after)

    async def show(self, message: str) -> list[str]:
        """Shows the branch that the message is on, on every device. Returns what is said on it."""
        answer = _granted((await self._ask(SHOW, {"message": message}))["selectBranch"])
        return [node["text"] for node in answer["conversation"]["path"]["nodes"]]

    async def _ask(self, query: str, variables: Mapping[str, object]) -> Json:
        """Asks again after a cut: every mutation of gus may be repeated."""
        wait = 0.25
        while True:
            try:
                answer = (await self._http.post(self._url, json={"query": query, "variables": variables})).json()
            except httpx.TransportError:
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
                continue
            if answer.get("errors"):
                raise Failed(answer["errors"])
            data: Json = answer["data"]
            return data

    async def _events(self, generation: str, after: int) -> AsyncGenerator[Json, None]:
        url, protocol = self._url.replace("http", "ws", 1), Subprotocol("graphql-transport-ws")
        payload = {"query": WATCH, "variables": {"generation": generation, "after": after}}
        async with connect(url, subprotocols=[protocol]) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": self._headers}))
            async for frame in socket:
                message = json.loads(frame)
                match message["type"]:
                    case "connection_ack":
                        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
                    case "ping":
                        await socket.send(json.dumps({"type": "pong"}))
                    case "next":
                        yield message["payload"]["data"]["generationEvents"]
                    case "error":
                        raise Failed(message["payload"])
                    case "complete":
                        return


def _granted(answer: Json) -> Json:
    if "code" in answer:
        raise Refused(answer["code"], answer["message"])
    return answer


def _started(answer: Json) -> Started:
    answer = _granted(answer)
    return Started(answer["conversation"]["id"], answer["reply"]["id"], answer["generation"]["id"])


def _first(text: str, units: int) -> str:
    """Offsets count UTF-16 code units, as JavaScript's `length` does."""
    return text.encode("utf-16-le")[: 2 * units].decode("utf-16-le")


async def main(url: str, key: str, question: str) -> None:
    async with aclosing(Gus(url, key)) as gus:
        first = await gus.send(question)
        async for whole in gus.follow(first.generation):
            print(whole.text[-100:].replace("\n", " "), end="\r")
        print(f"\nThe whole answer: {json.dumps(whole.text)}")

        second = await gus.regenerate(first.reply)
        async with aclosing(gus.follow(second.generation)) as stream:
            seen = await anext(shown async for shown in stream if len(shown.text) > 20)
        await gus.stop(second.generation, seen.seq)
        ended = [shown async for shown in gus.follow(second.generation, seen)][-1]
        print(f"Stopped where it was seen to be: {json.dumps(seen.text)} {ended.text == seen.text}")

        pager = await gus.pager(second.reply)
        print(f"Branch {pager.index} of {pager.count}")
        print(f"Now shown: {json.dumps(await gus.show(pager.previous or second.reply))}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
