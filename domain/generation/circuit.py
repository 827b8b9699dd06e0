"""A breaker per model server: one that has failed again and again is left alone for a while."""

import asyncio
from dataclasses import dataclass

FAILURES_TO_OPEN = 5
OPEN_SECONDS = 10.0


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    closes_at: float = 0.0


class Circuits:
    """As this process has seen the servers; a guard against waiting in vain, and no truth that others need."""

    def __init__(self) -> None:
        self._circuits: dict[str, _Circuit] = {}

    def admits(self, provider: str) -> bool:
        """When the time is up one call is let through; its outcome decides for the others."""
        circuit = self._circuits.get(provider)
        if circuit is None or circuit.failures < FAILURES_TO_OPEN:
            return True
        now = asyncio.get_running_loop().time()
        if now < circuit.closes_at:
            return False
        circuit.closes_at = now + OPEN_SECONDS
        return True

    def failed(self, provider: str) -> None:
        circuit = self._circuits.setdefault(provider, _Circuit())
        circuit.failures += 1
        circuit.closes_at = asyncio.get_running_loop().time() + OPEN_SECONDS

    def answered(self, provider: str) -> None:
        self._circuits.pop(provider, None)

    def failures(self, provider: str) -> int:
        """In a row."""
        circuit = self._circuits.get(provider)
        return circuit.failures if circuit else 0
