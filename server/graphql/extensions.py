"""Strawberry's schema extensions around an operation: on_operation, on_execute and resolve."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import strawberry
from graphql import MiddlewareManager
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext
from strawberry.types.graphql import OperationType

from server.graphql.body import GraphQLRequest
from server.graphql.documents import Document


class Extensions:
    """The extensions of one operation. Documents are parsed and validated before it, so those two hooks are not called."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self._schema = schema
        self._extensions: list[SchemaExtension] = schema.get_extensions()

    def middleware(self) -> MiddlewareManager | None:
        resolving = [each for each in self._extensions if type(each).resolve is not SchemaExtension.resolve]
        return MiddlewareManager(*resolving) if resolving else None

    @asynccontextmanager
    async def around(self, request: GraphQLRequest, document: Document, context: object) -> AsyncIterator[None]:
        if not self._extensions:
            yield
            return
        execution = ExecutionContext(
            query=request.query,
            schema=self._schema,
            allowed_operations=frozenset(OperationType),
            context=context,
            variables=request.variables,
            provided_operation_name=request.operation_name,
            graphql_document=document.syntax,
        )
        for extension in self._extensions:
            extension.execution_context = execution
        runner = self._schema.create_extensions_runner(execution, self._extensions)
        async with runner.operation(), runner.executing():
            yield
