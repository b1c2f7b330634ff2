"""Problems at the addresses of pages, as pages: whoever opens them in a browser reads no problem document.

The routes of pages answer with pages by themselves. What is refused before a route is found, or by no route at all
(404, 405, 408, 413, 429, 500, 503), comes as a problem document, and is exchanged here on its way out.
"""

from collections.abc import Callable, Mapping
from typing import Final

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from app.api.http.problems import MEDIA_TYPE

ErrorPage = Callable[[Request, int, Mapping[str, str] | None], Response]
"""Makes the page of a status; `app.pages` has it, and `app.main` hands it in."""

_PAGES: Final = ("/consent", "/dashboard", "/staff")
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
