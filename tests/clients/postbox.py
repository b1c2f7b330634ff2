"""Where letters are handed on: an SMTP server on loopback that keeps what it is given, and refuses as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_EXTENSIONS: Final = "250-here\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"


class Handed(NamedTuple):
    """One letter: what was said of it, and its lines as they came."""

    sender: str
    recipients: list[str]
    lines: bytes
    options: str


@dataclass
class Postbox:
    """What came; whom it does not take now, and how it says so; what it says to farewells."""

    port: int = 0
    letters: list[Handed] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    farewell: str = "221 bye"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session."""
        sender, options, recipients = "", "", list[str]()
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode():
            verb, answer = line[:4].upper(), "250 fine\r\n"
            if verb == "EHLO":
                answer = _EXTENSIONS
            if verb == "MAIL":
                sender, options, recipients = _address(line), line.rpartition(">")[2].strip(), []
            if verb == "RCPT":
                answer = f"{self.refused.get(_address(line), '250 fine')}\r\n"
                recipients += [_address(line)] if answer.startswith("250") else []
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                self.letters.append(Handed(sender, recipients, await reader.readuntil(b"\r\n.\r\n"), options))
            writer.write(answer.encode() if verb != "QUIT" else f"{self.farewell}\r\n".encode())
            if verb == "QUIT":
                break
        writer.close()


def _address(line: str) -> str:
    return line.split("<", 1)[1].split(">", 1)[0]


@asynccontextmanager
async def postbox() -> AsyncIterator[Postbox]:
    """A postbox that listens for as long as the block lasts."""
    made = Postbox()
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
