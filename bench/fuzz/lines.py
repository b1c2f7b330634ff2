"""Connections as a client keeps them: bytes sent in any pieces, answers read one by one, each as it came."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from bench.fuzz.reading import SecondReader

SECONDS = 10.0
"""How long an answer may take; the service's own deadline is shorter."""
_NARROW, _WIDE = 4_096, 65_536


class NoAnswerError(Exception):
    """The connection ended, or nothing came in time, or what came is no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, its fields by their names in lower case, its body."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends."""
        return self.fields.get("connection", "").lower() == "close"


@dataclass(slots=True)
class Line:
    """One connection; `heard` follows what was sent on it, as another reader reads it.

    `clean`: the next answer on it is that to the next request. `odd`: something was sent that may be refused.
    `may_end`: something that may be refused was answered as if it were usual; when the rest of it comes, the connection
    may end. `used`: when it was put by, by CLOCK_MONOTONIC.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: SecondReader = field(default_factory=SecondReader)
    sent: bytes = b""
    clean: bool = True
    odd: bool = False
    may_end: bool = False
    used: float = 0.0

    @classmethod
    async def open(cls, port: int, *, narrow: bool = False) -> Self:
        """Connect to a port of this machine; a narrow connection takes few bytes before it is read."""
        made = socket.socket()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if narrow:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
        made.settimeout(0)
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=made, limit=_NARROW if narrow else _WIDE)
        return cls(reader, writer)

    async def send(self, data: bytes, cuts: Sequence[int], pause: float) -> None:
        """Send bytes in pieces, cut there. A service that has closed is no error: it may have refused.

        Nothing waits for the service to read them: it may be waiting for its answers to be read.
        """
        self.sent += data
        with suppress(OSError):
            start = 0
            for end in (*cuts, len(data)):
                self.writer.write(data[start:end])
                start = end
                if start < len(data):
                    await asyncio.sleep(pause)

    def end(self) -> None:
        """Close this half of the connection."""
        with suppress(OSError):
            self.writer.write_eof()

    async def answer(self) -> Answer:
        """The next answer; interim ones (1xx) are passed over.

        Raises:
            NoAnswerError: there is none.

        """
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    found = await self._answer()
                    if found.status >= 200:  # noqa: PLR2004 - HTTP
                        return found
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, KeyError) as error:
            raise NoAnswerError(type(error).__name__) from None

    async def _answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        status = int(first.removeprefix("HTTP/1.1 ")[:3])
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        interim = status < 200  # noqa: PLR2004 - HTTP
        body = b"" if interim else await self.reader.readexactly(int(fields["content-length"]))
        return Answer(status, fields, body)

    async def rest(self, seconds: float) -> bytes | None:
        """What comes until the service closes; None if it has not closed in that time and nothing came."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read()
        except (TimeoutError, OSError):
            return None

    def early(self) -> bytes:
        """What has come although nothing is waited for."""
        return bytes(self.reader._buffer)  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other look

    def close(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()
