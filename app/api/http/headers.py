"""The security headers of every answer, in one place: the API's, and what documents for people have beside them.

The connection writes the same ones as prepared bytes (`app.api.decisions.words`). A route may set one for itself, as
the API page does with its Content-Security-Policy; nothing takes one away. There is no CORS header anywhere: pages of
other origins read nothing here.
"""

from collections.abc import Mapping
from typing import Final

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer has, whatever it is: a browser that is made to show JSON runs, loads and frames nothing."""

DOCUMENT_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), usb=()"
    ),
    "X-Frame-Options": "DENY",
}
"""What pages have beside those: they need no device, stand in no frame, and share no window with another origin."""

_STRICT_TRANSPORT: Final = {"Strict-Transport-Security": "max-age=31536000"}
"""For a year, this host alone: its other names and subdomains are not ours to speak for (RFC 6797)."""


def headers_of_every_answer(public_url: str) -> Mapping[str, str]:
    """The headers of a deployment that is reached at that address: where it is https, nothing else is to be tried."""
    return {**SECURITY_HEADERS, **_STRICT_TRANSPORT} if public_url.startswith("https:") else SECURITY_HEADERS
