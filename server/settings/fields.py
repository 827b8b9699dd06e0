"""Every GUS_ variable: what it is for, what it may be, and what follows from it."""

from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.conversation.store import MOST_CONVERSATIONS
from domain.conversation.upkeep import Retention
from domain.guest import GuestPolicy
from domain.user import KEY_PREFIX
from server.identity.issuer import Issuer
from server.settings.values import SHORTEST_SECRET, is_a_host, is_an_origin, is_one_word, is_safe, names_a_database
from server.throttle import Allowances
from server.throttle.addresses import network_of

PREFIX = "GUS_"
SHORTEST_DEV_KEY = 24
MOST_WORKERS = 64
MOST_ALLOWED = 1_000_000_000


class Environment(Enum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """From `load_settings` the secret key is always there, and in development the development key as well."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    env: Environment = Field(
        default=Environment.DEVELOPMENT,
        description="`development` or `production`. Development brings its own database, model and keys, and migrates at start.",
    )
    host: str = Field(
        default="127.0.0.1", min_length=1, description="The address to listen on; `0.0.0.0` for every one."
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; `0` takes any free one.")
    workers: int = Field(
        default=1,
        ge=1,
        le=MOST_WORKERS,
        description="How many processes share the port; about one for each core. One that dies is replaced.",
    )
    data_dir: Path = Field(
        default=Path(".gus"),
        description="Folder for the embedded database and the keys of development. One gus at a time; not used in production.",
    )
    database_url: str | None = Field(
        default=None,
        repr=False,
        description="PostgreSQL 15 or later, `postgresql://user:password@host:5432/name`; may be a transaction pooler. "
        "Without it the embedded PostgreSQL starts. Required in production.",
    )
    listen_url: str | None = Field(
        default=None,
        repr=False,
        description="A direct connection to the same database, for LISTEN, where `GUS_DATABASE_URL` is a transaction pooler.",
    )
    database_pool: int = Field(
        default=10, ge=2, le=200, description="The most connections that a process keeps to the database."
    )
    models: Path | None = Field(
        default=None,
        description="A TOML file with model servers and models, see `docker/models.toml`. "
        "Without it the embedded model starts. Required in production.",
    )
    plans: Path | None = Field(
        default=None,
        description="A TOML file with plans: which models, features and limits users have, see `docker/plans.toml`. "
        "Without it every model is for everybody, and only guests have limits.",
    )
    secret_key: str = Field(
        default="",
        repr=False,
        description=f"Signs what must not be forged; at least {SHORTEST_SECRET} random characters, the same in every process. "
        "In development one is made and kept in the data directory. Required in production.",
    )
    previous_secret_key: str | None = Field(
        default=None,
        repr=False,
        description="While `GUS_SECRET_KEY` is changed, what it was: tokens and API keys made under it stay good. "
        "Take it away once every token is younger than the change.",
    )
    dev_key: str | None = Field(
        default=None,
        repr=False,
        description=f"The development API key, `{KEY_PREFIX}` and at least {SHORTEST_DEV_KEY - len(KEY_PREFIX)} more characters. "
        "Without it one is made and kept in the data directory. Refused in production.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="Whose tokens are good too: the `iss` of an OIDC issuer, to the letter. A stranger whom it names becomes a USER.",
    )
    oidc_audience: str | None = Field(default=None, description="The `aud` that those tokens must be for.")
    oidc_jwks_url: str | None = Field(
        default=None, description="Where the issuer shows its keys (`jwks_uri` of its discovery document); `https://`."
    )
    guests: bool | None = Field(
        default=None,
        description="Whether `startGuestSession` lets visitors in without an account. Default: in development only.",
    )
    guest_sessions_per_day: int = Field(
        default=20, ge=1, le=100_000, description="How many guest sessions one address may start on a day (UTC)."
    )
    guest_days: int = Field(default=30, ge=1, le=365, description="For how many days the token of a guest is good.")
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Web pages that may call from a browser, as `https://app.example.com`, separated by commas; `*` for all.",
    )
    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="By which names it is asked: `api.example.com`, `*.example.com`, addresses, networks, separated by commas; "
        "`*` for any. Other names are answered with 400, but for `/health/`. "
        "Default: any in production; in development `localhost`, every address, and `GUS_HOST`.",
    )
    introspection: bool | None = Field(
        default=None,
        description="`on` or `off`: the contract by introspection, at `/schema.graphql`, and in what errors suggest. "
        "Default: `off` in production.",
    )
    graphiql: bool | None = Field(
        default=None, description="`on` or `off`: the page at `/graphql`. Default: `off` in production."
    )
    get: Literal["on", "persisted", "off"] | None = Field(
        default=None,
        description="Queries by GET: `on`, `persisted` (only by the hash of a document), or `off`. "
        "Default: `persisted` in production.",
    )
    trusted_documents: Path | None = Field(
        default=None,
        description="A JSON file of documents that clients may name instead of sending them: the manifest of relay-compiler, "
        "graphql-codegen, or Apollo's.",
    )
    only_trusted_documents: Literal["on", "off"] = Field(
        default="off", description="`on`: all other documents are refused, GraphiQL's too."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of the proxies whose `X-Forwarded-For` is believed, as `10.0.0.0/8,::1`.",
    )
    requests_per_address: int | None = Field(
        default=None,
        ge=1,
        le=MOST_ALLOWED,
        description="Requests, socket handshakes and operations on sockets that a process takes from one address in a minute. "
        "Default: 6,000 in production, else no limit worth the name.",
    )
    requests_per_credential: int | None = Field(
        default=None,
        ge=1,
        le=MOST_ALLOWED,
        description="The same for one credential. Default: 1,200 in production.",
    )
    cost_per_credential: int | None = Field(
        default=None,
        ge=30_000,
        le=MOST_ALLOWED,
        description="The cost of operations that a process takes from one credential in a minute, see `Query.rateLimit`. "
        "Default: 1,000,000 in production.",
    )
    connections_per_address: int | None = Field(
        default=None,
        ge=1,
        le=MOST_ALLOWED,
        description="Sockets and event streams that a process keeps for one address at a time; a user has 50. "
        "Default: 500 in production, else no limit worth the name.",
    )
    max_connections: int = Field(
        default=5000,
        ge=10,
        le=1_000_000,
        description="The most connections of a process at a time; beyond them the answer is 503.",
    )
    lease_seconds: int = Field(
        default=10,
        ge=3,
        le=600,
        description="After so long without a sign of life a process's running answers are taken by another.",
    )
    answer_seconds: int = Field(
        default=600,
        ge=1,
        le=86_400,
        description="How long the writing of an answer may take; then it ends `TIMED_OUT` with the text that it has.",
    )
    grace_seconds: int = Field(
        default=10, ge=0, le=600, description="How long running answers and open connections may go on after SIGTERM."
    )
    log_retention_minutes: int = Field(
        default=60,
        ge=1,
        le=525_600,
        description="How long the token log of a finished answer is kept; then its stored text answers, and the log only by snapshot.",
    )
    idle_after_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="After so long without a message a conversation is `INACTIVE`, until the next one.",
    )
    max_conversations: int = Field(
        default=MOST_CONVERSATIONS,
        ge=1,
        le=1_000_000,
        description="The most conversations of one user that are not deleted; one more is `LimitReached`.",
    )
    titles: Literal["on", "off"] = Field(
        default="on",
        description="`on`: a conversation without a title is given one after its first answer, by the cheapest model.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="`debug`, `info`, `warning` or `error`."
    )

    @property
    def production(self) -> bool:
        return self.env is Environment.PRODUCTION

    @property
    def tells_its_contract(self) -> bool:
        return not self.production if self.introspection is None else self.introspection

    @property
    def shows_graphiql(self) -> bool:
        return not self.production if self.graphiql is None else self.graphiql

    @property
    def queries_by_get(self) -> Literal["on", "persisted", "off"]:
        return self.get or ("persisted" if self.production else "on")

    @property
    def hosts(self) -> tuple[str, ...]:
        """In development the page of a foreign name that was pointed at this machine is the danger; an address is no such name."""
        usual = ("*",) if self.production else ("localhost", "*.localhost", "0.0.0.0/0", "::/0", self.host)
        return self.trusted_hosts or usual

    @property
    def retention(self) -> Retention:
        token_logs, idle_after = timedelta(minutes=self.log_retention_minutes), timedelta(days=self.idle_after_days)
        return Retention(token_logs=token_logs, idle_after=idle_after)

    @property
    def guest_policy(self) -> GuestPolicy:
        welcome = not self.production if self.guests is None else self.guests
        return GuestPolicy(welcome, self.guest_sessions_per_day, timedelta(days=self.guest_days))

    @property
    def issuer(self) -> Issuer | None:
        if not (self.oidc_issuer and self.oidc_audience and self.oidc_jwks_url):
            return None
        return Issuer(self.oidc_issuer, self.oidc_audience, self.oidc_jwks_url)

    @property
    def allowances(self) -> Allowances:
        usual = Allowances(6_000, 1_200, 1_000_000) if self.production else Allowances(*[MOST_ALLOWED] * 3)
        return Allowances(
            self.requests_per_address or usual.requests_per_address,
            self.requests_per_credential or usual.requests_per_credential,
            self.cost_per_credential or usual.cost_per_credential,
        )

    @property
    def most_connections_per_address(self) -> int:
        return self.connections_per_address or (500 if self.production else MOST_ALLOWED)

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def longest_answer(self) -> timedelta:
        return timedelta(seconds=self.answer_seconds)

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)

    @field_validator("data_dir", "models", "plans", "trusted_documents")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("models", "plans", "trusted_documents")
    @classmethod
    def _a_file(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(f"there is no file {path}")
        return path

    @field_validator("database_url", "listen_url")
    @classmethod
    def _a_database(cls, url: str | None) -> str | None:
        if url is not None and not names_a_database(url):
            raise ValueError("it must look like postgresql://user:password@host:5432/name")
        return url

    @field_validator("oidc_jwks_url")
    @classmethod
    def _a_safe_address(cls, url: str | None) -> str | None:
        if url is not None and not is_safe(url):
            raise ValueError("it must be an https:// address; http:// only of this machine")
        return url

    @field_validator("dev_key")
    @classmethod
    def _a_key(cls, key: str | None) -> str | None:
        if key is not None and not (key.startswith(KEY_PREFIX) and len(key) >= SHORTEST_DEV_KEY and is_one_word(key)):
            raise ValueError(
                f"it must be {KEY_PREFIX} and at least {SHORTEST_DEV_KEY - len(KEY_PREFIX)} more ASCII characters"
            )
        return key

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                network_of(proxy)
            except ValueError:
                raise ValueError(f"{proxy!r} is no address and no network: write 10.0.0.1 or 10.0.0.0/8") from None
        return proxies

    @field_validator("allowed_origins", "trusted_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _separated(cls, each: object) -> object:
        return tuple(filter(None, (one.strip() for one in each.split(",")))) if isinstance(each, str) else each

    @field_validator("trusted_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not is_a_host(host):
                raise ValueError(f"{host!r} is no host: write the name only, as api.example.com or *.example.com")
        return hosts

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not is_an_origin(origin):
                raise ValueError(f"{origin!r} is no origin: write scheme and host only, as https://app.example.com")
        return origins
