"""`gus user` and `gus key`: accounts and keys, for whoever has the database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from domain.account import Accounts
from domain.applied import AppliedPlans
from domain.page import LARGEST_SIZE, PageArgs
from domain.plan import Plans
from domain.user import ApiKey, Role, User, Users
from domain.world import ApiKeyId, PlanKey, RealWorld, UserId
from server.plans_file import configured_plans, read_applied
from server.serve import opened_database, reachable
from server.settings import load_settings

T = TypeVar("T")
UserArgument = Annotated[UUID, typer.Argument(help="From `gus user list`.", metavar="USER")]

user = typer.Typer(help="Users.", no_args_is_help=True)
key = typer.Typer(help="API keys.", no_args_is_help=True)


@user.command("create")
def create_user(
    name: Annotated[str | None, typer.Option(help="The name that others see.")] = None,
    role: Annotated[Role, typer.Option(case_sensitive=False, help="What the user may do.")] = Role.USER,
) -> None:
    """Make a user; prints the id."""
    print(_with_accounts(lambda opened: opened.users.create_user(name, role)).id)


@user.command("list")
def list_users(
    query: Annotated[str | None, typer.Argument(help="An id, or a part of the name.")] = None,
    first: Annotated[int, typer.Option(min=1, max=LARGEST_SIZE, help="At most so many, newest first.")] = 20,
) -> None:
    """Show users: id, role, plan, ban, name."""
    found = _with_accounts(lambda opened: opened.accounts.found(query, PageArgs(size=first)))
    for each in found.nodes:
        print(_line_of(each))


@user.command("set-role")
def set_role(
    user_id: UserArgument,
    role: Annotated[Role, typer.Argument(case_sensitive=False, help="What the user may do from now on.")],
) -> None:
    """Give a user a role; known everywhere within five seconds."""
    print(_line_of(_with_accounts(lambda opened: opened.accounts.give_role(UserId(user_id), role))))


@user.command("set-plan")
def set_plan(
    user_id: UserArgument, plan: Annotated[str, typer.Argument(help="A key in the file of GUS_PLANS.")]
) -> None:
    """Give a user a plan; known everywhere within five seconds."""
    print(_line_of(_with_accounts(lambda opened: opened.accounts.give_plan(UserId(user_id), PlanKey(plan)))))


@user.command("ban")
def ban_user(
    user_id: UserArgument,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Else for good.", show_default=False)] = None,
) -> None:
    """Let a user read and no longer write; their sockets are closed within ten seconds."""
    until = RealWorld().now() + timedelta(days=days) if days is not None else None
    print(_line_of(_with_accounts(lambda opened: opened.accounts.ban(UserId(user_id), until))))


@user.command("unban")
def unban_user(user_id: UserArgument) -> None:
    """Let a user write again."""
    print(_line_of(_with_accounts(lambda opened: opened.accounts.unban(UserId(user_id)))))


@user.command("sign-out")
def sign_out(user_id: UserArgument) -> None:
    """End every credential of a user: revoke the keys, and refuse the tokens that were signed until now."""
    print(_line_of(_with_accounts(lambda opened: opened.accounts.sign_out(UserId(user_id)))))


@key.command("issue")
def issue_key(
    user_id: Annotated[UUID, typer.Argument(help="From `gus user create`.")],
    name: Annotated[str, typer.Option(help="What the key is for, to recognise it by.")],
    manage: Annotated[bool, typer.Option("--manage", help="The key may make and revoke keys.")] = False,
) -> None:
    """Make an API key; prints the secret, which is shown this once."""
    print(_with_accounts(lambda opened: opened.users.issue_key(UserId(user_id), name, can_manage=manage)).secret)


@key.command("list")
def list_keys(user_id: UserArgument) -> None:
    """Show a user's keys: id, beginning of the secret, last use, expiry, name."""
    for each in _with_accounts(lambda opened: opened.accounts.keys(UserId(user_id))):
        print(_line_of_key(each))


@key.command("revoke")
def revoke_key(key_id: Annotated[UUID, typer.Argument(help="From `gus key list`.", metavar="KEY")]) -> None:
    """End an API key; its sockets are closed within ten seconds."""
    _with_accounts(lambda opened: opened.accounts.revoke_key(ApiKeyId(key_id)))
    print("revoked")


def _line_of(user: User) -> str:
    ban = "-" if user.ban is None else f"banned until {user.ban.until:%Y-%m-%d}" if user.ban.until else "banned"
    return "  ".join(
        [str(user.id), f"{user.role.value:<8}", user.plan_key or "-", ban, user.display_name or ""]
    ).rstrip()


def _line_of_key(key: ApiKey) -> str:
    used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
    expires = f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "does not expire"
    manages = "manages keys" if key.can_manage else "-"
    return "  ".join([str(key.id), f"{key.prefix}...", used, expires, manages, key.name])


@dataclass(frozen=True, slots=True)
class _Opened:
    users: Users
    accounts: Accounts


def _with_accounts(ask: Callable[[_Opened], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with _opened() as opened:
            return await ask(opened)

    return asyncio.run(asked())


@asynccontextmanager
async def _opened() -> AsyncIterator[_Opened]:
    from repositories.account import SqlAccounts
    from repositories.database import open_database
    from repositories.plan import SqlPlans
    from repositories.user import SqlUsers

    settings, world = load_settings(), RealWorld()
    async with opened_database(settings) as url:
        with reachable(url):
            async with open_database(url, 1) as database:
                users, plans = SqlUsers(database), Plans(configured_plans(settings))
                await AppliedPlans(SqlPlans(database), plans, read_applied).reread()
                accounts = Accounts(SqlAccounts(database), users, world, plans)
                yield _Opened(Users(users, world, settings.secret_key), accounts)
