"""Models on offer, and those that old replies name."""

from server.compose import Gus
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.models import ON_OFFER
from tests.model_server import ModelServer

ALL = """
{
  models {
    key provider displayName contextWindow maxOutputTokens capabilities
    inputPricePerMillion outputPricePerMillion health retired fallbacks { key }
  }
}
"""


async def test_models_on_offer_are_as_configured_without_the_retired(visitor: FrontEnd) -> None:
    models = (await visitor.ask(ALL))["models"]
    assert models[0] == {
        "key": "scripted",
        "provider": "here",
        "displayName": "Scripted",
        "contextWindow": 65_536,
        "maxOutputTokens": None,
        "capabilities": ["CONTINUE", "STREAMING"],
        "inputPricePerMillion": "0.25",
        "outputPricePerMillion": "1.5",
        "health": "UP",
        "retired": False,
        "fallbacks": [],
    }
    assert [model["key"] for model in models] == ON_OFFER
    assert [model["key"] for model in models if model["maxOutputTokens"] == 16] == ["small"]
    assert [model["fallbacks"] for model in models if model["key"] == "backed"] == [
        [{"key": "spare"}, {"key": "other"}]
    ]


async def test_a_models_health_is_its_servers(ada: FrontEnd, model_server: ModelServer) -> None:
    await model_server.refuse_connections()
    assert (await ada.ask("{models {health}}"))["models"] == [{"health": "DOWN"}] * len(ON_OFFER)


async def test_the_default_is_the_first_on_offer_and_what_a_send_uses(ada: FrontEnd) -> None:
    sent = await ada.said(script(words=1))
    assert (await ada.ask("{viewer {defaultModel {key}}}"))["viewer"]["defaultModel"] == sent["generation"]["model"]


async def test_a_model_that_left_the_configuration_is_still_named_by_its_replies(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=1))
    # As after a restart without it.
    await gus.database.execute("UPDATE generations SET model_key = 'gone'")
    await gus.database.execute("UPDATE messages SET model_key = 'gone' WHERE role = 'ASSISTANT'")
    query = "query($id: ID!) {message(id: $id) {model {key displayName retired health} generation {model {key} requestedModel {key}}}}"
    message = (await ada.ask(query, id=sent["reply"]["id"]))["message"]
    assert message["model"] == {"key": "gone", "displayName": "gone", "retired": True, "health": "UNKNOWN"}
    assert message["generation"] == {"model": {"key": "gone"}, "requestedModel": {"key": "scripted"}}
