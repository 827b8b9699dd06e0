"""`/health/live` and `/health/ready`: what a supervisor and a load balancer ask."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

Check = Callable[[], Awaitable[object]]
NOT_KEPT = {"Cache-Control": "no-store"}
log = structlog.get_logger(__name__)


def health_handlers(checks: Mapping[str, Check], *, limit: timedelta = timedelta(seconds=2)) -> list[HTTPRouteHandler]:
    """`checks`: what readiness depends on, by name; a check that raises, or takes longer than `limit`, has failed."""

    @get("/health/live", include_in_schema=False, sync_to_thread=False)
    def live() -> Response[dict[str, object]]:
        return _answer(200, {"status": "live"})

    @get("/health/ready", include_in_schema=False)
    async def ready() -> Response[dict[str, object]]:
        failed = await _failed(checks, limit)
        return (
            _answer(503, {"status": "not ready", "notReady": failed}) if failed else _answer(200, {"status": "ready"})
        )

    return [live, ready]


async def _failed(checks: Mapping[str, Check], limit: timedelta) -> list[str]:
    passed = await asyncio.gather(*(_passes(name, check, limit) for name, check in checks.items()))
    return [name for name, good in zip(checks, passed, strict=True) if not good]


async def _passes(name: str, check: Check, limit: timedelta) -> bool:
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await check()
    # Whatever it is, it is not ready, and the words of a driver are not for the public.
    except Exception as error:
        log.warning("not ready", reason=name, error_type=type(error).__name__)
        return False
    return True


def _answer(status: int, content: dict[str, object]) -> Response[dict[str, object]]:
    return Response(content, status_code=status, headers=NOT_KEPT)
