"""A second reader of HTTP/1.1: what the bytes that were sent on a connection are, by `h11`.

The service reads with `httptools`; the two share nothing.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import h11

_LONGEST: Final = 65_536
_ANSWER: Final = h11.Response(status_code=400, headers=[("Content-Length", "0")])


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as it was read; `closes`: the connection ends with its answer. `query` None: it has no "?".

    Of a field that stands twice the first counts, but for Accept, which is a list.
    """

    method: str
    path: str
    version: str
    authorization: str | None
    content_type: str | None
    accept: str
    request_id: str | None
    body: bytes
    query: str | None
    closes: bool

    @property
    def holds_nul(self) -> bool:
        """Whether its query holds a NUL, for which it is refused whatever else it says."""
        return "%00" in (self.query or "")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands there is no request."""

    why: str


@dataclass(slots=True)
class SecondReader:
    """Reads what is sent on one connection. Nothing is read after what is no request, or after the last one.

    `over`: nothing more is. `excess`: something was sent all the same.
    """

    over: bool = False
    excess: bool = False
    _connection: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST)
    )
    _request: h11.Request | None = None
    _body: bytes = b""

    @property
    def idle(self) -> bool:
        """Whether nothing of a next request was sent."""
        return not self.over and self._request is None and not self._connection.trailing_data[0]

    def read(self, data: bytes) -> list[Heard | Unreadable]:
        """What has become whole by these bytes."""
        found: list[Heard | Unreadable] = []
        if self.over:
            self.excess = True
            return found
        try:
            self._feed(data)
            while not self.over:
                event = self._connection.next_event()
                if event is h11.NEED_DATA:
                    break
                if isinstance(event, h11.Request):
                    self._request, self._body = event, b""
                elif isinstance(event, h11.Data):
                    self._body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    found.append(self._whole())
                else:
                    break
        except h11.RemoteProtocolError as error:
            self.over = True
            found.append(Unreadable(str(error)))
        return found

    def _feed(self, data: bytes) -> None:
        """Go on; empty lines before a request mean nothing (RFC 9112, section 2.2), which h11 does not know."""
        data = data.lstrip(b"\r\n") if self.idle else data
        if data:  # to h11 no data is the end of the connection
            self._connection.receive_data(data)

    def _whole(self) -> Heard:
        """The request that has just ended; the reader is made ready for the next."""
        request, connection = self._request, self._connection
        assert request is not None
        connection.send(_ANSWER)
        connection.send(h11.EndOfMessage())
        self.over = connection.our_state is not h11.DONE
        rest = connection.trailing_data[0]
        self.excess = self.over and bool(rest)
        if not self.over:
            self._connection = _connection()
        self._request = None
        if not self.over:
            self._feed(rest)
        return _heard(request, self._body, closes=self.over)


def _connection() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST)


def _heard(request: h11.Request, body: bytes, *, closes: bool) -> Heard:
    fields = [(name.decode(), value.decode("latin-1")) for name, value in request.headers]
    first = dict(reversed(fields))
    target = request.target.decode("latin-1")
    if target.lower().startswith("http://"):
        target = "/" + target[len("http://") :].partition("/")[2]
    path, mark, query = target.partition("?")
    return Heard(
        method=request.method.decode(),
        path=unquote(path),
        version=request.http_version.decode(),
        authorization=first.get("authorization"),
        content_type=first.get("content-type"),
        accept=",".join(value for name, value in fields if name == "accept"),
        request_id=first.get("x-request-id"),
        body=body,
        query=query if mark else None,
        closes=closes,
    )
