"""Which addresses a webhook may be sent to: public ones, and those in networks that the operator allows by name.

This guards against server-side request forgery. The lists are those of IANA's special-purpose registries (RFC 6890 and
later); an address that contains an IPv4 address is judged by that one too.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host name, as text."""

_LONGEST_URL: Final = 2_048
_LOOKUPS_AT_ONCE: Final = 64
_NOT_PUBLIC: Final[Sequence[Network]] = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
    )
)  # fmt: skip
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""Everything outside it is loopback, link-local, unique-local, multicast, mapped, translated or reserved (RFC 4291)."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_lookups = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="resolve")


class ForbiddenUrlError(ValueError):
    """Why a receiver's address is refused: a few words, without the address."""


def parse_networks(words: str) -> tuple[Network, ...]:
    """Parse networks in CIDR form, separated by commas, such as `10.0.0.0/8,fd00::/8`.

    Raises:
        ValueError: one of them is not a network.

    """
    return tuple(ip_network(word.strip()) for word in words.split(",") if word.strip())


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Which addresses may be reached: every public one, and those in the allowed networks."""

    allowed: Sequence[Network] = ()

    @classmethod
    def parse(cls, words: str) -> "AddressPolicy":
        """Parse networks in CIDR form, separated by commas; an empty text allows none.

        Raises:
            ValueError: one of them is not a network.

        """
        return cls(parse_networks(words))

    def allows_by_name(self, address: Address) -> bool:
        """Return whether the operator named a network that holds the address; only these may use plain HTTP."""
        plain = _unwrapped(address)
        return any(plain in network for network in self.allowed)

    def permits(self, address: Address) -> bool:
        """Return whether a connection to the address may be made."""
        return self.allows_by_name(address) or _is_public(_unwrapped(address))


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside a mapped one (RFC 4291), else the address without its zone."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address in _NAT64:  # RFC 6052: a translator turns it into the IPv4 address in its last 32 bits
            return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def check_url(url: str, policy: AddressPolicy) -> None:
    """Refuse a receiver's address to which nothing could ever be delivered. Resolved names are checked when sending.

    Raises:
        ForbiddenUrlError: it is not an http(s) URL, carries a user, a password or a fragment, names an address that may
            not be reached, or is plain HTTP although no network is allowed by name.

    """
    parts = _parts(url)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ForbiddenUrlError("has a user, a password or a fragment")
    address = literal(parts.hostname or "")
    if address is not None and not policy.permits(address):
        raise ForbiddenUrlError("is an address that may not be reached (SCEAU_WEBHOOK_NETWORKS allows more)")
    if parts.scheme == "http" and not (policy.allowed if address is None else policy.allows_by_name(address)):
        raise ForbiddenUrlError("is plain HTTP, which is for networks of SCEAU_WEBHOOK_NETWORKS only: use https")


def _parts(url: str) -> SplitResult:
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url and len(url) <= _LONGEST_URL
    refusal = ForbiddenUrlError(f"is no http(s) URL of at most {_LONGEST_URL} ASCII characters")
    try:
        parts = urlsplit(url)
        usable = plain and parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise refusal from None
    if not usable:
        raise refusal
    return parts


def literal(host: str) -> Address | None:
    """Return the address that a host is written as; None when it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, by this host's resolver, on separate threads: a slow one delays nothing else.

    Raises:
        OSError: the name has no address.

    """
    infos = await asyncio.get_running_loop().run_in_executor(
        _lookups, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    )
    return list(dict.fromkeys(str(each[4][0]) for each in infos))


def checked(literals: Iterable[str], policy: AddressPolicy, *, plain_http: bool) -> list[Address]:
    """Return the addresses of one look-up, if every one of them may be reached: a mixed answer is refused whole.

    Raises:
        ForbiddenUrlError: one may not be reached, or is for plain HTTP and in no network allowed by name; or there is
            none.

    """
    addresses = [ip_address(each) for each in literals]
    if not addresses or not all(policy.permits(each) for each in addresses):
        raise ForbiddenUrlError("forbidden_address")
    if plain_http and not all(policy.allows_by_name(each) for each in addresses):
        raise ForbiddenUrlError("plain_http")
    return addresses
