"""Plans that are applied on the command line while servers run."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.e2e.client import Client
from tests.e2e.scripted import Scripted
from tests.e2e.served import serving

PROMISED_SECONDS = 5
SHOWN = "{viewer {user {plan {key features models {key}}}} models {key availableToViewer}}"
PLANS = """
[[plans]]
key = "late"
name = "Late"
models = ["whole"]
features = ["{feature}"]
roles = ["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]
default_for = ["GUEST", "USER", "PREMIUM", "ADMIN", "SERVICE"]
"""


async def test_applied_plans_hold_in_every_process_within_five_seconds_and_in_new_ones_from_the_start(
    database_url: str, scripted: Scripted, tmp_path: Path
) -> None:
    file = tmp_path / "plans.toml"
    settings = {
        "database_url": database_url,
        "models": str(scripted.catalogue),
        "secret_key": uuid4().hex,
        "dev_key": f"gus_{uuid4().hex}",
    }
    with serving(**settings) as one, serving(**settings) as other:
        async with one.client() as here, other.client() as there:
            assert [(await plan(client))["key"] for client in (here, there)] == ["unlimited"] * 2
            for version, feature in enumerate(["export", "import"], start=1):
                file.write_text(PLANS.format(feature=feature))
                assert one.gus("plans", "apply", str(file), "--by", "Grace") == f"version {version} is in force"
                await asyncio.gather(*(sees(client, feature) for client in (here, there)))
        assert other.gus("plans", "show") == file.read_text().strip()
        with serving(**settings) as third:
            async with third.client() as late:
                assert (await plan(late))["features"] == ["import"]


async def sees(client: Client, feature: str) -> None:
    applied_at = time.monotonic()
    while (await plan(client))["features"] != [feature]:
        assert time.monotonic() < applied_at + PROMISED_SECONDS
        await asyncio.sleep(0.05)
    shown = await client.ask(SHOWN)
    assert shown["viewer"]["user"]["plan"] == {"key": "late", "features": [feature], "models": [{"key": "whole"}]}
    assert [model["key"] for model in shown["models"] if model["availableToViewer"]] == ["whole"]


async def plan(client: Client) -> dict[str, Any]:
    return dict((await client.ask(SHOWN))["viewer"]["user"]["plan"])
