"""One attack, played: what its sender was told, and what it cost everybody else."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.attacks.attacker import Attacker
from tests.attacks.attacks import Attack
from tests.attacks.bystander import standing_by
from tests.attacks.stage import Stage

LONGEST_WAIT_MS = 250
MOST_MB = 12
MOST_LOG_BYTES = 2048
BEFORE_SECONDS = 1.0
SETTLING_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Played:
    attack: Attack
    times: int
    told: dict[str, int]
    took_seconds: float
    worst_ms: float
    median_ms: float
    more_mb: float
    log_bytes: float

    def findings(self, *, timed: bool = True) -> Iterator[str]:
        if strange := set(self.told) - self.attack.refusals:
            yield f"the attacker was told {', '.join(sorted(strange))}"
        if self.log_bytes > MOST_LOG_BYTES:
            yield f"{self.log_bytes:.0f} bytes of log a request"
        if timed and self.worst_ms > LONGEST_WAIT_MS:
            yield f"the second client waited {self.worst_ms:.0f} ms"
        if timed and self.more_mb > MOST_MB:
            yield f"{self.more_mb:.0f} MB more"


async def play(stage: Stage, attack: Attack, times: int) -> Played:
    if times > attack.short:
        # What the first of its kind leaves behind (caches, arenas of the allocator) is not what each costs.
        await attack.play(Attacker(stage), attack.short)
    attacker, memory, log = Attacker(stage), stage.memory_mb(), stage.log_bytes()
    async with standing_by(stage) as waits:
        await asyncio.sleep(BEFORE_SECONDS)
        began = time.monotonic()
        await attack.play(attacker, times)
        took = time.monotonic() - began
        await asyncio.sleep(SETTLING_SECONDS)
    return Played(
        attack,
        times,
        dict(attacker.told),
        took,
        waits.worst_ms,
        waits.median_ms,
        stage.memory_mb() - memory,
        (stage.log_bytes() - log) / max(attacker.requests, 1),
    )
