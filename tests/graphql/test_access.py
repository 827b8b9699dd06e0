"""What becomes of those who are banned or signed out, over requests and over sockets."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
import strawberry
from litestar import Litestar

from domain.account import Accounts
from domain.user import Role, User, Users
from domain.world import RealWorld
from repositories.account import SqlAccounts
from repositories.user import SqlUsers
from server.compose import Gus
from server.graphql import TransportLimits
from server.identity.own import OwnKeys
from server.settings import Settings
from tests.graphql.documents import (
    CONTINUE,
    CREATE,
    CREATE_KEY,
    EDIT,
    FORK,
    PUBLISH,
    RATE,
    REGENERATE,
    SEND,
    SET_INSTRUCTION,
    SET_STATE,
    UPDATE,
)
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.process import served
from tests.graphql.rows import unchanged
from tests.graphql.sockets import opened
from tests.graphql.tokens import claims, raw, signed

WHO = "{viewer {user {displayName}}}"
NOT_VALID = "This credential is not valid."
HOUR = timedelta(hours=1)
OFTEN = TransportLimits(recheck=timedelta(milliseconds=20))
BANNED = {"__typename": "Banned", "code": "BANNED", "retryable": False, "retryAfter": None}


@pytest.fixture
def accounts(gus: Gus) -> Accounts:
    return Accounts(
        SqlAccounts(gus.database), SqlUsers(gus.database), RealWorld(), gus.services.plans, gus.services.users.forget
    )


@pytest.fixture
async def eve(gus: Gus) -> User:
    return await gus.services.users.create_user("Eve", Role.USER)


@pytest.fixture
async def secret(gus: Gus, eve: User) -> str:
    return (await gus.services.users.issue_key(eve.id, "first", can_manage=True)).secret


@pytest.fixture
def token(eve: User, settings: Settings) -> str:
    now = datetime.now(UTC)
    return OwnKeys(settings.secret_key).sign(eve.id, issued_at=now - HOUR, expires_at=now + HOUR)


@pytest.fixture
def app(gus: Gus, built: strawberry.Schema) -> Litestar:
    return served(gus, built, limits=OFTEN)


async def test_who_is_banned_reads_and_writes_nothing(
    app: Litestar, gus: Gus, accounts: Accounts, eve: User, secret: str
) -> None:
    front_end = FrontEnd(app, secret)
    sent = await front_end.said(script(words=1), idempotencyKey="before")
    until = datetime(2999, 1, 1, tzinfo=UTC)
    await accounts.ban(eve.id, until)
    assert (await front_end.ask(WHO))["viewer"]["user"]["displayName"] == "Eve"
    told = {**BANNED, "message": "You are banned from writing; what is there can still be read."}
    told["until"] = "2999-01-01T00:00:00.000Z"
    assert await unchanged(gus, front_end.send("Hello")) == told
    conversation, question, reply = sent["conversation"]["id"], sent["userMessage"]["id"], sent["reply"]["id"]
    for mutation, input in (
        (SEND, {"text": "Hello", "idempotencyKey": "k"}),
        (CREATE, {"idempotencyKey": "k"}),
        (CONTINUE, {"reply": reply, "idempotencyKey": "k"}),
        (CREATE_KEY, {"name": "k"}),
        (EDIT, {"message": question, "text": "Hello", "idempotencyKey": "k"}),
        (REGENERATE, {"reply": reply, "idempotencyKey": "k"}),
        (FORK, {"message": reply, "idempotencyKey": "k"}),
        (UPDATE, {"conversation": conversation, "title": "k"}),
    ):
        [answer] = (await unchanged(gus, front_end.ask(mutation, input=input))).values()
        assert answer == told
    for asked in (
        front_end.ask(SET_STATE, conversation=conversation, state="ARCHIVED"),
        front_end.ask(RATE, message=reply, rating="UP"),
        front_end.ask(SET_INSTRUCTION, text="Rhyme."),
    ):
        [answer] = (await unchanged(gus, asked)).values()
        assert answer == told
    assert (await front_end.send(script(words=1), idempotencyKey="before"))["replayed"] is True


async def test_an_admin_who_is_banned_is_none(gus: Gus, accounts: Accounts, app: Litestar) -> None:
    admin = await gus.services.users.create_user("Grace", Role.ADMIN)
    front_end = FrontEnd(app, (await gus.services.users.issue_key(admin.id, "first", can_manage=False)).secret)
    assert await front_end.ask("{admin {__typename}}") == {"admin": {"__typename": "Admin"}}
    await accounts.ban(admin.id, None)
    assert await front_end.ask("{admin {__typename}}") == {"admin": None}
    publication = {"scope": "PLATFORM", "text": "Rhyme.", "expectedVersion": 0}
    refused = await unchanged(gus, front_end.ask(PUBLISH, input=publication))
    assert refused["publishInstruction"]["code"] == "NOT_ALLOWED"


async def test_a_ban_ends_by_itself_or_is_lifted(app: Litestar, accounts: Accounts, eve: User, secret: str) -> None:
    front_end = FrontEnd(app, secret)
    await accounts.ban(eve.id, datetime.now(UTC) - HOUR)
    assert (await front_end.said(script(words=1)))["__typename"] == "SendMessageSuccess"
    await accounts.ban(eve.id, None)
    assert (await front_end.send("Hello"))["until"] is None
    await accounts.unban(eve.id)
    assert (await front_end.said(script(words=1)))["__typename"] == "SendMessageSuccess"


async def test_a_ban_closes_sockets_for_good(app: Litestar, accounts: Accounts, eve: User, secret: str) -> None:
    async with opened(app, secret) as client:
        assert await client.receive() == {"type": "connection_ack"}
        await accounts.ban(eve.id, None)
        assert (await client.closed())[0] == 4401
    async with opened(app, secret) as client:
        assert (await client.closed())[0] == 4401


@pytest.mark.parametrize("credential", ["key", "token"])
async def test_signing_out_ends_keys_and_tokens_and_their_sockets(
    app: Litestar, accounts: Accounts, eve: User, secret: str, token: str, credential: str
) -> None:
    sent = {"key": secret, "token": token}[credential]
    async with opened(app, sent) as client:
        assert await client.receive() == {"type": "connection_ack"}
        await accounts.sign_out(eve.id)
        assert (await client.closed())[0] == 4401
    assert await FrontEnd(app, sent).refused(WHO) == ["UNAUTHENTICATED"]


async def test_a_token_signed_after_a_signing_out_is_good(
    app: Litestar, accounts: Accounts, eve: User, settings: Settings
) -> None:
    await accounts.sign_out(eve.id)
    now = datetime.now(UTC)
    token = OwnKeys(settings.secret_key).sign(eve.id, issued_at=now, expires_at=now + HOUR)
    assert (await FrontEnd(app, token).ask(WHO))["viewer"]["user"]["displayName"] == "Eve"


async def test_a_token_opens_a_socket_that_ends_with_it(app: Litestar, eve: User, settings: Settings) -> None:
    now = datetime.now(UTC)
    token = OwnKeys(settings.secret_key).sign(eve.id, issued_at=now, expires_at=now + timedelta(seconds=2))
    async with opened(app, token) as client:
        assert await client.receive() == {"type": "connection_ack"}
        assert (await client.closed())[0] == 4403


async def test_a_ban_bites_on_the_next_operation_of_a_socket(
    gus: Gus, built: strawberry.Schema, accounts: Accounts, eve: User, secret: str
) -> None:
    async with opened(served(gus, built), secret) as client:
        assert await client.receive() == {"type": "connection_ack"}
        await accounts.ban(eve.id, None)
        await client.subscribe(CREATE, variables={"input": {"idempotencyKey": "k"}})
        answer = await client.receive()
        assert answer["payload"]["data"]["createConversation"]["code"] == "BANNED"


async def test_the_operations_of_a_socket_ask_storage_about_their_credential_every_other_second_at_most(
    app: Litestar, gus: Gus, secret: str
) -> None:
    async with opened(app, secret) as client:
        assert await client.receive() == {"type": "connection_ack"}
        await gus.database.execute("UPDATE users SET role = 'ADMIN'")
        for number in range(20):
            await client.subscribe("{viewer {user {role}}}", id=str(number))
        told = [await client.receive() for _ in range(40)]
        roles = [each["payload"]["data"]["viewer"]["user"]["role"] for each in told if each["type"] == "next"]
        assert roles == ["USER"] * 20


async def test_every_bad_credential_is_answered_alike_over_requests_streams_and_sockets(
    app: Litestar, gus: Gus, accounts: Accounts, eve: User, secret: str, token: str
) -> None:
    expired = (await gus.services.users.issue_key(eve.id, "second", can_manage=False)).secret
    await gus.database.execute("UPDATE api_keys SET expires_at = now() WHERE name = 'second'")
    await gus.database.execute("UPDATE api_keys SET revoked_at = now() WHERE name = 'first'")
    await accounts.sign_out(eve.id)
    bad = ["gus_nobodys", "x", signed(claims()), raw({"alg": "none"}, claims()), secret, expired, token]
    over_requests = [await refused(app, sent, "application/json") for sent in bad]
    assert over_requests == [refusal()] * len(bad)
    assert [await refused(app, sent, "text/event-stream") for sent in bad] == over_requests
    assert [await close_of(app, sent) for sent in bad] == [
        *[(4403, f"Forbidden: {NOT_VALID}")] * 4,
        (4401, f"Unauthorized: {NOT_VALID}"),
        # An expired key was revoked since: whoever has it need not come back.
        (4401, f"Unauthorized: {NOT_VALID}"),
        (4401, f"Unauthorized: {NOT_VALID}"),
    ]


def refusal() -> tuple[int, object]:
    return 401, {"errors": [{"message": NOT_VALID, "extensions": {"code": "UNAUTHENTICATED"}}]}


async def refused(app: Litestar, secret: str, accept: str) -> tuple[int, object]:
    headers = {"Accept": accept, "Authorization": f"Bearer {secret}"}
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar's ASGI types are narrower
    async with httpx.AsyncClient(transport=transport, base_url="http://gus") as client:
        answer = await client.post("/graphql", json={"query": WHO}, headers=headers)
    return answer.status_code, answer.json()


async def close_of(app: Litestar, secret: str) -> tuple[int | None, str | None]:
    async with opened(app, secret) as client:
        return await client.closed()


@pytest.mark.parametrize("forgery", [signed(claims()), signed(claims()) + "ä", "a.b.c", "", "gus_"])
async def test_a_socket_is_refused_with_4403_whatever_is_wrong(app: Litestar, forgery: str) -> None:
    async with opened(app, forgery) as client:
        code, reason = await client.closed()
        assert code == 4403
        assert str(reason).startswith("Forbidden: ")


async def test_an_api_key_comes_over_to_a_changed_secret_key_with_its_next_use(
    gus: Gus, eve: User, secret: str, settings: Settings
) -> None:
    store, world, rotated = SqlUsers(gus.database), RealWorld(), "new-secret-key-of-enough-letters"
    during = Users(store, world, rotated, previous_secret_key=settings.secret_key)
    assert (await during.authenticate(secret)).user.id == eve.id
    after = Users(store, world, rotated)
    assert (await after.authenticate(secret)).user.id == eve.id
