"""What is another user's is answered as what is not there, to the byte: in every place of the contract where an id can stand."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import strawberry
from graphql import OperationType
from litestar import Litestar

from domain.user import Role
from resolvers import node
from server.compose import Gus
from server.graphql.edge import OpenEdge
from tests.everything import operations
from tests.graphql.documents import PUBLISH
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.ids import UNKNOWN
from tests.graphql.limits import limit, quota
from tests.graphql.places import Call, calls, nodes, put
from tests.graphql.process import new_user, served
from tests.graphql.rows import contents

# They take no id. Of the queries among them a test looks at all that they answer.
NAMELESS = {
    "Query.viewer",
    "Query.models",
    "Query.admin",
    "Query.rateLimit",
    "Mutation.startGuestSession",
    "Mutation.createConversation",
    "Mutation.createApiKey",
    "Mutation.setInstruction",
    "Mutation.upsertModel",
    "Mutation.publishInstruction",
    "Subscription.viewerEvents",
}
# Everybody's, whoever asks.
SHARED = {"Model", "Plan"}
# Where admins name others, and what only they are shown.
ADMINS_NAME = {"Mutation.setUserRole", "Mutation.setUserPlan", "Mutation.setQuota"}
ADMINS_SEE = {"Instruction"}
NEVER_RUN = (b"BAD_REQUEST", b"PARSE_FAILED", b"VALIDATION_FAILED", b"BAD_VARIABLES", b"TOO_COMPLEX", b"INTERNAL")
SECRET = "xylophone"
SUM_UP = """
INSERT INTO context_summaries (id, conversation_id, covers_through, branch_id, depth, text, model_key, tokens, created_at)
SELECT $1, conversation_id, id, branch_id, depth, $3, 'scripted', 1, now() FROM messages WHERE id = $2 RETURNING id
"""
MINE = "{viewer {id user {id} apiKeys {id}}}"


@dataclass(frozen=True, slots=True)
class World:
    """One user's things, by kind."""

    secret: str
    ids: Mapping[str, tuple[str, ...]]

    def naming(self, kind: str) -> str:
        return self.ids[kind][0]


@pytest.fixture
def app(gus: Gus, built: strawberry.Schema) -> Litestar:
    """It tells nobody what is left: that is less after each answer."""
    return served(gus, built, edge=OpenEdge())


async def world(gus: Gus, app: Litestar, name: str, role: Role = Role.USER) -> World:
    secret = await new_user(gus, f"{name} {SECRET}", can_manage=True, role=role)
    front_end = FrontEnd(app, secret)
    ended = await front_end.said(script(words=1), newConversation={"title": SECRET})
    running = await front_end.send(script(words=9, after=3, fault="hang_between"))
    await front_end.heard(running["generation"]["id"])
    viewer = (await front_end.ask(MINE))["viewer"]
    sent = (ended, running)
    return World(
        secret,
        {
            "Viewer": (viewer["id"],),
            "User": (viewer["user"]["id"],),
            "ApiKey": tuple(key["id"] for key in viewer["apiKeys"]),
            "Conversation": tuple(each["conversation"]["id"] for each in sent),
            "Message": tuple(each[field]["id"] for each in sent for field in ("reply", "userMessage")),
            "Generation": tuple(each["generation"]["id"] for each in sent),
        },
    )


@pytest.fixture
async def bobs(gus: Gus, app: Litestar, grace: FrontEnd) -> World:
    bob = await world(gus, app, "Bob")
    published = {"scope": "PLATFORM", "text": SECRET, "expectedVersion": 0}
    instruction = (await grace.ask(PUBLISH, input=published))["publishInstruction"]["instruction"]["id"]
    summary = await summed_up(gus, bob.naming("Message"))
    await limit(grace, "MESSAGES", "DAY", "1000")
    own = (await quota(FrontEnd(app, bob.secret)))["id"]
    return World(bob.secret, {**bob.ids, "Instruction": (instruction,), "ContextSummary": (summary,), "Quota": (own,)})


async def summed_up(gus: Gus, reply: str) -> str:
    """A summary as the job leaves it."""
    [row] = await gus.database.fetch(SUM_UP, uuid4(), node.message_id(reply), SECRET)
    return node.encode("ContextSummary", row["id"])


def test_every_operation_and_every_node_is_tried(built: strawberry.Schema, bobs: World) -> None:
    every = list(calls(built._schema))
    named = {str(call) for call in every if any(call.id_places())}
    assert {str(call) for call in every} == named | NAMELESS
    assert named.isdisjoint(NAMELESS)
    assert nodes(built._schema) == SHARED | set(bobs.ids)


@pytest.mark.parametrize("role", [Role.USER, Role.ADMIN])
@pytest.mark.parametrize("kind", list(OperationType))
async def test_what_is_anothers_is_answered_as_what_is_not_there(
    gus: Gus, app: Litestar, built: strawberry.Schema, bobs: World, role: Role, kind: OperationType
) -> None:
    ada = await world(gus, app, "Ada", role)
    before = await settled(gus)
    for call in calls(built._schema):
        if call.kind is kind and not (role is Role.ADMIN and str(call) in ADMINS_NAME):
            await _try(app, built, call, ada, bobs, role)
    assert await settled(gus) == before


async def _try(app: Litestar, built: strawberry.Schema, call: Call, ada: World, bobs: World, role: Role) -> None:
    for place in call.id_places():
        variables = call.variables(ada.naming, key="k", also=place)
        document = call.document(built._schema, variables)
        for kind, ids in bobs.ids.items():
            if role is Role.ADMIN and kind in ADMINS_SEE:
                continue
            unknown = await answered(app, ada.secret, document, put(variables, place, UNKNOWN[kind]))
            assert not any(code in unknown[1] for code in NEVER_RUN), (str(call), unknown)
            for id in ids:
                foreign = await answered(app, ada.secret, document, put(variables, place, id))
                assert foreign == unknown, (str(call), place, kind)


async def answered(app: Litestar, secret: str, document: str, variables: Mapping[str, Any]) -> tuple[int, bytes]:
    stream = document.startswith("subscription")
    headers = {
        "Authorization": f"Bearer {secret}",
        "Accept": "text/event-stream" if stream else "application/json",
        "Content-Type": "application/json",
    }
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's ASGI types are narrower
    async with asyncio.timeout(30), httpx.AsyncClient(transport=transport, base_url="http://gus") as client:
        body = json.dumps({"query": document, "variables": variables})
        answer = await client.post("/graphql", content=body, headers=headers)
    return answer.status_code, answer.content


async def settled(gus: Gus) -> dict[str, list[str]]:
    """All that is stored but for the runs, whose leases are renewed."""
    return {table: rows for table, rows in (await contents(gus.database)).items() if table != "generations"}


@pytest.mark.parametrize("role", [Role.USER, Role.ADMIN])
async def test_what_takes_no_id_answers_nothing_of_others(
    gus: Gus, app: Litestar, built: strawberry.Schema, bobs: World, role: Role
) -> None:
    ada = FrontEnd(app, await new_user(gus, "Ada", can_manage=True, role=role))
    theirs = [SECRET, *(id for kind, ids in bobs.ids.items() if kind not in ADMINS_SEE for id in ids)]
    asked = [each for each in operations(built._schema, "all") if "$" not in each and each.startswith("query")]
    assert len(asked) == sum(name.startswith("Query.") for name in NAMELESS)
    for document in asked:
        if role is not Role.ADMIN or " admin " not in document:
            answer = json.dumps(await ada.answer(document))
            assert [each for each in theirs if each in answer] == [], document


async def test_a_viewer_hears_nothing_of_others(ada: FrontEnd, bob: FrontEnd) -> None:
    watched = "subscription {viewerEvents {... on ConversationTouched {conversation {title}}}}"
    async with ada.watching(watched) as events:
        assert await anext(events) == {}
        await bob.said(script(words=1), newConversation={"title": SECRET})
        await ada.create(title="mine")
        heard = await anext(events)
        while not heard:
            heard = await anext(events)
        assert heard == {"conversation": {"title": "mine"}}
