"""What the environment says: every GUS_ variable, checked at start, with the words for the one who set it wrong."""

import contextlib
import difflib
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.conversation.upkeep import Retention
from domain.guest import GuestPolicy
from domain.user import KEY_PREFIX, new_secret
from server.identity.issuer import Issuer
from server.throttle import Allowances
from server.throttle.addresses import network_of

PREFIX = "GUS_"
SHORTEST_SECRET = 32
SHORTEST_DEV_KEY = 24
MOST_WORKERS = 64
MOST_ALLOWED = 1_000_000_000
DATABASE_SCHEMES = ("postgresql", "postgres")


class CannotStart(Exception):
    """`str()` of it is for whoever started gus: what is wrong and what to do."""

    exit_code = 1


class BadSettings(CannotStart):
    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "gus does not start with these settings:\n" + "\n".join(f"  {problem}" for problem in self.problems)
        )


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
        ge=50_000,
        le=MOST_ALLOWED,
        description="The cost of operations that a process takes from one credential in a minute, see `Query.rateLimit`. "
        "Default: 1,000,000 in production.",
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
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

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
        if url is not None and not _names_a_database(url):
            raise ValueError("it must look like postgresql://user:password@host:5432/name")
        return url

    @field_validator("oidc_jwks_url")
    @classmethod
    def _a_safe_address(cls, url: str | None) -> str | None:
        if url is not None and not _is_safe(url):
            raise ValueError("it must be an https:// address; http:// only of this machine")
        return url

    @field_validator("dev_key")
    @classmethod
    def _a_key(cls, key: str | None) -> str | None:
        if key is not None and not (key.startswith(KEY_PREFIX) and len(key) >= SHORTEST_DEV_KEY and _is_one_word(key)):
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

    @field_validator("allowed_origins", "trusted_proxies", mode="before")
    @classmethod
    def _separated(cls, origins: object) -> object:
        return tuple(filter(None, (o.strip() for o in origins.split(",")))) if isinstance(origins, str) else origins

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not _is_an_origin(origin):
                raise ValueError(f"{origin!r} is no origin: write scheme and host only, as https://app.example.com")
        return origins


def load_settings() -> Settings:
    """Reads os.environ; in development makes the keys that are not given. Raises BadSettings with every problem."""
    problems = [*_unknown_names(os.environ), *_mode_problems(os.environ)]
    try:
        settings = Settings()
    except ValidationError as error:
        problems += _field_problems(error)
    if problems:
        raise BadSettings(problems)
    return settings if settings.production else _with_kept_keys(settings)


def settings_table() -> str:
    """The table of the README, in Markdown."""
    rows = [f"| `{PREFIX}{name.upper()}` | {_default(field)} | {field.description} |" for name, field in _fields()]
    return "\n".join(["| variable | default | what it does |", "| --- | --- | --- |", *rows])


def _fields() -> list[tuple[str, FieldInfo]]:
    return list(Settings.model_fields.items())


def _default(field: FieldInfo) -> str:
    value = field.default.value if isinstance(field.default, Enum) else field.default
    return "" if value in (None, "", ()) else f"`{value}`"


def _unknown_names(environ: Mapping[str, str]) -> list[str]:
    known = [PREFIX + name.upper() for name, _ in _fields()]
    unknown = sorted(name for name in environ if name.upper().startswith(PREFIX) and name not in known)
    return [f"{name}: there is no such setting{_nearest(name, known)}." for name in unknown]


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
    return f"; the nearest is {near[0]}" if near else ""


def _mode_problems(environ: Mapping[str, str]) -> list[str]:
    # On the raw variables: a wrong port must not hide that the secret is missing too.
    problems = []
    if environ.get("GUS_LISTEN_URL") and not environ.get("GUS_DATABASE_URL"):
        problems.append(
            "GUS_LISTEN_URL: names the direct way to GUS_DATABASE_URL, which is not set: set both or neither."
        )
    if environ.get("GUS_ONLY_TRUSTED_DOCUMENTS", "").lower() == "on" and not environ.get("GUS_TRUSTED_DOCUMENTS"):
        problems.append("GUS_ONLY_TRUSTED_DOCUMENTS: needs GUS_TRUSTED_DOCUMENTS, or nothing at all could be asked.")
    oidc = [f"GUS_OIDC_{name}" for name in ("ISSUER", "AUDIENCE", "JWKS_URL")]
    missing = [name for name in oidc if not environ.get(name)]
    if 0 < len(missing) < len(oidc):
        problems.append(f"{missing[0]}: the three settings of an OIDC issuer belong together: set all of them or none.")
    if environ.get("GUS_ENV", "").lower() == Environment.PRODUCTION.value:
        problems += _production_problems(environ)
    return problems


def _production_problems(environ: Mapping[str, str]) -> Iterable[str]:
    if not environ.get("GUS_DATABASE_URL"):
        yield "GUS_DATABASE_URL: required in production: name a PostgreSQL, as postgresql://user:password@host:5432/name."
    if not environ.get("GUS_MODELS"):
        yield "GUS_MODELS: required in production: name a TOML file with your models; docker/models.toml is an example."
    if environ.get("GUS_DEV_KEY"):
        yield "GUS_DEV_KEY: not in production, where it would be a back door: remove it and use `gus key issue`."
    previous = environ.get("GUS_PREVIOUS_SECRET_KEY")
    if previous and _weakness(previous):
        yield f"GUS_PREVIOUS_SECRET_KEY: {_weakness(previous)}: tokens could be forged with it, so take it away."
    weakness = _weakness(environ.get("GUS_SECRET_KEY", ""))
    if weakness:
        yield (
            f"GUS_SECRET_KEY: {weakness}; production needs {SHORTEST_SECRET} random characters or more. "
            'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
        )


def _weakness(secret: str) -> str | None:
    if not secret:
        return "is not set"
    if len(secret) < SHORTEST_SECRET:
        return f"has only {len(secret)} characters"
    if len(set(secret)) < 10 or any(word in secret.lower() for word in ("change", "secret", "example", "default")):
        return "is a placeholder and not random"
    return None


def _field_problems(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0])
        field = Settings.model_fields[name]
        words = problem["msg"].removeprefix("Value error, ")
        # A value whose field hides it from repr may hold a password.
        given = f" (it is {str(problem['input'])!r})" if field.repr else ""
        yield f"{PREFIX}{name.upper()}: {words[:1].lower()}{words[1:]}{given}. {field.description}"


def _names_a_database(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in DATABASE_SCHEMES and len(parts.path) > 1 and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here))
    except ValueError:
        return False


def _is_an_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return (
            bool(parts.scheme and parts.hostname)
            and origin == f"{parts.scheme}://{parts.netloc}"
            and "@" not in parts.netloc
        )
    except ValueError:
        return False


def _is_one_word(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _with_kept_keys(settings: Settings) -> Settings:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret_key = settings.secret_key or _kept(settings.data_dir / "secret.key", secrets.token_urlsafe(48))
        dev_key = settings.dev_key or _kept(settings.data_dir / "development.key", new_secret())
    except OSError as error:
        raise BadSettings(
            [f"GUS_DATA_DIR: cannot write in {settings.data_dir} ({error.strerror}): name another folder."]
        ) from error
    return settings.model_copy(update={"secret_key": secret_key, "dev_key": dev_key})


def _kept(file: Path, fresh: str) -> str:
    """What `file` holds; it gets `fresh` when it is not there. Two processes at once agree on one."""
    if not file.exists():
        with NamedTemporaryFile("w", dir=file.parent, prefix=file.name) as draft:  # mode 0600
            draft.write(fresh + "\n")
            draft.flush()
            with contextlib.suppress(FileExistsError):
                os.link(draft.name, file)
    kept = file.read_text().strip()
    if not kept:
        raise BadSettings([f"GUS_DATA_DIR: {file} is empty: remove it, and a new one is made."])
    return kept
