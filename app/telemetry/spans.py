"""What the work at hand belongs to: its span, and the request or command that it came by.

While traces are off, the functions of spans do nothing. Attributes of spans are words of ours, numbers, and ids of the
register; what else got into a span is left out when it is sent (`app.telemetry.exporting`).
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from app.telemetry.exporting import ProcessTracer

Value = str | int | bool
_NOTHING: Final[AbstractContextManager[None]] = nullcontext()
_CAUSE: Final[ContextVar[str | None]] = ContextVar("cause", default=None)


class _Process:
    """The tracer of this process; None while traces are off."""

    tracer: "ProcessTracer | None" = None


def use(tracer: "ProcessTracer | None") -> None:
    """Make spans with this tracer from now on; None for none."""
    _Process.tracer = tracer


def tracer() -> "ProcessTracer | None":
    """Return what makes spans in this process; None while traces are off."""
    return _Process.tracer


def within(name: str) -> AbstractContextManager[None]:
    """Make a span below the current one; none without a current one, as in work that no request waits for."""
    made = _Process.tracer
    return _NOTHING if made is None else made.within(name)


def webhook(caused_by: str | None) -> AbstractContextManager[None]:
    """Make the span of a delivery, in the trace of what caused it; none where that is not known."""
    made = _Process.tracer
    return _NOTHING if made is None or caused_by is None else made.webhook(caused_by)


def note(attributes: Mapping[str, Value]) -> None:
    """Add attributes to the current span."""
    made = _Process.tracer
    if made is not None:
        made.note(attributes)


def end(span: "Span", status: int) -> None:
    """End the span of a request that was answered with this status."""
    made = _Process.tracer
    if made is not None:
        made.end(span, status)


def trace_id() -> str | None:
    """Return the id of the current trace, in hexadecimal; None without one."""
    made = _Process.tracer
    return None if made is None else made.trace_id()


def traceparent() -> str | None:
    """Return the current span as a `traceparent` header (W3C Trace Context); None unless the trace is recorded."""
    made = _Process.tracer
    return None if made is None else made.traceparent()


def caused_by(cause: str | None) -> AbstractContextManager[None]:
    """Make another span the cause of what is recorded in the block, instead of the current one (`traceparent`)."""
    return _NOTHING if cause is None else _holding(_CAUSE, cause)


@contextmanager
def _holding(variable: ContextVar[Any], value: object) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def cause() -> str | None:
    """Return what causes the events recorded now, as a `traceparent`; None unless a trace of it is recorded."""
    made = _Process.tracer
    return None if made is None else _CAUSE.get() or made.traceparent()


# How an act arrives, and under which request id: set where a request or command begins, read by the trail. Operations
# say who acts and on what; only the edge knows which request that was. Passing it through every operation would put
# HTTP into each of them.
class EntryPoint(StrEnum):
    """How an act arrived."""

    API = "api"
    COMMAND = "command"
    PAGE = "page"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Origin:
    """How an act arrived, and the id of its request if that id may be kept (letters, digits, `._-`)."""

    way: EntryPoint
    request_id: str | None = None


BY_ITSELF: Final = Origin(EntryPoint.SERVICE)
"""The origin of what the service does by itself, at its start."""

_origin: ContextVar[Origin] = ContextVar("sceau_origin", default=BY_ITSELF)


def current_origin() -> Origin:
    """Return the origin of the code that runs now."""
    return _origin.get()


def arriving(origin: Origin) -> AbstractContextManager[None]:
    """Set the origin of what runs in this block."""
    return _holding(_origin, origin)
