"""From a request to an operation that may run: parsed, weighed, validated, allowed, its variables coerced."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import strawberry
from graphql import Executor, GraphQLSchema, OperationDefinitionNode, OperationType

from domain.throttle import Call
from domain.user import Viewer
from server.graphql.body import GraphQLRequest
from server.graphql.cost import root_fields
from server.graphql.documents import Document, Documents
from server.graphql.edge import Caller, Edge
from server.graphql.errors import Code, RequestError, located_payload, unauthenticated
from server.graphql.executor import PatientExecutor
from server.graphql.extensions import Extensions
from server.graphql.limits import TransportLimits
from server.graphql.operation import Operation
from server.graphql.persisted import DocumentsByName
from server.graphql.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    schema: strawberry.Schema
    documents: Documents
    by_name: DocumentsByName
    limits: TransportLimits
    make_context: Callable[[Viewer | None, Call], object]
    edge: Edge
    open_fields: frozenset[str]
    introspection: bool
    turns: Turns = field(default_factory=Turns)

    async def open(self, request: GraphQLRequest, viewer: Viewer | None, caller: Caller) -> Operation:
        """Raises RequestError. Nothing of the application has run when it returns, but `make_context`."""
        request = self.by_name.spelled_out(request)
        if not self.documents.knows(request.query):
            await self.turns.to_read()
        document = self.documents.read(request.query)
        definition = document.operation(request.operation_name)
        if viewer is None:
            self._require_open(document, definition)
        weight = self.documents.weigh(document, definition, request.variables)
        self.documents.check(document)
        call = Call(caller.address, self.edge.charge(caller, weight.cost))
        extensions = Extensions(self.schema)
        return Operation(
            request=request,
            document=document,
            executor=self._executor(request, document, extensions, self.make_context(viewer, call)),
            extensions=extensions,
            make_context=lambda: self.make_context(viewer, call),
            deadline=self._deadline(definition),
            cost=weight.cost,
            rate_limit=call.rate_limit,
            turns=self.turns,
        )

    def _require_open(self, document: Document, definition: OperationDefinitionNode) -> None:
        closed = root_fields(definition, document.fragments) - self.open_fields
        if closed:
            raise unauthenticated("This needs a credential: send `Authorization: Bearer <key>`.")

    def _executor(
        self, request: GraphQLRequest, document: Document, extensions: Extensions, context: object
    ) -> Executor[Any]:
        executor = PatientExecutor.build(
            graphql_schema(self.schema),
            document.syntax,
            context_value=context,
            raw_variable_values=request.variables,
            operation_name=request.operation_name,
            middleware=extensions.middleware(),
            hide_suggestions=not self.introspection,
            operation_extensions=request.extensions,
            turns=self.turns,
        )
        if isinstance(executor, list):
            payloads = [located_payload(error, Code.BAD_VARIABLES) for error in executor]
            raise RequestError(payloads, about_document=True)
        return executor

    def _deadline(self, definition: OperationDefinitionNode) -> timedelta:
        if definition.operation is OperationType.MUTATION:
            return self.limits.mutation_deadline
        return self.limits.query_deadline


def graphql_schema(schema: strawberry.Schema) -> GraphQLSchema:
    # Strawberry has no public name for it.
    return schema._schema
