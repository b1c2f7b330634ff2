"""HTTP/1.x messages read off a socket, kept as the bytes that they are: no more is understood than where they end."""

import socket
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Received:
    """One message: its head up to the empty line, and its body as it came, framing included."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The request line or the status line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, names in lower case."""
        return headers_of(self.head)

    @property
    def keeps_open(self) -> bool:
        """Of a response: whether the connection may be used again."""
        header = self.headers.get("connection", "").lower()
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        return framed and ("keep-alive" in header or ("close" not in header and self.line.startswith("HTTP/1.1")))


def headers_of(head: bytes) -> dict[str, str]:
    """The headers of a head."""
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:] if line)
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def read_request(source: socket.socket, go_on: Callable[[], None]) -> Received | None:
    """The next request, or None when the client has left; `go_on` tells it to send a body that it holds back."""
    reader = _Reader(source)
    head = reader.until(b"\r\n\r\n")
    if not head:
        return None
    headers = headers_of(head)
    if "100-continue" in headers.get("expect", "").lower():
        go_on()
    return Received(head, _body(reader, headers))


def read_response(source: socket.socket) -> Received:
    """The response, without those that only say `100 Continue` before it. Raises OSError when none comes."""
    reader = _Reader(source)
    while True:
        head = reader.until(b"\r\n\r\n")
        if not head:
            raise ConnectionError
        status = head.split(b" ", 2)[1]
        if not status.startswith(b"1"):
            break
    headers = headers_of(head)
    if status in {b"204", b"304"}:
        return Received(head, b"")
    if "content-length" in headers or "transfer-encoding" in headers:
        return Received(head, _body(reader, headers))
    return Received(head, reader.rest())


def _body(reader: "_Reader", headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", "").lower():
        return reader.exactly(int(headers.get("content-length", "0")))
    body = b""
    while True:
        line = reader.until(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + reader.exactly(size + 2)
        if size == 0:
            return body


class _Reader:
    """Reads no further than it is asked to."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source

    def until(self, mark: bytes) -> bytes:
        """Up to and with a mark; nothing when the other side has left before."""
        read = b""
        while not read.endswith(mark):
            part = self._source.recv(1)
            if not part:
                return b""
            read += part
        return read

    def exactly(self, size: int) -> bytes:
        """So many bytes. Raises OSError when the other side leaves before."""
        read = b""
        while len(read) < size:
            part = self._source.recv(size - len(read))
            if not part:
                raise ConnectionError
            read += part
        return read

    def rest(self) -> bytes:
        """All up to the other side's end."""
        return b"".join(iter(lambda: self._source.recv(65536), b""))
