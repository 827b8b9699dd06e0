"""Logs: JSON lines in production, readable ones in development; known fields only, and never what people wrote."""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LONGEST_LINE = 2048
SHORTER_AND_SHORTER = (1000, 200, 40)
MOST_FRAMES = 10
ALWAYS = ("timestamp", "level", "event")
FIELDS = frozenset(
    {
        *ALWAYS,
        "logger",
        "exception",
        "attempt",
        "code",
        "conversation_id",
        "count",
        "detail",
        "duration_ms",
        "error_id",
        "error_type",
        "exception_type",
        "generation_id",
        "trace",
        "key_id",
        "message_id",
        "model",
        "node",
        "operation",
        "operation_type",
        "path",
        "provider",
        "reason",
        "request_id",
        "seq",
        "status",
        "tokens",
        "trace_id",
        "transport",
        "user_id",
    }
)
SECRETS = (
    (re.compile(r"gus_[A-Za-z0-9_-]{10,}"), "gus_***"),
    (re.compile(r"(?i)\bbearer\s+\S+"), "Bearer ***"),
    (re.compile(r"://[^/@\s]+@"), "://***@"),
)


def configure_logging(*, production: bool, level: str) -> None:
    """Everything, the libraries' logs too, as lines on standard error."""
    made: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shown: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(production)]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *made, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=shown, foreign_pre_chain=made))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    _hand_over("uvicorn", "uvicorn.error", "uvicorn.access", "asgi")
    # A line for each request to a model server, health included, tells nobody anything.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _rendering(production: bool) -> list[Processor]:
    if production:
        return [_places_of_exception, known_fields_only, json_line]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [_keep_exc_info_aside(console)]


def _keep_exc_info_aside(console: structlog.dev.ConsoleRenderer) -> Processor:
    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        exc_info = event.pop("exc_info", None)
        event = _shortened(known_fields_only(logger, method, event), SHORTER_AND_SHORTER[0])
        return str(console(logger, method, event if exc_info is None else {**event, "exc_info": exc_info}))

    return render


def _hand_over(*names: str) -> None:
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        # Starting and stopping is told by us.
        logger.setLevel(logging.WARNING)


def known_fields_only(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A field that is not on the list could hold anything, so it is left out, not cut."""
    return {name: _without_secrets(value) for name, value in event.items() if name in FIELDS}


def json_line(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """At most LONGEST_LINE bytes, and JSON all the same: values are shortened, not the line."""
    render = structlog.processors.JSONRenderer(ensure_ascii=False)
    for longest in SHORTER_AND_SHORTER:
        line = str(render(logger, method, _shortened(event, longest)))
        if len(line.encode(errors="replace")) <= LONGEST_LINE:
            return line
    return str(render(logger, method, _shortened({name: event.get(name) for name in ALWAYS}, SHORTER_AND_SHORTER[-1])))


def _places_of_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Where it happened, without the exception's own words: drivers and parsers put values into them."""
    exc_info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if exc_info is True else exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event["exception"] = " <- ".join([_kind(error), *_places(error)])
    return event


def _kind(error: BaseException) -> str:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    own = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return own if cause is None else f"{own} (from {type(cause).__module__}.{type(cause).__qualname__})"


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    return [f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}" for frame in reversed(frames)]


def _without_secrets(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def _shortened(event: MutableMapping[str, object], longest: int) -> EventDict:
    return {
        name: value[:longest] + "…" if isinstance(value, str) and len(value) > longest else value
        for name, value in event.items()
    }
