"""Send one webhook to an address that was checked, within bounded time and memory, without following redirects.

The name is resolved once and the connection is made to the address that was checked; Host and SNI keep the name.
Connections are not kept: the next delivery checks again. The body of the answer is not read.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx2

from app.events.addresses import AddressPolicy, ForbiddenUrlError, Resolver, checked, literal, resolve

_ADDRESSES_TRIED: Final = 3
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a receiver may take, in seconds: to connect, between two bytes, and in total."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 20.0


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The result of a request: the status of the answer, or the class of the error; never a message.

    `retry_after` is the delay that the answer asks for, in seconds.
    """

    status: int | None = None
    error: str | None = None
    retry_after: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - what 2xx means

    @property
    def word(self) -> str:
        """How it ended, in one word: `delivered`, a status, or the class of the error."""
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
        """POST a body; every result except cancellation is returned as an outcome."""
        try:
            async with asyncio.timeout(self.patience.total):
                return await self._post(url, headers, body)
        except (TimeoutError, ForbiddenUrlError, httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            return SendOutcome(error=_class_of(error))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> SendOutcome:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
        literals = [host] if literal(host) is not None else await self._resolver(host, port)
        addresses = checked(literals, self._policy, plain_http=parts.scheme == "http")[:_ADDRESSES_TRIED]
        target = parts.path or "/"
        target += f"?{parts.query}" if parts.query else ""
        sent = {"Host": parts.netloc, "Connection": "close", "Accept": "*/*", "User-Agent": "Sceau", **headers}
        wait = self.patience
        timeouts = {"connect": wait.connect, "read": wait.read, "write": wait.read, "pool": wait.total}
        extensions = {"timeout": timeouts, "sni_hostname": host}
        for number, address in enumerate(addresses, 1):
            to = httpx2.URL(scheme=parts.scheme, host=str(address), port=port, raw_path=target.encode("ascii"))
            request = httpx2.Request("POST", to, headers=sent, content=body, extensions=extensions)
            try:
                answer = await self._transport.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if number == len(addresses):
                    raise
                continue
            try:
                return SendOutcome(answer.status_code, retry_after=_seconds(answer.headers.get_list("retry-after")))
            finally:
                await answer.aclose()
        raise ForbiddenUrlError


def _seconds(headers: Sequence[str]) -> int | None:
    """Return a Retry-After in seconds (RFC 9110, section 10.2.3); the form with a date is ignored."""
    seconds = headers[0].strip() if headers else ""
    return int(seconds) if seconds.isascii() and seconds.isdigit() and len(seconds) <= len("86400") else None


def _class_of(error: Exception) -> str:
    """Return the class of an error, in one word of a fixed list: a message could quote a receiver."""
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
