"""Settings from the environment: what is wrong is told all at once, and what development does not say is made and kept."""

import contextlib
import difflib
import os
import secrets
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from domain.user import new_secret
from server.settings.errors import BadSettings
from server.settings.fields import PREFIX, Environment, Settings
from server.settings.values import SHORTEST_SECRET, weakness_of


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
    if previous and weakness_of(previous):
        yield f"GUS_PREVIOUS_SECRET_KEY: {weakness_of(previous)}: tokens could be forged with it, so take it away."
    weakness = weakness_of(environ.get("GUS_SECRET_KEY", ""))
    if weakness:
        yield (
            f"GUS_SECRET_KEY: {weakness}; production needs {SHORTEST_SECRET} random characters or more. "
            'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
        )


def _field_problems(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_context=False):
        name = str(problem["loc"][0])
        field = Settings.model_fields[name]
        words = problem["msg"].removeprefix("Value error, ")
        # A value whose field hides it from repr may hold a password.
        given = f" (it is {str(problem['input'])!r})" if field.repr else ""
        yield f"{PREFIX}{name.upper()}: {words[:1].lower()}{words[1:]}{given}. {field.description}"


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
