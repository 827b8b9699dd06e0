"""Who gets what: each role, a visitor and a banned user, by each root field. `matrix.txt` is the golden copy; read it in a review."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import OperationType
from litestar import Litestar

from domain.user import Role
from domain.world import UserId
from resolvers import node
from server.compose import Gus
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.places import Call, calls
from tests.graphql.process import new_user

GOLDEN = Path(__file__).with_name("matrix.txt")
ROOTS = ("Query", "Mutation", "Subscription")
WHO = ("visitor", *(role.value for role in Role), "banned")


def root_calls(built: strawberry.Schema) -> list[Call]:
    return [call for call in calls(built._schema) if call.of in ROOTS]


def golden() -> dict[str, dict[str, str]]:
    """By who asks and the field."""
    head, *rows = [line.split() for line in GOLDEN.read_text().splitlines()]
    return {who: {field: cells[column] for field, *cells in rows} for column, who in enumerate(head)}


def test_every_root_field_has_a_row(built: strawberry.Schema) -> None:
    for who in WHO:
        assert sorted(golden()[who]) == sorted(map(str, root_calls(built)))


@pytest.mark.parametrize("who", WHO)
async def test_each_is_answered_as_the_matrix_says(gus: Gus, app: Litestar, built: strawberry.Schema, who: str) -> None:
    asking = await asks(gus, app, who)
    told = {str(call): await asking.told(call, built) for call in root_calls(built)}
    assert told == golden()[who], "\n".join(f"{field:<36} {word}" for field, word in told.items())


@dataclass(frozen=True, slots=True)
class Asking:
    """`owner` has what is named: the one who asks, before any ban; for a visitor somebody else."""

    gus: Gus
    front_end: FrontEnd
    owner: FrontEnd
    is_banned: bool

    async def told(self, call: Call, built: strawberry.Schema) -> str:
        after = ("after",) if call.kind is OperationType.SUBSCRIPTION and "after" in call.declared.args else ()
        things = await self._things(call)
        variables = call.variables(things.__getitem__, key=str(call), also=after)
        document = call.document(built._schema, variables)
        async with self._banned(things["Viewer"]):
            answer = await self.front_end.answer(document, **variables)
            if call.kind is OperationType.SUBSCRIPTION and _word(answer, call) == "BAD_REQUEST":
                async with self.front_end.watching(document, **variables) as events:
                    return "yes" if await anext(events) else "null"
        return _word(answer, call)

    async def _things(self, call: Call) -> dict[str, str]:
        """Fresh ones: what was asked before may have changed or ended those."""
        me = node.user_id((await self.owner.ask("{viewer {user {id}}}"))["viewer"]["user"]["id"])
        assert me is not None
        users = self.gus.services.users
        spare = await users.issue_key(me, "spare", can_manage=False) if call.name == "revokeApiKey" else None
        sent = await self._sent(call)
        return {
            "ApiKey": node.encode("ApiKey", spare.key.id) if spare else "",
            "Conversation": sent["conversation"]["id"],
            "Generation": sent["generation"]["id"],
            "Message": sent["userMessage" if call.name == "editMessage" else "reply"]["id"],
            "User": node.encode("User", (await users.create_user("another", Role.USER)).id),
            "Viewer": node.encode("Viewer", me),
        }

    async def _sent(self, call: Call) -> dict[str, Any]:
        if call.name != "continueReply":
            return await self.owner.said(script(words=1))
        sent = await self.owner.send(script(words=500, delay_ms=20))
        await self.owner.heard(sent["generation"]["id"])
        await self.owner.stop(sent["generation"]["id"])
        await self.owner.followed(sent["generation"]["id"])
        return sent

    @asynccontextmanager
    async def _banned(self, viewer: str) -> AsyncIterator[None]:
        accounts, user_id = self.gus.services.accounts, node.uuid_of("Viewer", viewer)
        assert user_id is not None
        if self.is_banned:
            await accounts.ban(UserId(user_id), None)
        yield
        if self.is_banned:
            await accounts.unban(UserId(user_id))


async def asks(gus: Gus, app: Litestar, who: str) -> Asking:
    if who == Role.GUEST.value:
        owner = FrontEnd(app, (await gus.services.guests.start("192.0.2.1")).token)
    else:
        role = Role(who) if who in Role.__members__ else Role.USER
        owner = FrontEnd(app, await new_user(gus, who, can_manage=True, role=role))
    return Asking(gus, FrontEnd(app, None) if who == "visitor" else owner, owner, who == "banned")


def _word(answer: dict[str, Any], call: Call) -> str:
    if "errors" in answer:
        return "+".join(error["extensions"]["code"] for error in answer["errors"])
    told = answer["data"][call.name]
    if not isinstance(told, dict):
        return "null" if told is None else "yes"
    if told.get("refusal"):
        return str(told["refusal"]["__typename"])
    is_refusal = "Success" not in told["__typename"] and call.kind is OperationType.MUTATION
    return str(told["__typename"]) if is_refusal else "yes"
