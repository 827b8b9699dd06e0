"""Tokens as an OIDC issuer signs them, as we do, and as forgers would like them; and a real issuer's key set over HTTP."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://issuer.example"
AUDIENCE = "gus-tests"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def rsa_key(name: str = "issuer") -> rsa.RSAPrivateKey:
    """Made once: it takes a tenth of a second. `name` tells several apart."""
    return rsa.generate_private_key(65537, 2048)


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_jwk(key: PrivateKey, key_id: str, algorithm: str = "RS256", **more: object) -> dict[str, Any]:
    known = jwt.get_algorithm_by_name(algorithm)
    described = known.to_jwk(key.public_key(), as_dict=True)
    assert isinstance(described, dict)
    return {**described, "kid": key_id, "alg": algorithm, "use": "sig", **more}


def claims(**changes: object) -> dict[str, Any]:
    """None takes a claim away."""
    now = datetime.now(UTC)
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "subject-1",
        "jti": uuid4().hex,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(hours=1)).timestamp()),
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def signed(said: dict[str, Any], key: Any = None, algorithm: str = "RS256", **header: object) -> str:
    return jwt.encode(said, key or rsa_key(), algorithm, headers={"kid": "one", **header})


def raw(header: object, said: object, signature: bytes = b"") -> str:
    """Whatever a library would refuse to make."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, said, signature))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@dataclass
class KeySet:
    """Serves a JWKS; `asked` counts, `status` and `held` misbehave."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [public_jwk(rsa_key(), "one")])
    status: int = 200
    body: bytes | None = None
    asked: int = 0
    open_to_answer: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self.open_to_answer.wait()
        body = self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()
        head = f"HTTP/1.1 {self.status} Said\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def key_set() -> AsyncIterator[KeySet]:
    served = KeySet()
    served.open_to_answer.set()
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    try:
        yield served
    finally:
        served.open_to_answer.set()
        server.close()
        await server.wait_closed()
