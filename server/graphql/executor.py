"""graphql-core's executor, but a long list does not keep everybody else waiting until the last of it is resolved."""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, NamedTuple

from graphql import GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path, gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from server.graphql.turns import Stretch, Turns

# A page of 20 is over in a millisecond.
LONG_LIST = 25


class _List(NamedTuple):
    """What graphql-core passes on from an item to the next."""

    item_type: GraphQLOutputType
    details: FieldDetailsList
    info: GraphQLResolveInfo[Any]


class PatientExecutor(StrawberryGraphQLCoreExecutionContext):
    """There is no `@stream` here, and it is not looked for."""

    def __init__(self, *args: Any, turns: Turns, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turns = turns

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> list[Any] | Awaitable[list[Any]]:
        of = _List(item_type, field_details_list, info)
        if isinstance(items, list | tuple) and len(items) > LONG_LIST and not any(map(self.is_awaitable, items)):
            return self._complete(items, of, path, position_context)
        return super().complete_iterable_value(*of, path, items, position_context)

    async def _complete(self, items: Sequence[Any], of: _List, path: Path, position: Any) -> list[Any]:
        results = list[Any]()
        async with self._turns.to_list() as stretch:
            pending = await self._begin(items, results, stretch, of, path, position)
        ended = await gather_with_cancel(*(results[index] for index in pending))
        for index, result in zip(pending, ended, strict=True):
            results[index] = result
        return results

    async def _begin(
        self, items: Sequence[Any], results: list[Any], stretch: Stretch, of: _List, path: Path, position: Any
    ) -> list[int]:
        """Fills `results`; which of them have to be awaited is returned."""
        pending = list[int]()
        try:
            for index, item in enumerate(items):
                if self.complete_list_item_value(item, results, *of, path.add_key(index, None), position):
                    pending.append(index)
                # What waits for a loader is begun in one go: the loader asks once, for all of them.
                if not pending:
                    await stretch.rest()
        except Exception:
            self.settle_in_background([results[index] for index in pending])
            raise
        return pending
