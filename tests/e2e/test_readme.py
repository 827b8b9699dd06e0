"""The README's conversation, word for word, with the embedded model."""

from tests.e2e.client import Client
from tests.e2e.served import Served
from tests.readme import blocks

SEND, WATCH, BRANCH, TREE = blocks("graphql")


async def test_the_conversation_of_the_readme_goes_as_it_says(served_embedded: Served) -> None:
    async with served_embedded.client() as client:
        sent = (await client.ask(SEND))["sendMessage"]
        conversation, reply = sent["conversation"]["id"], sent["reply"]["id"]
        text = await _watched(client, sent["generation"]["id"])
        branched = (await client.ask(BRANCH, {"conversation": conversation, "parent": reply}))["sendMessage"]
        await _watched(client, branched["generation"]["id"])
        tree = (await client.ask(TREE, {"conversation": conversation}))["conversation"]
    assert [node["role"] for node in tree["path"]["nodes"]] == ["USER", "ASSISTANT", "USER", "ASSISTANT"]
    assert tree["path"]["nodes"][1]["text"] == text
    assert len(tree["leaves"]["nodes"]) == 1


async def _watched(client: Client, generation: str) -> str:
    """By the README's document; the last event holds the text."""
    events = await client.watch(WATCH, {"generation": generation})
    assert [event["generationEvents"]["seq"] for event in events] == list(range(1, len(events) + 1))
    last = events[-1]["generationEvents"]
    assert last["status"] == "COMPLETED"
    text: str = last["reply"]["text"]
    return text
