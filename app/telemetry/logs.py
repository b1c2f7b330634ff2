"""Logs: one line for each record on standard error, JSON or for a person; never an identifier of one.

An exception is logged as its type and the places it went through, without its message and without values: a message
may quote what a client sent.
"""

import logging
import re
import sys
import traceback
from enum import StrEnum

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from app.telemetry.spans import trace_id


class MetricsAccess(StrEnum):
    """Who may read `/metrics`: every client that reaches the port, callers with `audit:read`, or no client."""

    OPEN = "open"
    SCOPED = "scoped"
    OFF = "off"


def configure_logs(*, level: str, as_json: bool) -> None:
    """Send structlog's and the standard library's records through one set of processors to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(as_json=as_json, is_for_good=True))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # raw paths: this service logs route templates instead
    for name in ("httpcore2", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they log URLs, and what receivers answer


def say_warnings() -> None:
    """Have a command print its warnings as a service logs its own; do nothing if logs are configured already.

    Otherwise structlog would print the local variables of an exception's frames, and `logging` its message.
    """
    if not structlog.is_configured() and logging.lastResort is not None:
        logging.lastResort.setFormatter(_formatter(as_json=not sys.stderr.isatty(), is_for_good=False))


def _formatter(*, as_json: bool, is_for_good: bool) -> logging.Formatter:
    """Lead structlog's records to the standard library, and return what makes lines of all; for good: cached."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_messages,
        _with_trace,
    ]
    render = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first, so that a line that nobody wants costs nothing more
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=is_for_good,
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )


def _without_messages(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace exception information by types and places."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0] is not None:
        event["exception"] = describe(info[1])
    record = event.get("_record")
    if record is not None:
        record.exc_info = record.exc_text = None
        if record.name == "asyncio":
            # Behind the words with which a message begins, asyncio shows tasks, with their results or exceptions, whose
            # messages are quoted, and callbacks with their arguments.
            event["event"] = re.split(r"[^\w %.!-]", str(record.msg), maxsplit=1)[0].rstrip()
    return event


def _with_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the id of the current trace, if there is one and the record has none yet."""
    if (current := trace_id()) is not None:
        event.setdefault("trace_id", current)
    return event


def say_fault(error: BaseException) -> None:
    """Print an unforeseen error that ends a process to standard error: in the place of a traceback, and as logs do."""
    sentence = "sceau: a fault of the program; its message is left out, which may hold what is secret"
    sys.stderr.write("\n  ".join([sentence, *describe(error, places=100)]) + "\n")


def describe(error: BaseException, *, places: int = 5) -> list[str]:
    """Return an exception and its causes, each as its type and the last places it went through."""
    causes, current = [], error
    while True:
        went = traceback.extract_tb(current.__traceback__)[-places:]
        where = " < ".join(
            f"{place.name} ({'/'.join(place.filename.split('/')[-2:])}:{place.lineno})" for place in reversed(went)
        )
        causes.append(f"{type(current).__module__}.{type(current).__qualname__} in {where}")
        following = current.__cause__ or current.__context__
        if following is None or len(causes) > 5:  # noqa: PLR2004 - enough to see where it came from
            return causes
        current = following
