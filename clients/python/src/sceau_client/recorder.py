"""Record with Sceau what people decide: `Recorder` waits, `AsyncRecorder` is awaited.

A write that got no answer is sent once more under the same key of idempotency, so that it is made once. Each method
takes that key: give it the one of an `UnknownRecordError`, or one of your own that you keep until you have an answer.
Only a link may be made twice: of the one whose answer was lost, nobody knows the address.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Self

import httpx2

from sceau_client.questions import User
from sceau_client.records import (
    Link,
    Order,
    Recorded,
    Withdrawn,
    consent_order,
    link,
    link_order,
    recorded,
    told_by,
    withdrawal_order,
    withdrawn,
)
from sceau_client.service import USUAL, Connections, Service, service
from sceau_client.version import __version__
from sceau_client.words import Element

TIMEOUT: Final = 10.0
"""Seconds that each of the two attempts may take: a write waits until no worker relies on what it ends."""
_ATTEMPTS: Final = 2


class Recorder:
    """Records over kept connections, from any thread. `with` it, or `close` it at the end."""

    def __init__(self, url: str, key: str, *, timeout: float = TIMEOUT, connections: Connections = USUAL) -> None:
        """Prepare to record at `url` with a key of the scope `consents:write`; nothing is sent yet.

        Raises:
            ValueError: the address, the key or the time-out is invalid.

        """
        where = service(url, key, timeout, None, connections)
        self._http = httpx2.Client(**_connected(where))

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def grant(
        self,
        user: User,
        processing: str,
        evidence: Mapping[str, Any],
        *,
        collected_at: datetime,
        version: int | None = None,
        elements: Collection[Element] = (),
        capacity: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded:
        """Record that a user consented; `evidence` as `POST /v1/consents` has it. It counts when this returns.

        Raises:
            RefusedRecordError: nothing was recorded.
            UnknownRecordError: it is not known whether it was recorded; repeat it with the error's `idempotency_key`.

        """
        return recorded(
            self._send(
                consent_order(
                    user, processing, "granted", evidence,
                    collected_at=collected_at, version=version, elements=elements, capacity=capacity,
                    key=idempotency_key,
                )
            )
        )  # fmt: skip

    def refuse(
        self, user: User, processing: str, evidence: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Recorded:
        """Record that a user refused; raises as `grant` does."""
        return recorded(self._send(_refusal(user, processing, evidence, idempotency_key)))

    def withdraw(
        self,
        user: User,
        processing: str | None = None,
        *,
        method: str | None = None,
        idempotency_key: str | None = None,
    ) -> Withdrawn:
        """Record that a user withdrew, from one processing or from all. No worker permits any more when this returns.

        Raises as `grant` does.
        """
        return withdrawn(self._send(withdrawal_order(user, processing, method, idempotency_key)))

    def link(
        self,
        user: User,
        processings: Collection[str] = (),
        *,
        authentication: str,
        kind: str = "decide",
        by_person: bool = False,
        request_reference: str | None = None,
        idempotency_key: str | None = None,
    ) -> Link:
        """Make a link to the consent page; the words are those of `POST /v1/consent-links`. Raises as `grant` does."""
        return link(
            self._send(
                link_order(
                    user,
                    processings,
                    authentication,
                    kind,
                    by_person=by_person,
                    request_reference=request_reference,
                    key=idempotency_key,
                )
            )
        )

    def _send(self, order: Order) -> Mapping[str, Any]:
        cause = ""
        for _ in range(_ATTEMPTS):
            try:
                answer = self._http.post(**order.request())
            except httpx2.TransportError as error:
                cause = type(error).__name__
            else:
                return told_by(order, answer.status_code, answer.content)
        raise order.unknown(f"Sceau did not answer ({cause})")


class AsyncRecorder:
    """Like `Recorder`, for one event loop. Use it with `async with`, or `close` it at the end."""

    def __init__(self, url: str, key: str, *, timeout: float = TIMEOUT, connections: Connections = USUAL) -> None:
        """See `Recorder`, whose parameters these are."""
        where = service(url, key, timeout, None, connections)
        self._http = httpx2.AsyncClient(**_connected(where))

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def grant(
        self,
        user: User,
        processing: str,
        evidence: Mapping[str, Any],
        *,
        collected_at: datetime,
        version: int | None = None,
        elements: Collection[Element] = (),
        capacity: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Recorded:
        """See `Recorder.grant`."""
        return recorded(
            await self._send(
                consent_order(
                    user, processing, "granted", evidence,
                    collected_at=collected_at, version=version, elements=elements, capacity=capacity,
                    key=idempotency_key,
                )
            )
        )  # fmt: skip

    async def refuse(
        self, user: User, processing: str, evidence: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Recorded:
        """See `Recorder.refuse`."""
        return recorded(await self._send(_refusal(user, processing, evidence, idempotency_key)))

    async def withdraw(
        self,
        user: User,
        processing: str | None = None,
        *,
        method: str | None = None,
        idempotency_key: str | None = None,
    ) -> Withdrawn:
        """See `Recorder.withdraw`."""
        return withdrawn(await self._send(withdrawal_order(user, processing, method, idempotency_key)))

    async def link(
        self,
        user: User,
        processings: Collection[str] = (),
        *,
        authentication: str,
        kind: str = "decide",
        by_person: bool = False,
        request_reference: str | None = None,
        idempotency_key: str | None = None,
    ) -> Link:
        """See `Recorder.link`."""
        return link(
            await self._send(
                link_order(
                    user,
                    processings,
                    authentication,
                    kind,
                    by_person=by_person,
                    request_reference=request_reference,
                    key=idempotency_key,
                )
            )
        )

    async def _send(self, order: Order) -> Mapping[str, Any]:
        cause = ""
        for _ in range(_ATTEMPTS):
            try:
                answer = await self._http.post(**order.request())
            except httpx2.TransportError as error:
                cause = type(error).__name__
            else:
                return told_by(order, answer.status_code, answer.content)
        raise order.unknown(f"Sceau did not answer ({cause})")


def _refusal(user: User, processing: str, evidence: Mapping[str, Any], key: str | None) -> Order:
    return consent_order(
        user, processing, "refused", evidence, collected_at=None, version=None, elements=(), capacity=None, key=key
    )


def _connected(where: Service) -> dict[str, Any]:
    most, idle = where.connections.most, where.connections.idle_seconds
    return {
        "base_url": where.url,
        "headers": {
            "Authorization": f"Bearer {where.key}",
            "Accept": "application/json",
            "User-Agent": f"sceau-client/{__version__}",
        },
        "timeout": where.deadline,
        "follow_redirects": False,
        "trust_env": False,
        "verify": where.connections.ssl_context or True,
        "limits": httpx2.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=idle),
    }
