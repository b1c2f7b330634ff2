"""Spans as the application asks for them; these functions do nothing while traces are off.

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
    return _NOTHING if cause is None else _caused_by(cause)


@contextmanager
def _caused_by(cause: str) -> Iterator[None]:
    token = _CAUSE.set(cause)
    try:
        yield
    finally:
        _CAUSE.reset(token)


def cause() -> str | None:
    """Return what causes the events recorded now, as a `traceparent`; None unless a trace of it is recorded."""
    made = _Process.tracer
    return None if made is None else _CAUSE.get() or made.traceparent()
