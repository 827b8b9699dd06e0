"""previewSend: what a send would answer, and nothing changes."""

from typing import Any

import pytest

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.ids import UNKNOWN
from tests.graphql.rows import everything
from tests.model_server import ModelServer

PREVIEW = """
query Preview($input: PreviewSendInput!) {
  previewSend(input: $input) {
    refusal {
      __typename code message retryable
      ... on ContextTooLarge { requiredTokens limitTokens }
      ... on ConversationBusy { activeGeneration { id } }
      ... on InvalidInput { problems { rule path } }
      ... on NotFound { path }
      ... on ModelUnavailable { model { key } }
    }
    notices { code }
    model { key }
    context { includedCount excludedCount promptSha256 estimatedInputTokens included { nodes { text } } }
    estimatedInputTokens
    maximumCost
  }
}
"""
SENT = "query($id: ID!) {generation(id: $id) {context {promptSha256 includedCount estimatedInputTokens}}}"


async def previewed(ada: FrontEnd, gus: Gus, text: str, **input: object) -> dict[str, Any]:
    """And every row of every table is looked at."""
    before = await everything(gus.database)
    answered = await ada.ask(PREVIEW, input={"text": text, **input})
    assert await everything(gus.database) == before
    assert len(before) > 9
    return dict(answered["previewSend"])


async def test_a_preview_tells_what_the_send_then_does(ada: FrontEnd, gus: Gus, model_server: ModelServer) -> None:
    first = await ada.said(script(say=["Wood."]))
    preview = await previewed(ada, gus, "And leaves?", **here(first), settings={"maxOutputTokens": 100})
    assert len(model_server.seen) == 1
    sent = await ada.said("And leaves?", **here(first), settings={"maxOutputTokens": 100})
    context = (await ada.ask(SENT, id=sent["generation"]["id"]))["generation"]["context"]
    assert (preview["refusal"], preview["notices"], preview["model"]) == (None, [], {"key": "scripted"})
    assert {name: preview["context"][name] for name in context} == context
    assert [message["text"] for message in preview["context"]["included"]["nodes"]] == [script(say=["Wood."]), "Wood."]
    tokens = preview["estimatedInputTokens"]
    assert tokens == context["estimatedInputTokens"]
    assert float(preview["maximumCost"]) == pytest.approx((tokens * 0.25 + 100 * 1.5) / 1e6)


async def test_a_preview_of_a_new_conversation_needs_none(ada: FrontEnd, gus: Gus) -> None:
    preview = await previewed(ada, gus, "Hello", newConversation={"settings": {"model": "other"}})
    assert (preview["refusal"], preview["model"]) == (None, {"key": "other"})
    assert preview["context"]["included"] == {"nodes": []}


async def test_with_fallbacks_the_dearest_is_the_price(ada: FrontEnd, gus: Gus) -> None:
    plain = await previewed(ada, gus, "Hello")
    backed = await previewed(ada, gus, "Hello", settings={"model": "backed"})
    assert float(backed["maximumCost"]) > 15 * float(plain["maximumCost"])


async def test_what_does_not_fit_is_told_with_the_model_that_was_asked(ada: FrontEnd, gus: Gus) -> None:
    preview = await previewed(ada, gus, "x" * 200, settings={"model": "small"})
    assert (preview["refusal"]["code"], preview["refusal"]["requiredTokens"]) == ("CONTEXT_TOO_LARGE", 197)
    assert (preview["model"], preview["context"], preview["maximumCost"]) == ({"key": "small"}, None, None)


@pytest.mark.parametrize(
    ("text", "input", "code"),
    [
        (" ", {}, "INVALID_INPUT"),
        ("Hello", {"settings": {"model": "retired"}}, "MODEL_UNAVAILABLE"),
        ("Hello", {"conversation": UNKNOWN["Conversation"]}, "NOT_FOUND"),
        ("Hello", {"conversation": "no-id"}, "NOT_FOUND"),
        ("Hello", {"parent": UNKNOWN["Message"]}, "INVALID_INPUT"),
    ],
)
async def test_a_preview_meets_the_first_refusal_of_the_send(
    ada: FrontEnd, gus: Gus, text: str, input: dict[str, object], code: str
) -> None:
    preview = await previewed(ada, gus, text, **input)
    assert preview["refusal"]["code"] == code
    assert (await ada.send(text, **input))["code"] == code


async def test_a_busy_conversation_is_told_unless_the_policy_helps(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.send(script(fault="hang_first"))
    refusal = (await previewed(ada, gus, "More", **here(sent)))["refusal"]
    assert (refusal["code"], refusal["activeGeneration"]["id"]) == ("CONVERSATION_BUSY", sent["generation"]["id"])
    for policy in ("ENQUEUE", "INTERRUPT"):
        assert (await previewed(ada, gus, "More", **here(sent), onBusy=policy))["refusal"] is None
    beside = await previewed(ada, gus, "More", **here(sent), onBusy="BRANCH")
    assert (beside["refusal"], beside["context"]["included"]["nodes"]) == (None, [])


async def test_a_visitor_may_not_preview(visitor: FrontEnd) -> None:
    assert await visitor.refused(PREVIEW, input={"text": "hi"}) == ["UNAUTHENTICATED"]
