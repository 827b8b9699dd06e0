"""What only admins see and change."""

import strawberry

from domain.catalogue import Upserted
from resolvers import admin as resolve
from resolvers import instruction as resolve_instruction
from resolvers import usage as resolve_usage
from schema.instruction import Instruction
from schema.model import Model
from schema.node import Connection
from schema.of import of
from schema.usage import LedgerVerification, UsageReport
from schema.user import User


@of(resolve.Admin, name="Admin", description="How this server is run. Never another person's messages.")
class Admin:
    users = strawberry.field(
        resolver=resolve.users, graphql_type=Connection[User], description="Everybody, newest first."
    )
    usage = strawberry.field(
        resolver=resolve_usage.of_all, graphql_type=UsageReport, description="What everybody has taken."
    )
    verify_ledger = strawberry.field(
        resolver=resolve_usage.verify_ledger,
        graphql_type=LedgerVerification,
        description="Holds the ledger against runs, conversations and the counters of limits, in one moment.",
    )
    instructions = strawberry.field(
        resolver=resolve_instruction.published,
        graphql_type=Connection[Instruction],
        description="What models are told for everybody, for a role or as one model; the versions in force, latest first.",
    )


@of(resolve.RoleSet, name="SetUserRoleSuccess", description="The user has the role.")
class SetUserRoleSuccess:
    user = strawberry.field(resolver=resolve.user_of_change, graphql_type=User, description="As it is now.")


@of(resolve.PlanSet, name="SetUserPlanSuccess", description="The user has the plan.")
class SetUserPlanSuccess:
    user = strawberry.field(resolver=resolve.user_of_change, graphql_type=User, description="As it is now.")


@of(
    Upserted, name="UpsertModelSuccess", description="The model is as it was said, in every process within two seconds."
)
class UpsertModelSuccess:
    model = strawberry.field(resolver=resolve.upserted, graphql_type=Model, description="As it is now.")
    created: bool = strawberry.field(description="There was none with this key.")
