"""Each attack a few times, or in `make prove` as often as it is meant: what it is told, and what it leaves in the log.

What a second client felt is judged by `python -m tests.attacks`, on a machine that has nothing else to do.
"""

from collections.abc import Iterator

import pytest

from tests.attacks.attacks import ATTACKS, Attack
from tests.attacks.stage import Stage, staged
from tests.attacks.trial import play


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.mark.parametrize("in_full", [False, pytest.param(True, marks=pytest.mark.prove)], ids=["short", "in full"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_it_is_refused_by(stage: Stage, attack: Attack, in_full: bool) -> None:
    played = await play(stage, attack, attack.times if in_full else attack.short)
    assert list(played.findings(timed=False)) == []
