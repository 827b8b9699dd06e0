"""The contract: the one Schema object, and its text."""

from collections.abc import Iterable

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)
from strawberry.types import ExecutionContext

import schema.enums  # noqa: F401  # describes the domain's enums before the types below read them
from schema.event import ConversationEvent, ViewerEvent
from schema.generation import GenerationEvent
from schema.refusals import HANDLERS
from schema.roots import Mutation, Query, Subscription
from schema.scalars import OVERRIDES
from schema.user import ApiKey, User

# What whoever opens the documentation reads first.
DESCRIPTION = """
Conversations with language models. `sendMessage` stores what is said and starts the reply; `generationEvents` follows it while it is
written, and goes on after a cut where it was. A conversation is a tree: edits and further answers stand beside what was there.

A query answers null for an id that it does not know. A mutation answers with a union: one success, or a `Refusal` with a `code`.
`errors` are for bad documents, missing credentials and faults. Who asks is told by `Authorization: Bearer ...`, on a socket in
`connection_init`.
""".strip()

EVENTS = [event for kind in (GenerationEvent, ConversationEvent, ViewerEvent) for event in kind.__subclasses__()]


class GusSchema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing: the transport masks and logs, once."""


def build() -> GusSchema:
    built = GusSchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[*EVENTS, User, ApiKey],
        scalar_overrides=OVERRIDES,
        exception_handlers=HANDLERS,
    )
    built._schema.description = DESCRIPTION
    _drop_null_defaults(built._schema)
    return built


def printed() -> str:
    """The SDL, as checked in at schema/schema.graphql."""
    roots = "\n".join(f"  {root.lower()}: {root}" for root in ("Query", "Mutation", "Subscription"))
    # Strawberry prints neither: the roots have the names that are expected of them.
    return f'"""\n{DESCRIPTION}\n"""\nschema {{\n{roots}\n}}\n\n{build().as_str()}\n'


def _drop_null_defaults(types: GraphQLSchema) -> None:
    """Null and absent mean the same in every input: `= null` in the SDL would only make its readers wonder."""
    for named in types.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            _drop(named.fields.values())
        elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            for field in named.fields.values():
                _drop(field.args.values())


def _drop(inputs: Iterable[GraphQLArgument | GraphQLInputField]) -> None:
    for given in inputs:
        if given.default_value is None:
            given.default_value = Undefined
