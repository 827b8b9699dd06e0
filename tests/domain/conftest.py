from collections.abc import AsyncIterator

import pytest

from tests.domain.fakes import FakeLog
from tests.domain.playing import Stage


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
async def stage(log: FakeLog) -> AsyncIterator[Stage]:
    async with Stage(log) as stage:
        yield stage
