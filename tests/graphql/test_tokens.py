"""Signed tokens: an issuer's and ours let in, every forged or stale one is refused in the same words."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from litestar import Litestar

from domain.errors import NotAuthenticated
from domain.user import Role
from server.compose import Gus
from server.identity.own import OwnKeys
from server.settings import Settings
from tests.graphql.front_end import FrontEnd
from tests.graphql.tokens import AUDIENCE, ISSUER, KeySet, claims, key_set, public_jwk, public_pem, raw, rsa_key, signed

WHO = "{viewer {user {id displayName role}}}"
SECRET = "0123456789abcdef" * 2
BEFORE = "fedcba9876543210" * 2
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def issuer() -> AsyncIterator[KeySet]:
    async with key_set() as served:
        served.keys.append(public_jwk(rsa_key("second"), "two"))
        yield served


@pytest.fixture
def settings(settings: Settings, issuer: KeySet) -> Settings:
    known = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks_url": issuer.url}
    return settings.model_copy(update={**known, "previous_secret_key": BEFORE})


def own_header() -> dict[str, Any]:
    return jwt.get_unverified_header(own())


def own(secret: str = SECRET, *, expires_at: datetime = NOW + HOUR) -> str:
    return OwnKeys(secret).sign(ADA, issued_at=NOW, expires_at=expires_at)  # type: ignore[arg-type]  # any id would do


ADA = "01890000-0000-7000-8000-00000000ada0"
PUBLIC = public_jwk(rsa_key("forger"), "one")

FORGED: dict[str, Callable[[], str]] = {
    "alg none": lambda: raw({"alg": "none", "kid": "one"}, claims()),
    "alg None": lambda: raw({"alg": "None", "kid": "one"}, claims()),
    "alg missing": lambda: raw({"kid": "one"}, claims()),
    "alg none with our key": lambda: raw({**own_header(), "alg": "none"}, claims(iss="gus", aud="gus", sub=ADA)),
    "signature cut off": lambda: signed(claims()).rsplit(".", 1)[0] + ".",
    "signature of other claims": lambda: swapped(signed(claims()), signed(claims(sub="somebody"))),
    "HS256 with the public key as its secret": lambda: hs256_with(public_pem(rsa_key())),
    "RS256 where the key is for HS256": lambda: signed(claims(iss="gus", aud="gus", sub=ADA), kid=own_header()["kid"]),
    "an algorithm that the key is not for": lambda: signed(claims(), algorithm="RS512"),
    "a key of nobody": lambda: signed(claims(), rsa_key("forger")),
    "another key's kid": lambda: signed(claims(), kid="two"),
    "kid missing": lambda: jwt.encode(claims(), rsa_key(), "RS256"),
    "kid empty": lambda: signed(claims(), kid=""),
    "kid a path": lambda: signed(claims(), kid="../../../../dev/null"),
    "kid SQL": lambda: signed(claims(), kid="one' UNION SELECT 'x'; --"),
    "kid a list": lambda: raw({"alg": "RS256", "kid": ["one"]}, claims(), b"x"),
    "kid too long": lambda: signed(claims(), kid="one" * 1000),
    "brings its own key": lambda: signed(claims(), rsa_key("forger"), jwk=PUBLIC),
    "says where its key is": lambda: signed(claims(), rsa_key("forger"), jku="http://127.0.0.1:1/jwks"),
    "says where its certificate is": lambda: signed(claims(), rsa_key("forger"), x5u="http://127.0.0.1:1/x5u"),
    "brings its certificate": lambda: signed(claims(), rsa_key("forger"), x5c=["MIIB"]),
    "crit": lambda: signed(claims(), crit=["exp"]),
    "iss of another": lambda: signed(claims(iss="https://issuer.example.evil")),
    "iss missing": lambda: signed(claims(iss=None)),
    "iss ours, key the issuer's": lambda: signed(claims(iss="gus", aud="gus", sub=ADA)),
    "aud of another": lambda: signed(claims(aud="another")),
    "aud missing": lambda: signed(claims(aud=None)),
    "expired": lambda: signed(claims(exp=int((NOW - HOUR).timestamp()))),
    "exp missing": lambda: signed(claims(exp=None)),
    "exp no number": lambda: signed(claims(exp="never")),
    "exp beyond time": lambda: signed(claims(exp=10**400)),
    "not yet valid": lambda: signed(claims(nbf=int((NOW + HOUR).timestamp()))),
    "issued in the future": lambda: signed(claims(iat=int((NOW + HOUR).timestamp()))),
    "sub missing": lambda: signed(claims(sub=None)),
    "sub empty": lambda: signed(claims(sub="")),
    "sub no text": lambda: raw_signed({**claims(), "sub": 5}),
    "sub with NUL": lambda: signed(claims(sub="a\0b")),
    "sub too long": lambda: signed(claims(sub="s" * 256)),
    "jti missing": lambda: signed(claims(jti=None)),
    "too long": lambda: signed(claims(padding="x" * 8192)),
    "claims no object": lambda: raw_signed([1]),
    "nested beyond reading": lambda: raw({"alg": "RS256", "kid": "one"}, b"[" * 5000, b"x"),
    "a token in a token": lambda: raw({"alg": "RS256", "kid": "one", "cty": "JWT"}, signed(claims()).encode(), b"x"),
    "two parts": lambda: "a.b",
    "ours, of a user who is not there": lambda: own(),
    "ours, expired": lambda: own(expires_at=NOW - HOUR),
    "ours, by another secret": lambda: own("another-secret-key-of-32-letters"),
}


def swapped(token: str, other: str) -> str:
    header, _, signature = token.split(".")
    return ".".join([header, other.split(".")[1], signature])


def hs256_with(secret: bytes) -> str:
    """PyJWT refuses to sign with a public key, so by hand."""
    import hashlib
    import hmac

    unsigned = raw({"alg": "HS256", "kid": "one"}, claims()).rsplit(".", 1)[0]
    return unsigned + "." + raw(b"", b"", hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()).split(".")[2]


def raw_signed(said: object) -> str:
    """With the issuer's good key, whatever is said."""
    return jwt.api_jws.encode(json.dumps(said).encode(), rsa_key(), "RS256", headers={"kid": "one"})


@pytest.mark.parametrize("forgery", FORGED)
async def test_a_forged_or_stale_token_is_refused_in_the_words_of_every_bad_credential(
    app: Litestar, gus: Gus, forgery: str
) -> None:
    unknown_key = await FrontEnd(app, "gus_nobodys").answer(WHO)
    users = await gus.database.fetch("SELECT count(*) FROM users")
    assert await FrontEnd(app, FORGED[forgery]()).answer(WHO) == unknown_key
    assert unknown_key["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert await gus.database.fetch("SELECT count(*) FROM users") == users


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(lambda: rsa_key(), "RS256"), (lambda: rsa_key(), "PS256")],
)
async def test_a_stranger_whom_the_issuer_names_becomes_a_user_once(
    app: Litestar, gus: Gus, issuer: KeySet, key: Callable[[], Any], algorithm: str
) -> None:
    issuer.keys = [public_jwk(key(), "one", algorithm)]
    token = signed(claims(name="  Ada \u202eLovelace\n"), key(), algorithm)
    ways = await asyncio.gather(*(FrontEnd(app, token).ask(WHO) for _ in range(10)))
    [user] = {json.dumps(way["viewer"]["user"]) for way in ways}
    assert (json.loads(user)["displayName"], json.loads(user)["role"]) == ("Ada Lovelace", "USER")
    again = await FrontEnd(app, signed(claims(), key(), algorithm)).ask(WHO)
    assert again["viewer"]["user"] == json.loads(user)
    other = await FrontEnd(app, signed(claims(sub="subject-2"), key(), algorithm)).ask(WHO)
    assert other["viewer"]["user"]["id"] != json.loads(user)["id"]
    assert issuer.asked == 1


async def test_while_an_issuer_rotates_its_keys_both_let_in_as_the_same_user(app: Litestar, issuer: KeySet) -> None:
    before = await FrontEnd(app, signed(claims())).ask(WHO)
    assert await FrontEnd(app, signed(claims(), rsa_key("second"), kid="two")).ask(WHO) == before
    assert issuer.asked == 1


async def test_a_token_made_before_the_secret_key_was_changed_is_good(app: Litestar, gus: Gus) -> None:
    user = await gus.services.users.create_user("Ada", Role.USER)
    for secret in (SECRET, BEFORE):
        token = OwnKeys(secret).sign(user.id, issued_at=NOW, expires_at=NOW + HOUR)
        assert (await FrontEnd(app, token).ask(WHO))["viewer"]["user"]["displayName"] == "Ada"
    token = OwnKeys(BEFORE).sign(user.id, issued_at=NOW, expires_at=NOW + HOUR)
    with pytest.raises(NotAuthenticated):
        await gus.services.users.authenticate(token.replace("-", "_")[:-2] + "AA")


async def test_an_unknown_key_is_asked_for_once_a_minute_and_known_ones_are_never_waited_for(
    app: Litestar, issuer: KeySet
) -> None:
    good = signed(claims())
    await FrontEnd(app, good).ask(WHO)
    for number in range(5):
        await FrontEnd(app, signed(claims(), kid=f"new-{number}")).refused(WHO)
    assert issuer.asked == 1
    issuer.open_to_answer.clear()
    assert (await FrontEnd(app, good).ask(WHO))["viewer"] is not None


async def test_without_the_issuer_nobody_new_is_judged_and_api_keys_are_as_good_as_ever(
    app: Litestar, issuer: KeySet, ada: FrontEnd
) -> None:
    issuer.status = 500
    answer = await FrontEnd(app, signed(claims())).answer(WHO)
    assert answer["errors"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfter": 5.0}
    assert (await ada.ask(WHO))["viewer"]["user"]["displayName"] == "Ada"


async def test_whom_a_token_names_is_looked_up_every_other_second_at_most(app: Litestar) -> None:
    await FrontEnd(app, signed(claims())).ask(WHO)
    _, statements = await FrontEnd(app, signed(claims())).counted(WHO)
    assert statements == []
