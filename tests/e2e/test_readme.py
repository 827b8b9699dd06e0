"""The README's operations, word for word, with the embedded model."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.e2e.client import Client
from tests.e2e.served import Served
from tests.readme import blocks

SEND, WATCH, BRANCH, TREE, EDIT, AGAIN, FORK, COMPARE, JSON, PREVIEW, WHAT_WAS_SENT = blocks("graphql")


@dataclass(frozen=True, slots=True)
class Told:
    """What the README's first send has led to."""

    client: Client
    conversation: str
    question: str
    reply: str
    text: str


@pytest.fixture
async def told(served_embedded: Served) -> AsyncIterator[Told]:
    async with served_embedded.client() as client:
        # Under a key of its own: all tests here are of one user, and what a key has made is answered again.
        sent = (await client.ask(_renamed(SEND)))["sendMessage"]
        text = await _watched(client, sent["generation"]["id"])
        query = "query($id: ID!) { message(id: $id) { parent { id } } }"
        question = (await client.ask(query, {"id": sent["reply"]["id"]}))["message"]["parent"]["id"]
        yield Told(client, sent["conversation"]["id"], question, sent["reply"]["id"], text)


async def test_the_conversation_of_the_readme_goes_as_it_says(told: Told) -> None:
    given: dict[str, object] = {"conversation": told.conversation, "parent": told.reply}
    branched = (await told.client.ask(_renamed(BRANCH), given))["sendMessage"]
    await _watched(told.client, branched["generation"]["id"])
    tree = (await told.client.ask(TREE, {"conversation": told.conversation}))["conversation"]
    assert [node["role"] for node in tree["path"]["nodes"]] == ["USER", "ASSISTANT", "USER", "ASSISTANT"]
    assert tree["path"]["nodes"][1]["text"] == told.text
    assert len(tree["leaves"]["nodes"]) == 1


async def test_an_edit_another_reply_and_a_fork_leave_what_there_was(told: Told) -> None:
    edited = (await told.client.ask(_renamed(EDIT), {"message": told.question}))["editMessage"]
    assert edited["userMessage"] == {"siblingIndex": 2, "siblingCount": 2}
    forest = await _watched(told.client, edited["generation"]["id"])
    again = (await told.client.ask(_renamed(AGAIN), {"reply": told.reply}))["regenerateReply"]
    assert again["reply"]["siblingIndex"] == 2
    await _watched(told.client, again["generation"]["id"])
    forked = (await told.client.ask(_renamed(FORK), {"message": told.reply}))["forkConversation"]["conversation"]
    assert (forked["messageCount"], forked["forkedFrom"]) == (2, {"id": told.reply})

    given = {"conversation": told.conversation, "a": told.reply, "b": edited["reply"]["id"]}
    diff = (await told.client.ask(COMPARE, given))["conversation"]["diff"]
    # The first question itself was edited: the two have nothing in common.
    assert diff["commonAncestor"] is None
    assert [node["text"] for node in diff["onlyA"]["nodes"]] == ["What is a tree?", told.text]
    assert [node["text"] for node in diff["onlyB"]["nodes"]] == ["What is a forest?", forest]


async def test_an_answer_in_json_is_what_its_schema_says(told: Told) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"metres": {"type": "integer"}, "evergreen": {"type": "boolean"}},
        "required": ["metres", "evergreen"],
        "additionalProperties": False,
    }
    sent = (await told.client.ask(_renamed(JSON), {"schema": schema}))["sendMessage"]
    oak = json.loads(await _watched(told.client, sent["generation"]["id"]))
    assert {name: type(value) for name, value in oak.items()} == {"metres": int, "evergreen": bool}


async def test_what_a_send_would_come_to_and_what_one_came_to(told: Told) -> None:
    preview = (await told.client.ask(PREVIEW, {"conversation": told.conversation}))["previewSend"]
    assert (preview["refusal"], preview["maximumCost"]) == (None, "0")
    tree = (await told.client.ask(TREE, {"conversation": told.conversation}))["conversation"]
    assert len(tree["path"]["nodes"]) == 2
    given: dict[str, object] = {"conversation": told.conversation, "parent": told.reply}
    branched = (await told.client.ask(_renamed(BRANCH), given))["sendMessage"]
    await _watched(told.client, branched["generation"]["id"])
    asked = {"generation": branched["generation"]["id"]}
    context = (await told.client.ask(WHAT_WAS_SENT, asked))["generation"]["context"]
    assert [node["text"] for node in context["included"]["nodes"]] == ["What is a tree?", told.text, "In one sentence?"]
    assert (context["excludedCount"], context["instructions"], len(context["promptSha256"])) == (0, [], 64)
    estimated, counted = context["estimatedInputTokens"], context["providerInputTokens"]
    assert abs(estimated - counted) <= counted / 20


def _renamed(document: str) -> str:
    """Under another idempotency key."""
    return document.replace("0192f5c4-", f"{uuid4()}-")


async def _watched(client: Client, generation: str) -> str:
    """By the README's document; the last event holds the text."""
    events = await client.watch(WATCH, {"generation": generation})
    assert [event["generationEvents"]["seq"] for event in events] == list(range(1, len(events) + 1))
    last = events[-1]["generationEvents"]
    assert last["status"] == "COMPLETED"
    text: str = last["reply"]["text"]
    return text
