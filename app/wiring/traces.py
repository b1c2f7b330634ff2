"""Makes what sends traces from settings; nothing of it is loaded where they are off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from app.settings import Settings
from app.settings.environment import PREFIX, SettingsError
from app.settings.values import TracesMode

if TYPE_CHECKING:
    from app.telemetry.traces.exporting import Traces


def traces_of(settings: Settings) -> "Traces | None":
    """What sends this process's traces; None where they are off.

    Raises:
        SettingsError: they are on, and OpenTelemetry's SDK is not installed.

    """
    if settings.traces is TracesMode.OFF:
        return None
    try:
        from app.telemetry.traces.exporting import Traces
    except ImportError:
        how = "is otlp, and OpenTelemetry's SDK is not installed: pip install 'sceau[otel]'"
        raise SettingsError(f"{PREFIX}TRACES {how}") from None
    return Traces(version("sceau"))


@asynccontextmanager
async def sending(traces: "Traces | None") -> AsyncIterator[None]:
    """Send traces while the block lasts."""
    if traces is None:
        yield
        return
    traces.start()
    try:
        yield
    finally:
        await asyncio.to_thread(traces.stop)
