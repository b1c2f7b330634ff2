"""Which service is asked, and how: the checked parameters of both clients."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import httpx2

from sceau_client.words import ExemptPurpose

DEADLINE: Final = 1.0
"""Seconds that a question may take, all in all."""
REFRESH: Final = 60.0
"""Seconds between two fetches of the register."""
NONE_EXEMPT: Final[Mapping[str, ExemptPurpose]] = MappingProxyType({})
_LONGEST_DEADLINE: Final = 60.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """The most connections, how many seconds an idle one is kept, and how they are secured.

    `ssl_context` None trusts what the system trusts; give one for an authority of your own or a client certificate.
    `plain_http` allows http:// beyond this machine, where key and ids travel in clear.
    """

    most: int = 20
    idle_seconds: float = 30.0
    plain_http: bool = False
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)


USUAL: Final = Connections()


@dataclass(frozen=True, slots=True)
class Service:
    """Where Sceau is, and how it is asked; `refresh` None fetches no register."""

    url: httpx2.URL
    key: str = field(repr=False)
    deadline: float
    refresh: float | None
    connections: Connections

    def __post_init__(self) -> None:
        """Refuse invalid numbers."""
        checked_deadline(self.deadline)
        if self.refresh is not None and self.refresh <= 0:
            raise ValueError("the register is fetched every so many seconds, or never (None)")


def service(url: str, key: str, deadline: float, refresh: float | None, connections: Connections) -> Service:
    """Check the parameters of a service.

    Raises:
        ValueError: one of them is invalid.

    """
    return Service(service_url(url, plain_http=connections.plain_http), _key(key), deadline, refresh, connections)


def service_url(text: str, *, plain_http: bool) -> httpx2.URL:
    """Check an address: no user name, query or fragment, and plain http beyond this machine only if allowed."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        raise ValueError("the address of Sceau is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("the address of Sceau is http(s)://host[:port][/path]")
    if url.scheme == "http" and url.host not in _LOOPBACK and not plain_http:
        raise ValueError("key and ids would travel in clear: use https, or say Connections(plain_http=True)")
    return url


def _key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key is empty or holds what no key holds")
    return key


def checked_deadline(seconds: float | None) -> float | None:
    """Check a deadline.

    Raises:
        ValueError: no message could wait for so long.

    """
    if seconds is not None and not 0 < seconds <= _LONGEST_DEADLINE:
        raise ValueError("a deadline is more than 0 and at most 60 seconds")
    return seconds
