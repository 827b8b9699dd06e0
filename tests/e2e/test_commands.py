"""The command line beside a running server, and a server in production."""

from collections.abc import Iterator

import pytest

from tests.e2e.client import Client, played
from tests.e2e.scripted import Scripted, script
from tests.e2e.served import Served, placed

GOOD_SECRET = "pT3xW9qLr7ZsV1nYb5KdHc8MfJg2RaUe"


@pytest.fixture
def production(empty_database_url: str, scripted: Scripted) -> Iterator[Served]:
    """Not started, and its database has no schema."""
    settings = {"database_url": empty_database_url, "models": str(scripted.catalogue), "secret_key": GOOD_SECRET}
    with placed(env="production", **settings) as served:
        yield served


async def test_beside_a_running_server_the_commands_use_its_database(served_embedded: Served) -> None:
    assert served_embedded.gus("migrate") == "The schema is up to date."
    user = served_embedded.gus("user", "create", "--name", "Ada", "--role", "premium")
    key = served_embedded.gus("key", "issue", user, "--name", "laptop")

    async with served_embedded.client(key) as client:
        viewer = (await client.ask("{ viewer { user { displayName role } apiKeys { name } } }"))["viewer"]
    assert viewer == {"user": {"displayName": "Ada", "role": "PREMIUM"}, "apiKeys": [{"name": "laptop"}]}


def test_the_doctor_finds_a_running_server_in_good_health(served_embedded: Served) -> None:
    findings = served_embedded.gus("doctor").splitlines()
    assert [finding for finding in findings if not finding.startswith("ok ")] == []
    assert {"database", "schema", "embedded model"} <= {_subject(finding) for finding in findings}


def test_the_doctor_says_what_is_wrong_and_what_to_do(production: Served) -> None:
    done = production.command("doctor")
    wrong = {_subject(line): line for line in done.stdout.splitlines() if line.startswith("WRONG")}
    assert done.returncode == 1
    assert list(wrong) == ["schema", "model server nowhere"]
    assert "gus migrate" in wrong["schema"]
    assert "start it, or correct base_url" in wrong["model server nowhere"]


async def test_production_starts_after_migrate_and_answers_who_has_an_issued_key(production: Served) -> None:
    refused = production.command("serve")
    assert (refused.returncode, "run `gus migrate`" in refused.stderr) == (1, True)

    production.gus("migrate")
    production.start()
    key = production.gus("key", "issue", production.gus("user", "create"), "--name", "first")
    async with production.client(key) as client:
        sent = await client.send(script(words=7))
        events = [event async for event in client.follow_ws(sent.generation)]
        await _assert_shows_nothing_of_itself(client)
    assert len(played(events).split()) == 7
    assert production.stop() == 0


@pytest.mark.parametrize("secret", ["", "short", "please-change-me-please-change-me-please"])
def test_production_refuses_a_weak_secret(production: Served, secret: str) -> None:
    with placed(**{**production.settings, "secret_key": secret}) as served:
        done = served.command("serve")
    assert done.returncode == 2
    assert "GUS_SECRET_KEY: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not secret or secret not in done.stderr


async def _assert_shows_nothing_of_itself(client: Client) -> None:
    introspection = (await client.post("{ __schema { types { name } } }")).json()
    assert introspection.get("data") is None
    assert (await client.page()).headers["content-type"].startswith("application/json")


def _subject(finding: str) -> str:
    return finding[6:].partition(":")[0]
