"""What only admins may look at."""

import strawberry

from resolvers import admin as resolve
from resolvers import instruction as resolve_instruction
from schema.instruction import Instruction
from schema.node import Connection
from schema.of import of


@of(resolve.Admin, name="Admin", description="How this server is run. Never another person's messages.")
class Admin:
    instructions = strawberry.field(
        resolver=resolve_instruction.published,
        graphql_type=Connection[Instruction],
        description="What models are told for everybody, for a role or as one model; the versions in force, latest first.",
    )
