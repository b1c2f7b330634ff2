"""Where a page may send people back to: addresses of origins that the operator has listed, and of no other.

Addresses are parsed by pydantic's URL type, which follows the URL Living Standard as browsers do, so that what is
checked is what a browser would open. An origin is scheme, host and port (RFC 6454); it is compared whole.
"""

from typing import Final

from pydantic import HttpUrl, TypeAdapter, ValidationError

Origins = frozenset[str]

_URL: Final = TypeAdapter(HttpUrl)
_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})


def parse_origins(text: str) -> Origins:
    """Origins separated by commas: `https://mail.example.fr,https://www.example.fr:8443`.

    Raises:
        ValueError: one is no origin, or neither https nor of this machine.

    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    urls = [_parsed(part) for part in parts]
    if any(url is None or url.path not in {None, "/"} or url.query is not None or url.fragment for url in urls):
        raise ValueError
    return frozenset(_origin(url) for url in urls if url is not None)


def listed_address(address: str, origins: Origins) -> str | None:
    """An address as it is kept, if its origin is listed; None for anything else."""
    url = _parsed(address)
    kept = str(url) if url is not None and _origin(url) in origins else None
    return kept if listed_host(kept, origins) is not None else None  # percent-encoded, it may have become too long


def listed_host(address: str | None, origins: Origins) -> str | None:
    """The host of a kept address, as people are told it; None where there is none, or its origin is not listed."""
    url = _parsed(address) if address is not None else None
    return url.host if url is not None and _origin(url) in origins else None


def _parsed(address: str) -> HttpUrl | None:
    try:
        url = _URL.validate_python(address)
    except ValidationError:
        return None
    if url.username is not None or url.password is not None:
        return None
    safe = url.scheme == "https" or (url.scheme == "http" and url.host in _LOOPBACK)
    return url if safe else None


def _origin(url: HttpUrl) -> str:
    return f"{url.scheme}://{url.host}:{url.port}"
