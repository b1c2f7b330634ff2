"""Asks Sceau over HTTP with Twisted's own client: one deadline for all of it, connections kept, nothing logged.

Synapse's client would log the address of each request, at DEBUG its body too, and wait for a minute; this one says
nothing and gives up when it was told to. It asks once: an answer that does not come is no permit.
"""

import secrets
from io import BytesIO
from typing import Final, cast

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as DeadlineError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from sceau_synapse.answers import Unusable

_KEPT_CONNECTIONS: Final = 10
_KEPT_SECONDS: Final = 4
"""Less than the five seconds after which Sceau closes a quiet connection."""
_LARGEST_ANSWER: Final = 4 * 1024 * 1024
_REQUEST_ID: Final = b"X-Request-ID"


class Pdp:
    """Sceau at one address, asked with one key."""

    def __init__(self, reactor: IReactorTime, url: str, key: str, timeout: float) -> None:
        """Keep where and how to ask; `timeout` is in seconds, from the first byte to the last."""
        pool = HTTPConnectionPool(reactor, persistent=True)
        pool.maxPersistentPerHost = _KEPT_CONNECTIONS
        pool.cachedConnectionTimeout = _KEPT_SECONDS
        pool.retryAutomatically = False
        self._agent = Agent(reactor, connectTimeout=timeout, pool=pool)
        self._reactor = reactor
        self._url = url.encode("ascii")
        self._key = key
        self._timeout = timeout

    def ask(self, body: bytes) -> "Deferred[tuple[int, bytes]]":
        """Status and body of the answer to a question.

        Fails with Unusable, whose message names no one, when there is none in time or it belongs to another question.
        """
        asked = ensureDeferred(self._exchange(body))
        asked.addTimeout(self._timeout, self._reactor)
        return asked.addErrback(_as_unusable)

    async def _exchange(self, body: bytes) -> tuple[int, bytes]:
        identifier = secrets.token_hex(16).encode()
        headers = {
            b"Authorization": [f"Bearer {self._key}".encode()],
            b"Content-Type": [b"application/json"],
            b"User-Agent": [b"sceau-synapse"],
            _REQUEST_ID: [identifier],
        }
        response = cast(
            IResponse,
            await self._agent.request(b"POST", self._url, Headers(headers), FileBodyProducer(BytesIO(body))),
        )
        whole = _Whole()
        response.deliverBody(whole)
        answer = await whole.done
        if response.headers.getRawHeaders(_REQUEST_ID) != [identifier]:
            raise Unusable("an answer to another question")
        return response.code, answer


class _Whole(Protocol):
    """Collects a body; one that is too large ends its connection."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._abort())
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  # Twisted's name
        self._size += len(data)
        if self._size > _LARGEST_ANSWER:
            self._abort()
        else:
            self._parts.append(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802  # Twisted's name
        if self.done.called:
            return
        if reason.check(ResponseDone):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(Unusable("cut short"))

    def _abort(self) -> None:
        transport = self.transport
        if transport is not None:
            getattr(transport, "abortConnection", transport.loseConnection)()


def _as_unusable(failure: Failure) -> Failure:
    """An error without its message, which may name addresses or hold what was sent."""
    if failure.check(Unusable):
        return failure
    why = "too slow" if failure.check(DeadlineError, CancelledError) else type(failure.value).__name__
    return Failure(Unusable(why))
