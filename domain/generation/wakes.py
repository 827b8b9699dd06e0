"""Wake-ups: hints that a run's log has grown. Losing one only delays; nothing is carried in them."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from domain.world import GenerationId


class Wakes:
    def __init__(self) -> None:
        self._watchers: dict[GenerationId, set[asyncio.Event]] = {}

    @contextmanager
    def watching(self, generation_id: GenerationId) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        watchers = self._watchers.setdefault(generation_id, set())
        watchers.add(event)
        try:
            yield event
        finally:
            watchers.discard(event)
            if not watchers:
                self._watchers.pop(generation_id, None)

    def wake(self, generation_ids: Iterable[GenerationId]) -> None:
        for generation_id in generation_ids:
            for event in self._watchers.get(generation_id, ()):
                event.set()

    def watched(self) -> int:
        return sum(map(len, self._watchers.values()))
