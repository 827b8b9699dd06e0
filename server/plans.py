"""`gus plans`: what plans say, changed while servers run."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from server.plans_file import parsed_plans, plans_schema
from server.serve import opened_database, reachable
from server.settings import load_settings
from server.tables_file import text_of

if TYPE_CHECKING:
    from repositories.plan import SqlPlans

T = TypeVar("T")

plans = typer.Typer(help="Plans.", no_args_is_help=True)


@plans.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of the plans file, for editors."""
    print(plans_schema())


@plans.command("apply")
def apply_plans(
    file: Annotated[Path, typer.Argument(help="As that of GUS_PLANS: all plans there are to be.", metavar="FILE")],
    by: Annotated[
        str, typer.Option(help="Who does it, for the record; else the user of the shell.", show_default=False)
    ] = os.environ.get("USER", "operator"),
) -> None:
    """Put a plans file in force: every running process goes by it within five seconds, and new ones from the start."""
    text = text_of(file, setting="FILE")
    parsed_plans(text, str(file))
    print(f"version {_with_plans(lambda stored: stored.apply(text, by))} is in force")


@plans.command("show")
def show_applied() -> None:
    """Print the plans file that was applied last."""
    applied = _with_plans(lambda stored: stored.newest(0))
    print(applied.document if applied else "# None was applied: the file of GUS_PLANS is in force.", end="")


def _with_plans(ask: Callable[["SqlPlans"], Awaitable[T]]) -> T:
    async def asked() -> T:
        from repositories.database import open_database
        from repositories.plan import SqlPlans

        async with opened_database(load_settings()) as url:
            with reachable(url):
                async with open_database(url, 1) as database:
                    return await ask(SqlPlans(database))

    return asyncio.run(asked())
