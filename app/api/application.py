"""The application: FastAPI with every router, and the steps that every request passes before and after its route."""

import asyncio
import time
from typing import Any, Final

import structlog
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.api import audit, callers, health, openapi, proof, signing_keys, staff, webhooks
from app.api.consents import batches, imports, renewals, subjects
from app.api.consents import links as consent_links
from app.api.consents import routes as consents
from app.api.decisions import explanations, routes, searches
from app.api.http import problems
from app.api.http.exchange import (
    BODY_TOO_SLOW,
    MOST_BODY_BYTES,
    Exchange,
    answered_line,
    for_people,
    headers_of_every_answer,
    request_id,
    wants_page,
)
from app.api.http.problems import over_quota, problem
from app.api.http.security import note_key, refuses_unknown_key
from app.api.http.services import Services
from app.api.openapi import describe
from app.api.register import controllers, invalidations, proposals
from app.api.register import routes as register
from app.auth.callers import OverQuotaError
from app.telemetry.spans import EntryPoint, Origin, arriving

# The request id, the bound on the body, the security headers, the log line and the metrics are made here rather than in
# middleware, so that they hold for a 500 too.

_BODY_SECONDS: Final = 15
_PAGES: Final = ("/consent/", "/console", "/staff/")
_LAST: Final = {"Connection": "close"}
log = structlog.get_logger("sceau.http")


class Sceau(FastAPI):
    """The service as an ASGI application."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once: FastAPI's, with scopes, and with the models of AuthZEN bodies."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self, super().openapi())
        return self.openapi_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or run the lifespan."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        services: Services = self.state.services
        started = time.perf_counter()
        exchange = Exchange(
            scope, send, request_id(scope), headers_of_every_answer(services.public_url), services.stopping.is_set
        )
        scope["app"] = self
        answered: Send = exchange.send
        if wants_page(scope):
            answered = for_people(scope, receive, exchange.send, self.state.error_page)
        try:
            await self._within_limits(scope, receive, exchange, answered)
        except Exception:
            log.exception("failed", request_id=exchange.loggable_id)
            if not exchange.started:
                await problems.failed()(scope, receive, answered)
        finally:
            self._observe(scope, exchange, time.perf_counter() - started)

    async def _within_limits(self, scope: Scope, receive: Receive, exchange: Exchange, answered: Send) -> None:
        """Answer by FastAPI's routes, unless too many unknown keys came from where the request comes from."""
        services: Services = self.state.services
        standing = refuses_unknown_key(services, scope) if services.unknown_keys.alert_until else None
        if standing is not None:
            await over_quota(scope, OverQuotaError(standing))(scope, receive, answered)
            return
        way = EntryPoint.PAGE if scope["path"].startswith(_PAGES) else EntryPoint.API
        with arriving(Origin(way, exchange.loggable_id)):
            await self._answer(scope, receive, answered)

    async def _answer(self, scope: Scope, receive: Receive, answered: Send) -> None:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _read(scope, receive, MOST_BODY_BYTES)
        except TimeoutError:
            late = problem(BODY_TOO_SLOW.status, BODY_TOO_SLOW.slug, BODY_TOO_SLOW.detail, headers=_LAST)
            await late(scope, receive, answered)
            return
        except _CutOffError:
            # A client that has gone does not get this; one that has closed only its half of the connection does.
            cut = problem(400, "malformed", "The body ended before it was whole: nothing was done.", headers=_LAST)
            await cut(scope, receive, answered)
            return
        if body is None:
            detail = f"A body holds at most {MOST_BODY_BYTES} bytes."
            # A client that waits for 100 Continue has not sent the body: what comes next may be it, or a request.
            waits = any(name == b"expect" for name, _ in scope["headers"])
            large = problem(413, "too-large", detail, headers=_LAST if waits else None)
            await large(scope, receive, answered)
            return
        # PostgreSQL stores no NUL: none comes in by a query, as none does by JSON (`wire.parse`) or a form.
        if b"%00" in scope["query_string"]:
            await problem(400, "malformed", "The query holds a NUL character.")(scope, receive, answered)
            return
        await super().__call__(scope, _replay(body, receive), answered)

    def _observe(self, scope: Scope, exchange: Exchange, seconds: float) -> None:
        services: Services = self.state.services
        note_key(services, scope, exchange.status)
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        answered_line(services, scope, method, route, exchange.status, seconds, exchange.loggable_id)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _CutOffError(Exception):
    """The client went before its body was whole."""


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when it is larger than the limit.

    Raises:
        _CutOffError: the body ended too soon. The part that came may say something else than the whole (RFC 9112,
            section 8).

    """
    headers = {name: value for name, value in scope["headers"] if name in {b"content-length", b"transfer-encoding"}}
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        return None
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            # Whether the head says that a body follows (RFC 9112, section 6.3); else the request was whole with it.
            if not chunks and b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0":
                return b""
            raise _CutOffError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read already, then what `receive` gives after it."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


# Every router of the API, in the order of its parts on the page at /docs.

ROUTERS: Final = tuple(
    part.router
    for part in (
        routes,
        searches,
        register,
        invalidations,
        controllers,
        proposals,
        consents,
        batches,
        imports,
        subjects,
        consent_links,
        renewals,
        proof,
        explanations,
        audit,
        webhooks,
        staff,
        callers,
        signing_keys,
        health,
        openapi,
    )
)
