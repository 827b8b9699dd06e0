"""The command line: `gus`, or `python -m server`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer

from domain.errors import DomainError
from domain.user import Role, Users
from domain.world import RealWorld, UserId
from server.serve import opened_database, reachable, run
from server.settings import MOST_WORKERS, CannotStart, load_settings
from server.telemetry import configure_logging

app = typer.Typer(
    help="A GraphQL server that runs conversations with LLaMA-class models. Settings are GUS_ environment variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
user = typer.Typer(help="Users.", no_args_is_help=True)
key = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(key, name="key")


def main() -> None:
    try:
        app()
    except CannotStart as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(refusal.exit_code)
    except DomainError as error:
        print(error.message, file=sys.stderr)
        sys.exit(1)


@app.command()
def serve(
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_WORKERS, help="How many processes share the port; else GUS_WORKERS.", show_default=False
        ),
    ] = None,
) -> None:
    """Start the server, with a database and a model of its own where the settings name none."""
    settings = load_settings()
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    configure_logging(production=settings.production, level=settings.log_level)
    run(settings)


@app.command(hidden=True)
def worker() -> None:
    """One of several processes of `gus serve`, which starts it."""
    from server.worker import run_worker

    run_worker()


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    applied = asyncio.run(_migrate())
    print("\n".join(f"applied {name}" for name in applied) or "The schema is up to date.")


@app.command()
def schema() -> None:
    """Print the GraphQL schema."""
    from schema import printed

    print(printed().rstrip("\n"))


@app.command()
def doctor() -> None:
    """Check everything that gus needs, and say what to do where something is wrong."""
    from server.doctor import examine

    findings = asyncio.run(examine(report=lambda finding: print(finding, flush=True)))
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


@user.command("create")
def create_user(
    name: Annotated[str | None, typer.Option(help="The name that others see.")] = None,
    role: Annotated[Role, typer.Option(case_sensitive=False, help="What the user may do.")] = Role.USER,
) -> None:
    """Make a user; prints the id."""
    print(asyncio.run(_create_user(name, role)))


@key.command("issue")
def issue_key(
    user_id: Annotated[UUID, typer.Argument(help="From `gus user create`.")],
    name: Annotated[str, typer.Option(help="What the key is for, to recognise it by.")],
    manage: Annotated[bool, typer.Option("--manage", help="The key may make and revoke keys.")] = False,
) -> None:
    """Make an API key; prints the secret, which is shown this once."""
    print(asyncio.run(_issue_key(UserId(user_id), name, can_manage=manage)))


async def _migrate() -> list[str]:
    from repositories.migrate import migrate as bring_up_to_date

    async with opened_database(load_settings()) as url:
        with reachable(url):
            return await bring_up_to_date(url)


async def _create_user(name: str | None, role: Role) -> UserId:
    async with _opened_users() as users:
        return (await users.create_user(name, role)).id


async def _issue_key(user_id: UserId, name: str, *, can_manage: bool) -> str:
    async with _opened_users() as users:
        return (await users.issue_key(user_id, name, can_manage=can_manage)).secret


@asynccontextmanager
async def _opened_users() -> AsyncIterator[Users]:
    from repositories.database import open_database
    from repositories.user import SqlUsers

    settings = load_settings()
    async with opened_database(settings) as url:
        with reachable(url):
            async with open_database(url, 1) as database:
                yield Users(SqlUsers(database), RealWorld(), settings.secret_key)


if __name__ == "__main__":
    main()
