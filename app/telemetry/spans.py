"""Spans as the application asks for them: each of these does nothing while traces are off.

Attributes are words of ours, numbers, and ids of the register; what else got into a span is left out when it is sent
(`app.telemetry.exporting`).
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

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
    """What makes spans in this process; None while traces are off."""
    return _Process.tracer


def within(name: str) -> AbstractContextManager[None]:
    """A span below the current one; none where there is no current one, as in work that no request waits for."""
    made = _Process.tracer
    return _NOTHING if made is None else made.within(name)


def webhook(caused_by: str | None) -> AbstractContextManager[None]:
    """The span of a delivery, in the trace of what caused it; none where that is not known."""
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
    """The id of the current trace, in hexadecimal; None without one."""
    made = _Process.tracer
    return None if made is None else made.trace_id()


def traceparent() -> str | None:
    """The current span as a `traceparent` header says it (W3C Trace Context); None unless the trace is recorded."""
    made = _Process.tracer
    return None if made is None else made.traceparent()


def caused_by(cause: str | None) -> AbstractContextManager[None]:
    """Have what is recorded in the block be caused by another span than the current one, as `traceparent` gave it."""
    return _NOTHING if cause is None else _caused_by(cause)


@contextmanager
def _caused_by(cause: str) -> Iterator[None]:
    token = _CAUSE.set(cause)
    try:
        yield
    finally:
        _CAUSE.reset(token)


def cause() -> str | None:
    """What causes the events that are recorded now, as a `traceparent`; None unless a trace of it is recorded."""
    made = _Process.tracer
    return None if made is None else _CAUSE.get() or made.traceparent()
