"""The address that a request comes from: it bounds requests without a key in force. It is never logged or kept.

Behind a proxy all requests come from the proxy. A proxy that SCEAU_TRUSTED_PROXIES names may say for whom it asks
(X-Forwarded-For): the last address in that list that is not a trusted proxy's.
"""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_network
from typing import Final

from starlette.types import Scope

from app.events.addresses import Address, Network, literal

Proxies = Sequence[Network]

_ONE_SITE: Final = 64
"""Bits of an IPv6 address that tell one site from another: one site holds all of the rest."""
_LONGEST_LIST: Final = 20


def peer_of(scope: Scope, proxies: Proxies) -> str:
    """The address that a request comes from; of IPv6 the site; "" on a local socket."""
    client = scope.get("client")
    address = _address(client[0]) if client else None
    if address is None:
        return client[0] if client else ""
    if proxies and _is_one(address, proxies):
        listed = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
        for forwarded in reversed(listed.split(",")[-_LONGEST_LIST:]):  # the nearest proxy added the last
            before = _address(forwarded)
            if before is None:
                break
            address = before
            if not _is_one(address, proxies):
                break
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _ONE_SITE), strict=False))
    return str(address)


def _address(text: str) -> Address | None:
    address = literal(text.strip())
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_one(address: Address, proxies: Proxies) -> bool:
    return any(address in network for network in proxies)
