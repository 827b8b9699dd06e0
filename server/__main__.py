"""The command line: `gus`, or `python -m server`."""

import asyncio
import sys
from typing import Annotated

import typer

from domain.errors import DomainError, InvalidInput
from server.accounts import key, user
from server.plans import plans
from server.serve import opened_database, reachable, run
from server.settings import MOST_WORKERS, CannotStart, load_settings
from server.telemetry import configure_logging

app = typer.Typer(
    help="A GraphQL server that runs conversations with LLaMA-class models. Settings are GUS_ environment variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(user, name="user")
app.add_typer(key, name="key")
app.add_typer(plans, name="plans")


def main() -> None:
    try:
        app()
    except CannotStart as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(refusal.exit_code)
    except InvalidInput as refusal:
        print(*(problem.message for problem in refusal.problems), sep="\n", file=sys.stderr)
        sys.exit(1)
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


async def _migrate() -> list[str]:
    from repositories.migrate import migrate as bring_up_to_date

    async with opened_database(load_settings()) as url:
        with reachable(url):
            return await bring_up_to_date(url)


if __name__ == "__main__":
    main()
