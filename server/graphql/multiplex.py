"""The operations that share one socket, by id."""

import asyncio

from graphql import OperationType

from domain.errors import NotAuthenticated
from domain.user import Viewer
from server.graphql import messages
from server.graphql.admission import Credential
from server.graphql.body import GraphQLRequest
from server.graphql.edge import Caller, Edge
from server.graphql.errors import ClientLeft, RequestError, throttled
from server.graphql.failures import Failures
from server.graphql.limits import TransportLimits
from server.graphql.operation import Operation
from server.graphql.run import Operations
from server.graphql.wire import Wire


class Multiplex:
    """A subscription or query ends with its `complete` or its socket. A mutation runs on, and nobody is told."""

    def __init__(
        self,
        *,
        wire: Wire,
        operations: Operations,
        edge: Edge,
        limits: TransportLimits,
        tasks: asyncio.TaskGroup,
        lasting: asyncio.TaskGroup,
    ) -> None:
        self._wire, self._operations, self._edge, self._limits = wire, operations, edge, limits
        self._tasks, self._lasting = tasks, lasting
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._unstoppable: set[asyncio.Task[None]] = set()
        self._running = 0
        self.idle_since: float | None = asyncio.get_running_loop().time()

    def __contains__(self, operation_id: str) -> bool:
        return operation_id in self._listening

    async def start(self, operation_id: str, request: GraphQLRequest, credential: Credential, caller: Caller) -> None:
        """Raises NotAuthenticated when the credential is no longer good; all else concerns this operation alone."""
        try:
            self._edge.arrive(caller)
            operation = await self._open(request, await credential.viewer(), caller)
        except NotAuthenticated:
            raise
        except RequestError as error:
            await self._wire.send(messages.error(operation_id, error.errors))
        except Exception as error:
            await self._wire.send(messages.error(operation_id, [Failures().exception_payload(error)]))
        else:
            self._running += 1
            self.idle_since = None
            self._listening[operation_id] = self._task(operation_id, operation)

    def complete(self, operation_id: str) -> None:
        task = self._listening.pop(operation_id, None)
        if task is not None and task not in self._unstoppable:
            task.cancel()

    def forget(self) -> None:
        """The socket is gone: whatever still runs has nobody to tell."""
        self._listening.clear()

    async def _open(self, request: GraphQLRequest, viewer: Viewer, caller: Caller) -> Operation:
        if self._running >= self._limits.operations_per_socket:
            raise throttled(f"At most {self._limits.operations_per_socket} operations run on one socket.", 1.0)
        return await self._operations.open(request, viewer, caller)

    def _task(self, operation_id: str, operation: Operation) -> asyncio.Task[None]:
        if operation.kind is not OperationType.MUTATION:
            return self._tasks.create_task(self._run(operation_id, operation))
        task = self._lasting.create_task(self._run(operation_id, operation))
        self._unstoppable.add(task)
        task.add_done_callback(self._unstoppable.discard)
        return task

    async def _run(self, operation_id: str, operation: Operation) -> None:
        try:
            await self._end(operation_id, await self._perform(operation_id, operation))
        except ClientLeft:
            # Whoever reads the socket learns of it too, and ends the rest.
            pass
        finally:
            self._running -= 1
            if not self._running:
                self.idle_since = asyncio.get_running_loop().time()

    async def _perform(self, operation_id: str, operation: Operation) -> str:
        """Sends every result; what remains to be said is returned."""
        try:
            if operation.kind is OperationType.SUBSCRIPTION:
                await self._follow(operation_id, operation)
            else:
                await self._answer(operation_id, operation)
        except ClientLeft:
            raise
        except RequestError as error:
            return messages.error(operation_id, error.errors)
        except Exception as error:
            return messages.error(operation_id, [Failures().exception_payload(error)])
        return messages.complete(operation_id)

    async def _follow(self, operation_id: str, operation: Operation) -> None:
        prefix, wire = messages.next_prefix(operation_id), self._wire

        async def deliver(payload: bytes) -> None:
            await wire.send(messages.next_message(prefix, payload))

        await operation.follow(deliver)

    async def _answer(self, operation_id: str, operation: Operation) -> None:
        payload = await operation.answer()
        if self._is_listened_to(operation_id):
            await self._wire.send(messages.next_message(messages.next_prefix(operation_id), payload))

    async def _end(self, operation_id: str, message: str) -> None:
        if self._is_listened_to(operation_id):
            # Before it is sent: the client may use the id again as soon as it has read this.
            del self._listening[operation_id]
            await self._wire.send(message)

    def _is_listened_to(self, operation_id: str) -> bool:
        """The id may belong to a later operation by now."""
        return self._listening.get(operation_id) is asyncio.current_task()
