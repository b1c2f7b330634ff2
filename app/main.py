"""The composition root: `create_app(settings)` wires everything, once. Tests wire the same application.

The sources that nothing below may reach for, this machine's clock and chance, come from here; the parts are put
together in `app.wiring`.
"""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute

from app.api.application import ROUTERS, Sceau
from app.api.consents.groups import RecordingGroups
from app.api.decisions.edge import serving_edges
from app.api.decisions.routes import discovery_router
from app.api.http import problems
from app.api.http.security import scopes_by_route
from app.api.http.services import Services
from app.api.metrics import watch_conditions, watch_issuers, watch_refusals, watch_replica
from app.api.openapi import DESCRIPTION
from app.db.session import Clock
from app.pages import console, home, rendering, staff
from app.pages.consents import page as consent
from app.pages.consents.receipt import receipt_document
from app.pages.rendering import error_page
from app.settings import Settings
from app.settings.required import bootstrap_key
from app.telemetry.logs import configure_logs
from app.telemetry.room import take_room
from app.wiring.parts import traces_of
from app.wiring.running import running
from app.wiring.services import decisions_of, services_of
from app.wiring.stopping import stopping_in_order

if TYPE_CHECKING:
    from app.telemetry.exporting import Traces


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """Wire the application; nothing is opened until it starts.

    Args:
        settings: as loaded.
        clock: another clock than the database's, for tests.

    """
    services = services_of(settings, clock=clock)
    first_key = bootstrap_key(settings)
    traces = traces_of(settings)
    app = Sceau(
        title="Sceau",
        version=version("sceau"),
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,  # app.api.openapi serves the document and the page
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=_ROUTES,
        generate_unique_id_function=operation_of,
        telemetry=_telemetry(traces),
        lifespan=lambda app: _running(app, settings, services, first_key, traces),
    )
    app.state.services = services
    app.state.error_page = error_page
    app.state.receipt_document = receipt_document
    app.state.decisions = decisions_of(services)
    app.state.recording_groups = RecordingGroups(services.writer, services.deployment)
    watch_replica(services)
    watch_issuers(services)
    watch_refusals(services)
    watch_conditions(services, app.state.decisions.wording.unanswered)
    problems.install(app)
    app.include_router(discovery_router(services.source))
    scopes_by_route(app)
    return app


@asynccontextmanager
async def _running(
    app: FastAPI, settings: Settings, services: Services, first_key: str | None, traces: "Traces | None"
) -> AsyncIterator[None]:
    """Run the background tasks while requests are answered; stop recording before the connection pools are closed."""
    async with traces or nullcontext(), running(services, first_key):
        try:
            async with serving_edges(settings.edge_socket, app.state.decisions, services):
                with stopping_in_order(services.stopping, settings.drain.total_seconds()):
                    yield
        finally:
            await app.state.recording_groups.close()


def _telemetry(traces: "Traces | None") -> TelemetryConfig:
    """FastAPI's telemetry: spans if traces are on, and never its logs, which quote exceptions."""
    off: TelemetryConfig = {"logs": False, "tracing": False, "metrics": False}
    if traces is None:
        return off
    # Not as FASTAPI_OTEL_AUTO_CONFIGURE would have it: that exporter sends paths, and links hold their secret there.
    return {
        **off, "tracing": True, "tracer_provider": traces.provider, "operation_spans": False, "auto_configure": False
    }  # fmt: skip


def operation_of(route: APIRoute) -> str:
    """Return what a generated client calls a route's operation: the name of its function."""
    return route.name


def _included(*routers: APIRouter) -> list[BaseRoute]:
    every = APIRouter(generate_unique_id_function=operation_of)
    for router in routers:
        every.include_router(router)
    return every.routes


def create_app_from_environment() -> FastAPI:
    """Make the application for a worker of uvicorn, with settings and logs from the environment."""
    take_room()
    gc.freeze()  # modules and classes stay: they need not be looked through
    settings = Settings.load()
    configure_logs(level=settings.log_level, as_json=not sys.stderr.isatty())
    return create_app(settings)


_ROUTES: Final = _included(*ROUTERS, rendering.router, home.router, consent.router, console.router, staff.router)
"""The routes of every application: reading their parameters and models takes longer than the rest of making one."""
