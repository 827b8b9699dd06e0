import os
import stat
from pathlib import Path

import pytest

from server.settings import BadSettings, Environment, Settings, load_settings, settings_table

GOOD_SECRET = "k7Qx-2mVw_9TzLr4Hs8NbYc1DgFp6JeA"
DATABASE = "postgresql://gus:hunter22@db.internal:5432/gus"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GUS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GUS_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    models.touch()
    for name, value in {
        "ENV": "production",
        "DATABASE_URL": DATABASE,
        "MODELS": str(models),
        "SECRET_KEY": GOOD_SECRET,
    }.items():
        monkeypatch.setenv(f"GUS_{name}", value)


def problems() -> list[str]:
    with pytest.raises(BadSettings) as refused:
        load_settings()
    assert refused.value.exit_code == 2
    return sorted(refused.value.problems)


def names(found: list[str]) -> list[str]:
    return [problem.split(":")[0] for problem in found]


def test_nothing_set_is_development_on_port_8000_of_the_loopback() -> None:
    settings = load_settings()
    assert (settings.env, settings.host, settings.port) == (Environment.DEVELOPMENT, "127.0.0.1", 8000)


def test_the_keys_that_development_makes_are_kept_and_private(tmp_path: Path) -> None:
    first, second = load_settings(), load_settings()
    assert (first.secret_key, first.dev_key) == (second.secret_key, second.dev_key)
    assert first.dev_key is not None
    assert first.dev_key.startswith("gus_")
    assert len(first.secret_key) >= 32
    kept = sorted((tmp_path / "data").iterdir())
    assert [file.name for file in kept] == ["development.key", "secret.key"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}


def test_a_given_development_key_is_taken_and_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GUS_DEV_KEY", "gus_0123456789abcdefghij")
    assert load_settings().dev_key == "gus_0123456789abcdefghij"
    assert not (tmp_path / "data" / "development.key").exists()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUS_PORT", "")
    monkeypatch.setenv("GUS_DATABASE_URL", "")
    settings = load_settings()
    assert (settings.port, settings.database_url) == (8000, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GUS_ENV", "prod"),
        ("GUS_PORT", "http"),
        ("GUS_PORT", "65536"),
        ("GUS_PORT", "-1"),
        ("GUS_DATABASE_URL", "mysql://h/gus"),
        ("GUS_DATABASE_URL", "postgresql://host"),
        ("GUS_DATABASE_URL", "postgresql://h:port/gus"),
        ("GUS_DATABASE_POOL", "1"),
        ("GUS_MODELS", "/no/such/file.toml"),
        ("GUS_DEV_KEY", "gus_short"),
        ("GUS_DEV_KEY", "key_0123456789abcdefghij"),
        ("GUS_DEV_KEY", "gus_0123456789 abcdefghij"),
        ("GUS_ALLOWED_ORIGINS", "app.example.com"),
        ("GUS_ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("GUS_ALLOWED_ORIGINS", "https://a.example,https://u:p@b.example"),
        ("GUS_TRUSTED_HOSTS", "https://api.example.com"),
        ("GUS_TRUSTED_HOSTS", "api.example.com:8000"),
        ("GUS_TRUSTED_HOSTS", "api.example.com,a.*.example.com"),
        ("GUS_LEASE_SECONDS", "2"),
        ("GUS_LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert names(problems()) == [name]


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GUS_PORT", "GUS_LEASE_SECONDS", "GUS_LOGLEVEL"):
        monkeypatch.setenv(name, "wrong")
    monkeypatch.setenv("GUS_ENV", "production")
    assert names(problems()) == [
        *("GUS_DATABASE_URL", "GUS_LEASE_SECONDS", "GUS_LOGLEVEL", "GUS_MODELS", "GUS_PORT", "GUS_SECRET_KEY")
    ]


def test_an_unknown_name_is_refused_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUS_PROT", "9000")
    assert problems() == ["GUS_PROT: there is no such setting; the nearest is GUS_PORT."]


def test_a_listen_url_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUS_LISTEN_URL", DATABASE)
    assert names(problems()) == ["GUS_LISTEN_URL"]


def test_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUS_DATABASE_URL", "mysql://gus:hunter22@host/gus")
    monkeypatch.setenv("GUS_DEV_KEY", "hunter22")
    assert "hunter22" not in " ".join(problems())
    monkeypatch.setenv("GUS_DATABASE_URL", DATABASE)
    monkeypatch.setenv("GUS_DEV_KEY", "gus_hunter22hunter22hunter22")
    assert "hunter22" not in repr(load_settings())


@pytest.mark.usefixtures("production")
def test_production_starts_with_all_it_needs_and_touches_no_data_directory(tmp_path: Path) -> None:
    settings = load_settings()
    assert (settings.production, settings.dev_key, settings.secret_key) == (True, None, GOOD_SECRET)
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize("secret", ["", "short", GOOD_SECRET[:31], "a" * 64, "please-change-me-please-change-me-now"])
def test_production_refuses_a_missing_short_or_default_secret(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("GUS_SECRET_KEY", secret)
    found = problems()
    assert names(found) == ["GUS_SECRET_KEY"]
    assert "secrets.token_urlsafe(48)" in found[0]


@pytest.mark.usefixtures("production")
def test_production_refuses_a_development_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUS_DEV_KEY", "gus_0123456789abcdefghij")
    assert names(problems()) == ["GUS_DEV_KEY"]


def test_a_data_directory_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GUS_DATA_DIR", str(tmp_path / "file" / "data"))
    assert names(problems()) == ["GUS_DATA_DIR"]


def test_several_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUS_ALLOWED_ORIGINS", "https://a.example, http://localhost:3000")
    assert load_settings().allowed_origins == ("https://a.example", "http://localhost:3000")


def test_every_setting_has_its_row_in_the_table() -> None:
    rows = settings_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [f"GUS_{name.upper()}" for name in Settings.model_fields]
    assert all(row.count("|") == 4 and len(row.split("|")[3].strip()) > 10 for row in rows)


def test_production_tells_little_of_itself_unless_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, production: None
) -> None:
    settings = load_settings()
    assert (settings.tells_its_contract, settings.shows_graphiql, settings.queries_by_get) == (
        False,
        False,
        "persisted",
    )
    for name, value in {"INTROSPECTION": "on", "GRAPHIQL": "on", "GET": "off"}.items():
        monkeypatch.setenv(f"GUS_{name}", value)
    settings = load_settings()
    assert (settings.tells_its_contract, settings.shows_graphiql, settings.queries_by_get) == (True, True, "off")


def test_only_trusted_documents_need_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUS_ONLY_TRUSTED_DOCUMENTS", "on")
    assert names(problems()) == ["GUS_ONLY_TRUSTED_DOCUMENTS"]
    monkeypatch.setenv("GUS_ONLY_TRUSTED_DOCUMENTS", "off")
    assert load_settings().only_trusted_documents == "off"
