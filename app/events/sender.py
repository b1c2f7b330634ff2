"""Send one webhook: to an address that was checked, within bounded time and memory, following nothing.

The name is resolved once and the connection is made to the address that was checked; Host and SNI keep the name.
Connections are not kept: the next delivery checks again. The body of the answer is not read.
"""

import asyncio
import base64
import hmac
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, or_, select, update

from app.db.session import ReadSession, WriteSession
from app.events.addresses import Address, AddressPolicy, ForbiddenUrlError, Resolver, checked, literal, resolve
from app.events.effects import ENDING
from app.events.feed import OutboxEvent
from app.events.tables import webhook_secret
from app.keyring import WrappedKey

MEDIA_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
"""Of a body in structured content mode (CloudEvents HTTP protocol binding 1.0.2, section 3.2)."""


@dataclass(frozen=True, slots=True)
class KnownSubject:
    """One name of the person whom an event is about, as a receiver that asked for it is told."""

    type: str
    id: str

    def __repr__(self) -> str:
        """The type alone."""
        return f"KnownSubject(type={self.type!r})"


def cloud_event(
    event: OutboxEvent,
    source: str,
    *,
    names: Sequence[KnownSubject] | None = None,
    receiver: UUID | None = None,
) -> dict[str, Any]:
    """An event in the JSON event format.

    Args:
        event: as written to the outbox.
        source: where it comes from: the public address of this deployment.
        names: who it is about, for receivers that are told: every name of the person, the first one first, and none
            once they were erased; None leaves the members out.
        receiver: the endpoint that it is sent to, an extension attribute: one signature then is good for one receiver,
            which could else hand the message on to another as if it came from here. None leaves it out.

    """
    data: dict[str, Any] = dict(event.data)
    if event.type in ENDING:
        data["effects"] = ["stop", "erase_derived_data"]
    if names is not None:
        told = [{"type": each.type, "id": each.id} for each in names]
        data["subject"] = told[0] if told else None
        if told[1:]:
            data["other_names"] = told[1:]
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source,
        "type": event.type,
        "time": event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **({"receiver": str(receiver)} if receiver is not None else {}),
        "data": data,
    }


EXAMPLE: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
    "source": "https://sceau.example.fr",
    "type": "fr.sceau.consent.granted",
    "time": "2026-03-09T09:30:00.000000Z",
    "datacontenttype": "application/json",
    "data": {"consent": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e10", "processing": "ads-mail"},
}


# How deliveries are signed (Standard Webhooks), and the secrets by which they are.

PUBLIC_PREFIX: Final = "whpk_"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins, not one


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What signs a message: raw Ed25519 private keys (32 bytes each) and symmetric secrets, the newest first."""

    private_keys: Sequence[bytes] = field(repr=False)
    secrets: Sequence[bytes] = field(default=(), repr=False)


def public_text(raw: bytes) -> str:
    """A public key as the standard writes it: `whpk_` and base64."""
    return PUBLIC_PREFIX + base64.b64encode(raw).decode()


def secret_text(raw: bytes) -> str:
    """A symmetric secret as the standard writes it: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def signature_headers(keys: SigningKeys, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message.

    Args:
        keys: what signs it.
        message: the id of the event, the same at each attempt; it holds no full stop.
        timestamp: when this attempt is made, in whole seconds since 1970.
        body: exactly what is sent.

    """
    signed = f"{message}.{timestamp}.".encode() + body
    made = [f"v1,{_text(hmac.digest(secret, signed, sha256))}" for secret in keys.secrets]
    made += [f"v1a,{_text(Ed25519PrivateKey.from_private_bytes(key).sign(signed))}" for key in keys.private_keys]
    return {"webhook-id": message, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(made)}


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


async def add_secret(session: WriteSession, endpoint: UUID, secret: WrappedKey, *, retire: datetime) -> None:
    """Keep a new symmetric secret of an endpoint; the ones before sign until an instant."""
    columns = webhook_secret.c
    before = update(webhook_secret).where(columns.endpoint == endpoint, columns.retires_at.is_(None))
    await session.execute(before.values(retires_at=retire))
    values: dict[str, Any] = {
        "endpoint": endpoint,
        "id": secret.id,
        "master_key_id": secret.master_key_id,
        "wrapped_secret": secret.wrapped,
        "created_at": secret.created_at,
    }
    await session.execute(insert(webhook_secret).values(values))


async def secrets_in_force(session: ReadSession, endpoints: Iterable[UUID], now: datetime) -> list[WrappedKey]:
    """The symmetric secrets of some endpoints that are in force, the newest first."""
    columns = webhook_secret.c
    in_force = or_(columns.retires_at.is_(None), columns.retires_at > now)
    statement = select(webhook_secret).where(columns.endpoint.in_(list(endpoints)), in_force)
    found = await session.execute(statement.order_by(columns.created_at.desc()))
    return [WrappedKey(row.id, row.master_key_id, row.wrapped_secret, row.created_at, row.retires_at) for row in found]


_ADDRESSES_TRIED: Final = 3
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a receiver may take, in seconds: to be connected to, between two bytes, and in all."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 20.0


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of a request: the status of the answer, or the class of what went wrong; never a message.

    `retry_after` is what the answer asks for, in seconds.
    """

    status: int | None = None
    error: str | None = None
    retry_after: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - what 2xx means

    @property
    def word(self) -> str:
        """How it ended, in one word: `delivered`, a status, or the class of what went wrong."""
        return "delivered" if self.delivered else self.error or str(self.status)


class Sender:
    """Posts bodies to receivers."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        patience: Patience | None = None,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare; proxies and credentials of the environment are not used."""
        self._policy = policy
        self.patience = patience or Patience()
        self._resolver = resolver
        self._transport = httpx2.AsyncHTTPTransport(
            verify=tls or ssl.create_default_context(),
            trust_env=False,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._transport.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> SendOutcome:
        """POST a body; whatever happens is an outcome, but for cancellation."""
        try:
            async with asyncio.timeout(self.patience.total):
                return await self._post(url, headers, body)
        except (TimeoutError, ForbiddenUrlError, httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            return SendOutcome(error=_class_of(error))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> SendOutcome:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
        found = [host] if literal(host) is not None else await self._resolver(host, port)
        addresses = checked(found, self._policy, plain_http=parts.scheme == "http")[:_ADDRESSES_TRIED]
        target = parts.path or "/"
        target += f"?{parts.query}" if parts.query else ""
        sent = {"Host": parts.netloc, "Connection": "close", "Accept": "*/*", "User-Agent": "Sceau", **headers}
        for number, address in enumerate(addresses, 1):
            request = self._request(parts.scheme, address, port, target, sent, body, host)
            try:
                return await self._send(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise ForbiddenUrlError

    def _request(  # noqa: PLR0917 - the parts of one URL
        self, scheme: str, address: Address, port: int, target: str, headers: Mapping[str, str], body: bytes, host: str
    ) -> httpx2.Request:
        url = httpx2.URL(scheme=scheme, host=str(address), port=port, raw_path=target.encode("ascii"))
        wait = self.patience
        timeouts = {"connect": wait.connect, "read": wait.read, "write": wait.read, "pool": wait.total}
        extensions = {"timeout": timeouts, "sni_hostname": host}
        return httpx2.Request("POST", url, headers=dict(headers), content=body, extensions=extensions)

    async def _send(self, request: httpx2.Request) -> SendOutcome:
        answer = await self._transport.handle_async_request(request)
        try:
            return SendOutcome(status=answer.status_code, retry_after=_seconds(answer.headers.get_list("retry-after")))
        finally:
            await answer.aclose()


def _seconds(said: Sequence[str]) -> int | None:
    """A Retry-After in seconds (RFC 9110, section 10.2.3); the form with a date is not used."""
    given = said[0].strip() if said else ""
    return int(given) if given.isascii() and given.isdigit() and len(given) <= len("86400") else None


def _class_of(error: Exception) -> str:
    """What went wrong, in one word of this list: a message could quote a receiver."""
    if isinstance(error, ForbiddenUrlError):
        return "plain_http" if str(error) == "plain_http" else "forbidden_address"
    if isinstance(error, httpx2.ConnectError) and _is_tls(error):
        return "tls"
    kinds: tuple[tuple[str, type[Exception] | tuple[type[Exception], ...]], ...] = (
        ("timeout", (TimeoutError, httpx2.TimeoutException)),
        ("connect", httpx2.ConnectError),
        ("protocol", httpx2.RemoteProtocolError),
        ("transport", (httpx2.HTTPError, httpx2.InvalidURL)),
        ("resolve", (OSError, UnicodeError)),
    )
    return next(word for word, kind in kinds if isinstance(error, kind))


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
