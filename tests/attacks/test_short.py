"""Each attack a few times, on the way of `make test`: what it is told, and what it leaves in the log.

In `make prove` in full. What a second client felt is judged by `python -m tests.attacks`, on a machine that has nothing else to do.
"""

import os
from collections.abc import Iterator

import pytest

from tests.attacks.attacks import ATTACKS, Attack
from tests.attacks.stage import Stage, staged
from tests.attacks.trial import play

IN_FULL = "PROVE" in os.environ


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_it_is_refused_by(stage: Stage, attack: Attack) -> None:
    played = await play(stage, attack, attack.times if IN_FULL else attack.short)
    assert list(played.findings(timed=False)) == []
