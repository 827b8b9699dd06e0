"""Setting limits, and looking at them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.ledger import DateRange
from repositories.database import Database
from repositories.ledger.store import SqlLedger
from tests.graphql.documents import FIELDS
from tests.graphql.front_end import FrontEnd

QUOTA = "id scope metric window softLimit hardLimit used reserved remaining fraction state resetsAt"
QUOTAS = f"{{viewer {{quotas {{{QUOTA}}}}}}}"
SET_QUOTA = f"""
mutation($input: SetQuotaInput!) {{
  setQuota(input: $input) {{
    __typename
    ... on Refusal {{ code message }}
    ... on InvalidInput {{ {FIELDS["InvalidInput"]} }}
    ... on NotFound {{ {FIELDS["NotFound"]} }}
    ... on SetQuotaSuccess {{ metric window softLimit hardLimit }}
  }}
}}
"""


async def user_id(front_end: FrontEnd) -> str:
    return str((await front_end.ask("{viewer {user {id}}}"))["viewer"]["user"]["id"])


async def limit(
    admin: FrontEnd, metric: str, window: str, hard: str | None = None, *, soft: str | None = None, **whom: str
) -> dict[str, Any]:
    """`whom`: user=, apiKey= or plan=; without, everybody."""
    given = {
        "metric": metric,
        "window": window,
        "softLimit": soft,
        "hardLimit": hard,
        **(whom or {"plan": "unlimited"}),
    }
    return dict((await admin.ask(SET_QUOTA, input=given))["setQuota"])


async def quotas(front_end: FrontEnd) -> list[dict[str, Any]]:
    return list((await front_end.ask(QUOTAS))["viewer"]["quotas"])


async def quota(front_end: FrontEnd) -> dict[str, Any]:
    """The only one."""
    [found] = await quotas(front_end)
    return found


async def assert_settled(database: Database) -> None:
    """Nothing is held any more, and the ledger, the runs and the counters say the same."""
    held = "tokens_reserved <> 0 OR cost_reserved_nano <> 0 OR running <> 0"
    assert await database.fetch(f"SELECT * FROM quota_windows WHERE {held}") == []
    now = datetime.now(UTC)
    verified = await SqlLedger(database).verify(DateRange(now - timedelta(days=31), now + timedelta(hours=1)), 100)
    assert verified.mismatches == ()
