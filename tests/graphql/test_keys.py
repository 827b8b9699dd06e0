"""createApiKey, revokeApiKey and who may come in."""

from typing import Any

from litestar import Litestar

from server.compose import Gus
from tests.graphql.documents import CREATE_KEY, REVOKE_KEY
from tests.graphql.front_end import FrontEnd
from tests.graphql.ids import MALFORMED, UNKNOWN
from tests.graphql.models import ON_OFFER
from tests.graphql.rows import unchanged

KEYS = "{viewer {apiKeys {id name prefix createdAt lastUsedAt expiresAt}}}"
NOT_ALLOWED = {
    "__typename": "NotAllowed",
    "code": "NOT_ALLOWED",
    "message": "This key may not manage keys: use one issued with `gus key issue --manage`.",
    "retryable": False,
    "retryAfter": None,
    "requiredRole": None,
    "requiredPlan": None,
}


async def made(front_end: FrontEnd, name: str = "laptop", **input: object) -> dict[str, Any]:
    return dict((await front_end.ask(CREATE_KEY, input={"name": name, **input}))["createApiKey"])


async def revoked(front_end: FrontEnd, key: str) -> dict[str, Any]:
    return dict((await front_end.ask(REVOKE_KEY, apiKey=key))["revokeApiKey"])


async def test_a_new_key_lets_in_and_its_secret_is_shown_once(ada: FrontEnd, app: Litestar) -> None:
    answer = await made(ada, " laptop ", expiresAt="2999-01-01T00:00:00+01:00")
    assert answer["__typename"] == "CreateApiKeySuccess"
    assert answer["secret"].startswith(answer["apiKey"]["prefix"])
    assert (answer["apiKey"]["name"], answer["apiKey"]["expiresAt"]) == ("laptop", "2998-12-31T23:00:00.000Z")
    assert answer["viewer"]["apiKeys"][-1] == {"id": answer["apiKey"]["id"]}
    laptop = FrontEnd(app, answer["secret"])
    keys = (await laptop.ask(KEYS))["viewer"]["apiKeys"]
    assert [key["name"] for key in keys] == ["first", "laptop"]
    assert all(key["createdAt"] <= key["lastUsedAt"] for key in keys)


async def test_a_new_key_may_not_manage_keys(ada: FrontEnd, app: Litestar, gus: Gus) -> None:
    answer = await made(ada)
    laptop = FrontEnd(app, answer["secret"])
    assert await unchanged(gus, made(laptop)) == NOT_ALLOWED
    assert await unchanged(gus, revoked(laptop, answer["apiKey"]["id"])) == NOT_ALLOWED


async def test_a_key_without_the_right_is_told_so_whatever_it_names(bob: FrontEnd, gus: Gus) -> None:
    assert await unchanged(gus, made(bob, "")) == NOT_ALLOWED
    for key in (UNKNOWN["ApiKey"], *MALFORMED):
        assert await unchanged(gus, revoked(bob, key)) == NOT_ALLOWED


async def test_rules_are_told_all_at_once(ada: FrontEnd, gus: Gus) -> None:
    refused = await unchanged(gus, made(ada, " " * 101, expiresAt="2020-01-01T00:00:00Z"))
    assert (refused["__typename"], refused["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert [(problem["rule"], problem["path"], problem["limit"]) for problem in refused["problems"]] == [
        ("EMPTY", ["input", "name"], None),
        ("TOO_LONG", ["input", "name"], 100),
        ("OUT_OF_RANGE", ["input", "expiresAt"], None),
    ]


async def test_there_are_at_most_fifty_keys_and_a_revoked_one_makes_room(ada: FrontEnd, gus: Gus) -> None:
    for number in range(49):
        last = await made(ada, f"key {number}")
    assert len((await ada.ask(KEYS))["viewer"]["apiKeys"]) == 50
    refused = await unchanged(gus, made(ada))
    assert (refused["__typename"], refused["code"], refused["retryable"]) == ("LimitReached", "LIMIT_REACHED", False)
    assert (refused["resource"], refused["active"], refused["limit"]) == ("API_KEYS", 50, 50)
    await revoked(ada, last["apiKey"]["id"])
    assert (await made(ada))["__typename"] == "CreateApiKeySuccess"


async def test_a_revoked_key_is_gone_and_lets_nobody_in(ada: FrontEnd, app: Litestar) -> None:
    answer = await made(ada)
    key = answer["apiKey"]["id"]
    await FrontEnd(app, answer["secret"]).ask(KEYS)
    gone = await revoked(ada, key)
    assert (gone["__typename"], gone["revokedApiKey"]) == ("RevokeApiKeySuccess", key)
    assert {"id": key} not in gone["viewer"]["apiKeys"]
    assert await FrontEnd(app, answer["secret"]).refused(KEYS) == ["UNAUTHENTICATED"]
    assert (await ada.ask("query($id: ID!) {node(id: $id) {id}}", id=key))["node"] is None


async def test_unknown_malformed_foreign_and_revoked_keys_are_answered_alike(
    ada: FrontEnd, bob: FrontEnd, gus: Gus
) -> None:
    theirs = (await bob.ask(KEYS))["viewer"]["apiKeys"][0]["id"]
    gone = (await made(ada))["apiKey"]["id"]
    await revoked(ada, gone)
    for key in (theirs, gone, UNKNOWN["ApiKey"], *MALFORMED):
        assert await unchanged(gus, revoked(ada, key)) == {
            "__typename": "NotFound",
            "code": "NOT_FOUND",
            "message": "There is no such apiKey: it never existed, was deleted, or is not yours.",
            "retryable": False,
            "retryAfter": None,
            "path": ["apiKey"],
        }


async def test_an_expired_key_lets_nobody_in(ada: FrontEnd, app: Litestar, gus: Gus) -> None:
    answer = await made(ada, expiresAt="2999-01-01T00:00:00Z")
    await gus.database.execute("UPDATE api_keys SET expires_at = now() WHERE name = 'laptop'")
    assert await FrontEnd(app, answer["secret"]).refused(KEYS) == ["UNAUTHENTICATED"]


async def test_a_secret_of_nobody_lets_nobody_in_not_even_to_what_is_open(app: Litestar) -> None:
    for secret in ("gus_nonsense", "nonsense", "gus_"):
        assert await FrontEnd(app, secret).refused("{models {key}}") == ["UNAUTHENTICATED"]


async def test_a_visitor_sees_models_and_that_he_is_nobody(visitor: FrontEnd) -> None:
    seen = await visitor.ask("{viewer {id} models {key}}")
    assert (seen["viewer"], [model["key"] for model in seen["models"]]) == (None, ON_OFFER)
    assert await visitor.refused('{node(id: "x") {id}}') == ["UNAUTHENTICATED"]
