"""What a client accepts, and what browsers are told: media types, pages for people, heads of documents."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from app.api.http.problems import MEDIA_TYPE

# Which of the media types that can be sent a client would rather have.
# Quality values and precedence as in RFC 9110, section 12.5.1. What is offered first is chosen on a draw, and where
# the client takes none (the section lets a server send what it has).

_LONGEST: Final = 1_024
_WEIGHT: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)
_HINTS: Final = ("charset=", "profile=")
"""Parameters that a type is offered with all the same; `profile` is a hint of JSON-LD."""


def preferred(accept: str, offered: tuple[str, ...]) -> str:
    """The type that is worth most to the client.

    Args:
        accept: the value of its Accept field, several joined by commas; empty when there is none.
        offered: what can be sent, without parameters, the usual one first.

    """
    return _preferred(accept, offered) if len(accept) <= _LONGEST else offered[0]


@lru_cache(maxsize=256)
def _preferred(accept: str, offered: tuple[str, ...]) -> str:
    ranges = dict(_ranges(accept))
    return max(offered, key=lambda each: _quality(ranges, each))


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range with its weight. One with parameters of its own is no type that is offered."""
    for each in accept.split(","):
        name, *parameters = (part.strip() for part in each.split(";"))
        own = [parameter for parameter in parameters if parameter and not parameter.lower().startswith("q=")]
        weights = [parameter for parameter in parameters if parameter.lower().startswith("q=")]
        if any(not parameter.lower().startswith(_HINTS) for parameter in own):
            continue
        weight = _WEIGHT.fullmatch(weights[0]) if weights else None
        if weights and weight is None:
            continue  # no weight at all: the range says nothing
        yield name.lower(), float(weight[1]) if weight is not None else 1.0


def _quality(ranges: dict[str, float], offered: str) -> float:
    """The weight of the most specific range that covers a type; 0 where none does."""
    from_exact_to_any = (offered, f"{offered.partition('/')[0]}/*", "*/*")
    return next((ranges[each] for each in from_exact_to_any if each in ranges), 0.0)


# Problems at the addresses of pages, as pages: whoever opens them in a browser reads no problem document.
# The routes of pages answer with pages by themselves. What is refused before a route is found, or by no route at all
# (404, 405, 408, 413, 429, 500, 503), comes as a problem document, and is exchanged here on its way out.

ErrorPage = Callable[[Request, int, Mapping[str, str] | None], Response]
"""Makes the page of a status; `app.pages` has it, and `app.main` hands it in."""

_PAGES: Final = ("/consent", "/console", "/staff")
_FOR_PROGRAMS: Final = (
    *("/access/", "/v1/", "/.well-known/", "/assets/", "/docs", "/openapi.json"),
    *("/metrics", "/livez", "/readyz"),
)
_READS: Final = frozenset({"GET", "HEAD"})
_KEPT: Final = ("allow", "retry-after", "connection", "ratelimit", "ratelimit-policy")
_HTML: Final = "text/html"


def wants_page(scope: Scope) -> bool:
    """Whether a problem at this address is for a person to read.

    Below the addresses of pages always, unless the client asks for JSON and not for HTML; at `/` where it asks for
    HTML, and at addresses that nothing answers, where it only reads: what is sent to them comes from a program.
    """
    path: str = scope["path"]
    if path.startswith(_FOR_PROGRAMS):  # nearly every request: nothing else is read
        return False
    headers = Headers(scope=scope)
    accept = headers.get("accept", "").lower()
    browses = _HTML in accept or headers.get("sec-fetch-mode") == "navigate"
    if any(path == page or path.startswith(f"{page}/") for page in _PAGES):
        return browses or "json" not in accept
    return browses and (path == "/" or scope["method"] in _READS)


class ForPeople:
    """Sends an answer on; a problem document is replaced by a page."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, page: ErrorPage) -> None:
        """Stand between the application and `send`."""
        self._scope, self._receive, self._send, self._page = scope, receive, send, page
        self._replaced = False

    async def send(self, message: Message) -> None:
        """Send a message on, or the page in its place."""
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if headers.get("content-type", "").startswith(MEDIA_TYPE):
                self._replaced = True
                kept = {name: headers[name] for name in _KEPT if name in headers}
                page = self._page(Request(self._scope), message["status"], kept)
                await page(self._scope, self._receive, self._send)
        if not self._replaced:
            await self._send(message)
