"""Plans: what a viewer is shown of models, and what sends are refused, by the same decision."""

from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from domain.user import Role
from server.compose import Gus
from server.settings import Settings
from tests.graphql.documents import CONTINUE, EDIT, REGENERATE
from tests.graphql.front_end import FrontEnd, here, script
from tests.graphql.models import ON_OFFER
from tests.graphql.process import new_user
from tests.graphql.rows import unchanged
from tests.model_server import ModelServer

SHOWN = "{models {key availableToViewer unavailableReason requiredPlan {key}} viewer {defaultModel {key} user {plan {key}}}}"
PREVIEW = """
query($input: PreviewSendInput!) {
  previewSend(input: $input) {refusal {__typename message ... on NotAllowed {requiredRole requiredPlan {key}}}}
}
"""
MINE = """
{viewer {user {plan {
  __typename id key name features models {key} limits {metric window softLimit hardLimit}
}}}}
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"plans": Path(__file__).with_name("plans.toml")})


async def a_front_end(gus: Gus, app: Litestar, role: Role) -> FrontEnd:
    return FrontEnd(app, await new_user(gus, role.value, can_manage=False, role=role))


@pytest.mark.parametrize(
    ("role", "available", "denied"),
    [
        (
            Role.GUEST,
            ["small"],
            {"other": ("ROLE", "premium"), "scripted": ("ROLE", "free"), "whole": ("ROLE", "plus")},
        ),
        (Role.USER, ["scripted", "small"], {"other": ("ROLE", "premium"), "whole": ("PLAN", "plus")}),
        (Role.PREMIUM, ON_OFFER, {}),
        (Role.ADMIN, ON_OFFER, {}),
        (Role.SERVICE, ON_OFFER, {}),
    ],
)
async def test_what_is_shown_of_a_model_is_what_a_send_is_answered(
    gus: Gus, app: Litestar, role: Role, available: list[str], denied: dict[str, tuple[str, str]]
) -> None:
    front_end = await a_front_end(gus, app, role)
    shown = await front_end.ask(SHOWN)
    assert [model["key"] for model in shown["models"] if model["availableToViewer"]] == available
    assert shown["viewer"]["defaultModel"] == {"key": available[0]}
    told = {model["key"]: (model["unavailableReason"], model["requiredPlan"]) for model in shown["models"]}
    for key, (reason, plan) in denied.items():
        assert told[key] == (reason, {"key": plan})
    for model in shown["models"]:
        settings = {"model": model["key"]}
        previewed = (await front_end.ask(PREVIEW, input={"text": "Hi", "settings": settings}))["previewSend"]["refusal"]
        sent = await front_end.send("Hi", settings=settings)
        if model["availableToViewer"]:
            assert (sent["__typename"], previewed) == ("SendMessageSuccess", None)
        else:
            assert previewed == {name: sent[name] for name in ("__typename", "message", "requiredRole", "requiredPlan")}
            assert (sent["__typename"], sent["requiredPlan"]) == ("NotAllowed", model["requiredPlan"])


async def test_a_visitor_is_shown_what_a_guest_has(visitor: FrontEnd, gus: Gus, app: Litestar) -> None:
    asked = "{models {key availableToViewer unavailableReason requiredPlan {key}}}"
    guest = await a_front_end(gus, app, Role.GUEST)
    assert await visitor.ask(asked) == await guest.ask(asked)


async def test_a_refused_model_changes_nothing_whatever_starts_the_reply(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.said(script(words=1))
    before = {"idempotencyKey": "k", "settings": {"model": "whole"}}
    for document, input in (
        (EDIT, {"message": sent["userMessage"]["id"], "text": "Hello", **before}),
        (REGENERATE, {"reply": sent["reply"]["id"], **before}),
    ):
        [answer] = (await unchanged(gus, ada.ask(document, input=input))).values()
        assert (answer["__typename"], answer["requiredRole"], answer["requiredPlan"]) == (
            "NotAllowed",
            None,
            {"key": "plus"},
        )
    refused = await unchanged(gus, ada.send("Hello", **here(sent), settings={"model": "other"}))
    assert (refused["requiredRole"], refused["requiredPlan"]) == ("PREMIUM", {"key": "premium"})


async def test_a_reply_goes_on_only_by_a_model_that_is_still_in_the_plan(ada: FrontEnd, gus: Gus) -> None:
    sent = await ada.send(script(words=500, delay_ms=20))
    await ada.stop(sent["generation"]["id"])
    await ada.followed(sent["generation"]["id"])
    can = "query($id: ID!) {message(id: $id) {viewerCan}}"
    assert "CONTINUE" in (await ada.ask(can, id=sent["reply"]["id"]))["message"]["viewerCan"]
    await gus.database.execute("UPDATE generations SET model_key = 'other'")
    assert "CONTINUE" not in (await ada.ask(can, id=sent["reply"]["id"]))["message"]["viewerCan"]
    await gus.database.execute("UPDATE generations SET model_key = 'whole'")
    command = {"reply": sent["reply"]["id"], "idempotencyKey": "k"}
    [answer] = (await unchanged(gus, ada.ask(CONTINUE, input=command))).values()
    assert (answer["__typename"], answer["requiredPlan"]) == ("NotAllowed", {"key": "plus"})


async def test_a_retired_model_is_refused_with_those_that_the_viewer_may_use(ada: FrontEnd, gus: Gus) -> None:
    refused = await unchanged(gus, ada.send("Hello", settings={"model": "retired"}))
    assert (refused["__typename"], [model["key"] for model in refused["alternatives"]]) == (
        "ModelUnavailable",
        ["scripted", "small"],
    )


async def test_a_model_whose_server_is_down_says_so_and_is_sent_to_all_the_same(
    ada: FrontEnd, model_server: ModelServer
) -> None:
    await model_server.refuse_connections()
    scripted: dict[str, Any] = (await ada.ask(SHOWN))["models"][0]
    assert scripted == {
        "key": "scripted",
        "availableToViewer": False,
        "unavailableReason": "DOWN",
        "requiredPlan": None,
    }
    assert (await ada.send("Hello"))["__typename"] == "SendMessageSuccess"


async def test_a_plan_is_as_the_file_says(ada: FrontEnd) -> None:
    plan = (await ada.ask(MINE))["viewer"]["user"]["plan"]
    assert plan.pop("id")
    assert plan == {
        "__typename": "Plan",
        "key": "free",
        "name": "Free",
        "features": ["export"],
        "models": [{"key": "scripted"}, {"key": "small"}],
        "limits": [{"metric": "COST", "window": "MONTH", "softLimit": "1.5", "hardLimit": "2"}],
    }
