"""Plans that were applied lie over the file, in a process that runs and in one that starts."""

import asyncio
from pathlib import Path

import pytest
import strawberry
from litestar import Litestar

from domain.user import Role
from repositories.database import Database
from repositories.plan import SqlPlans
from server.compose import Gus
from server.models_file import Catalogue
from server.settings import Settings
from tests.graphql.front_end import FrontEnd, script
from tests.graphql.process import new_user, process, served

EVERYBODY = '["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]'
PLANS = f"""
[[plans]]
key = "late"
name = "Late"
models = ["other"]
features = ["export"]
roles = {EVERYBODY}
default_for = {EVERYBODY}
limits = [{{metric = "MESSAGES", window = "DAY", hard = 1}}]
"""
MINE = "{viewer {defaultModel {key} user {plan {key features}}}}"
LATE = {"defaultModel": {"key": "other"}, "user": {"plan": {"key": "late", "features": ["export"]}}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"plans": Path(__file__).with_name("plans.toml")})


async def until_late(front_end: FrontEnd) -> None:
    while (await front_end.ask(MINE))["viewer"] != LATE:
        await asyncio.sleep(0.05)


async def test_a_running_process_takes_up_models_features_and_limits(ada: FrontEnd, gus: Gus) -> None:
    assert (await ada.ask(MINE))["viewer"]["user"]["plan"]["key"] == "free"
    assert (await ada.send("Hi", settings={"model": "other"}))["__typename"] == "NotAllowed"
    await SqlPlans(gus.database).apply(PLANS, "Grace")
    await until_late(ada)
    assert (await ada.send("Hi", settings={"model": "scripted"}))["__typename"] == "NotAllowed"
    await ada.said(script(words=1))
    assert (await ada.send("Hi"))["quota"]["hardLimit"] == "1"


async def test_a_process_that_starts_goes_by_them_and_not_by_the_file(
    database: Database, database_url: str, settings: Settings, catalogue: Catalogue, built: strawberry.Schema
) -> None:
    await SqlPlans(database).apply(PLANS, "Grace")
    async with process(database_url, settings, catalogue) as gus:
        key = await new_user(gus, "Ada", can_manage=False, role=Role.PREMIUM)
        assert (await FrontEnd(served(gus, built), key).ask(MINE))["viewer"] == LATE


async def test_what_a_process_cannot_read_changes_nothing_in_it_and_the_next_does(
    ada: FrontEnd, gus: Gus, database_url: str, settings: Settings, catalogue: Catalogue, app: Litestar
) -> None:
    stored = SqlPlans(gus.database)
    await stored.apply("price = 1", "Grace")
    async with process(database_url, settings, catalogue) as another:
        user = await another.services.users.create_user("Bob", Role.USER)
        assert another.services.plans.of(user).key == "free"
    assert (await ada.ask(MINE))["viewer"]["user"]["plan"]["key"] == "free"
    await stored.apply(PLANS, "Grace")
    await until_late(ada)


async def test_every_version_stays_with_who_applied_it_and_none_has_the_number_of_another(database: Database) -> None:
    stored = SqlPlans(database)
    versions = await asyncio.gather(*(stored.apply(f"{n}", f"operator {n}") for n in range(5)))
    assert sorted(versions) == [1, 2, 3, 4, 5]
    kept = await database.fetch("SELECT * FROM applied_plans")
    assert {(row["version"], row["document"], row["applied_by"]) for row in kept} == {
        (version, f"{n}", f"operator {n}") for n, version in enumerate(versions)
    }
    newest = await stored.newest(0)
    assert newest is not None
    assert newest.version == 5
    assert await stored.newest(5) is None
