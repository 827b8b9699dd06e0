"""A user has only so many conversations; what would make one more is refused, and changes nothing."""

import pytest

from server.compose import Gus
from server.settings import Settings
from tests.graphql.documents import DELETE
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.rows import unchanged

PREVIEW = """
query($input: PreviewSendInput!) {
  previewSend(input: $input) { refusal { __typename ... on LimitReached { resource active limit } } }
}
"""
REACHED = {"__typename": "LimitReached", "resource": "CONVERSATIONS", "active": 2, "limit": 2}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_conversations": 2})


async def test_whatever_makes_one_too_many_is_refused_and_counts_nothing(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    sent = await ada.said(script(words=1))
    made = await ada.create(idempotencyKey="k")
    for asking in (ada.create(), ada.fork(sent["reply"]["id"]), ada.send("Hi")):
        refused = await unchanged(gus, asking)
        assert {name: refused[name] for name in REACHED} == REACHED
    assert (await ada.ask(PREVIEW, input={"text": "Hi"}))["previewSend"]["refusal"] == REACHED
    assert (await ada.ask(PREVIEW, input={"text": "Hi", **here(sent)}))["previewSend"]["refusal"] is None
    assert (await ada.create(idempotencyKey="k"))["replayed"] is True
    await ada.said(script(words=1), **here(sent))
    await bob.said(script(words=1))
    await ada.ask(DELETE, **here(made))
    assert (await ada.fork(sent["reply"]["id"]))["__typename"] == "ForkConversationSuccess"
    assert (await unchanged(gus, ada.create()))["__typename"] == "LimitReached"
