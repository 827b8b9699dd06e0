"""Instructions."""

from datetime import datetime

import strawberry

from domain import instruction as domain
from resolvers import instruction as resolve
from resolvers import user as resolve_user
from schema.node import Node
from schema.of import of
from schema.user import User, Viewer


@of(domain.Instruction, name="Instruction", description="A version of what models are told. It never changes.")
class Instruction(Node):
    scope: domain.InstructionScope = strawberry.field(description="Whom it is for.")
    key: str = strawberry.field(description="Of PLATFORM empty, of ROLE a Role, of ENDPOINT a `Model.key`.")
    version: int = strawberry.field(description="1, 2, 3 ... of this scope and key; the highest is in force.")
    text: str = strawberry.field(description="Empty: nothing.")
    sha256: str = strawberry.field(description="SHA-256 of the text in UTF-8, in hexadecimal.")
    published_at: datetime = strawberry.field(description="In force from then on.")
    published_by = strawberry.field(
        resolver=resolve.published_by, graphql_type=User | None, description="Null when the account is gone."
    )


@of(
    domain.InstructionRef,
    name="InstructionRef",
    description="Names a version without showing it: the text of stronger layers stays with admins.",
)
class InstructionRef:
    scope: domain.InstructionScope = strawberry.field(description="Which layer.")
    key = strawberry.field(
        resolver=resolve.key_of_ref,
        graphql_type=str,
        description="Of ROLE a Role, of ENDPOINT a `Model.key`, else empty.",
    )
    version: int = strawberry.field(description="Which version of it; of REQUEST always 1.")
    sha256: str = strawberry.field(description="SHA-256 of its text in UTF-8, in hexadecimal.")


@of(
    resolve.InstructionSet,
    name="SetInstructionSuccess",
    description="It binds every reply that is asked for from now on.",
)
class SetInstructionSuccess:
    viewer = strawberry.field(
        resolver=resolve_user.viewer_now, graphql_type=Viewer, description="Refetch `instruction` here."
    )


@of(
    resolve.Published,
    name="PublishInstructionSuccess",
    description="It binds every reply that is asked for from now on.",
)
class PublishInstructionSuccess:
    instruction: Instruction = strawberry.field(description="The new version.")
