"""How many timers are set, for what must not set one for each word."""

import asyncio
from collections.abc import Callable

import pytest


def counted_timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Grows by the moment of each timer that is set from now on."""
    loop, moments = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def counted(when: float, callback: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        moments.append(when)
        return call_at(when, callback, *arguments)

    monkeypatch.setattr(loop, "call_at", counted)
    return moments
