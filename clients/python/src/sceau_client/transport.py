"""Requests over HTTP, each within one deadline for waiting, look-up of names, TLS, sending and reading.

No redirect is followed, no proxy of the environment used, no cookie kept, no compressed answer taken, no answer read
past its bound, none believed that does not carry the request's own id: an answer to somebody else's question on a
connection that got out of step is no answer. A connection that dies before it answered is tried once more: a decision
changes nothing, so that it may be asked twice.
"""

import asyncio
import os
import secrets
import ssl
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import httpx2

from sceau_client.service import Service
from sceau_client.version import __version__
from sceau_client.wire import NoReply, Reply
from sceau_client.words import Cause

_TOO_MANY: Final = 429
_LONGEST_HOLD_SECONDS: Final = 60.0
_ATTEMPTS: Final = 2


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and how large its answer may be."""

    method: str
    path: str
    largest_answer: int
    body: bytes | None = field(default=None, repr=False)


class Transport:
    """Sends requests to one service with one key, from one event loop."""

    def __init__(self, service: Service) -> None:
        """Prepare, without connecting yet."""
        self._service = service
        self._http = self._connected()
        self._process = os.getpid()
        self._held_until = 0.0

    async def send(self, request: Request, until: float) -> Reply | NoReply:
        """The reply by an instant of the event loop's clock. It raises nothing if the network fails."""
        identifier = secrets.token_hex(16)
        try:
            async with asyncio.timeout_at(until):
                reply = await self._attempted(request, identifier)
        except TimeoutError:
            return NoReply(Cause.TIMEOUT, identifier)
        if reply.status == _TOO_MANY and reply.retry_after is not None:
            self._held_until = time.monotonic() + min(reply.retry_after, _LONGEST_HOLD_SECONDS)
        return reply

    @property
    def held(self) -> float:
        """For how many seconds Sceau wants no questions that it counts (429)."""
        return self._held_until - time.monotonic()

    async def close(self) -> None:
        """Close the connections."""
        if self._process == os.getpid():
            await self._http.aclose()

    async def _attempted(self, request: Request, identifier: str) -> Reply | NoReply:
        for attempt in range(_ATTEMPTS):
            try:
                response = await self._pool().handle_async_request(self._made(request, identifier))
            except httpx2.ConnectError:
                break
            except (httpx2.TransportError, OSError):
                if attempt + 1 == _ATTEMPTS:
                    break
                continue
            return await _read(response, request.largest_answer, identifier)
        return NoReply(Cause.UNAVAILABLE, identifier)

    def _pool(self) -> httpx2.AsyncHTTPTransport:
        if self._process != os.getpid():
            # After a fork the sockets are the parent's: two processes on one connection read each other's answers.
            self._http = self._connected()
            self._process = os.getpid()
        return self._http

    def _connected(self) -> httpx2.AsyncHTTPTransport:
        most, idle = self._service.connections.most, self._service.connections.idle_seconds
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=idle)
        verify: ssl.SSLContext | bool = self._service.connections.ssl_context or True
        if self._service.url.scheme == "http":
            verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and quicker made
        return httpx2.AsyncHTTPTransport(verify=verify, limits=limits)

    def _made(self, request: Request, identifier: str) -> httpx2.Request:
        headers = {
            "Authorization": f"Bearer {self._service.key}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"sceau-client/{__version__}",
            "X-Request-ID": identifier,
        }
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        url = self._service.url.copy_with(path=self._service.url.path.rstrip("/") + request.path)
        return httpx2.Request(request.method, url, headers=headers, content=request.body)


async def _read(response: httpx2.Response, largest: int, identifier: str) -> Reply | NoReply:
    """The whole answer, if it belongs to this request."""
    headers, status = response.headers, response.status_code
    retry_after = _seconds(headers.get("retry-after", ""))
    body = bytearray()
    try:
        if headers.get("x-request-id") != identifier or "content-encoding" in headers:
            return NoReply(_cause_of_stranger(status), identifier, status, retry_after)
        async with aclosing(response.aiter_raw()) as parts:
            async for part in parts:
                body += part
                if len(body) > largest:
                    return NoReply(Cause.MALFORMED, identifier, status)
    except (httpx2.TransportError, OSError):
        return NoReply(Cause.UNAVAILABLE, identifier, status)
    finally:
        await response.aclose()
    return Reply(status, headers.get("content-type", ""), retry_after, identifier, bytes(body))


def _cause_of_stranger(status: int) -> Cause:
    """The cause if a proxy answered in the service's place, which may mean that the service is away."""
    return Cause.UNAVAILABLE if status >= httpx2.codes.INTERNAL_SERVER_ERROR else Cause.MALFORMED


def _seconds(text: str) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3); a date is not used."""
    return float(text) if text.isascii() and text.isdecimal() and len(text) < len("100000") else None
