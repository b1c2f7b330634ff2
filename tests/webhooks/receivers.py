"""Receivers on loopback that behave as a test wants, and keep what they were sent."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[["Received", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The id of the event."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """The CloudEvent."""
        return json.loads(self.body)

    @property
    def consent(self) -> str:
        """The consent that it is about."""
        consent: str = self.event["data"]["consent"]
        return consent


@dataclass
class Receiver:
    """A receiver: `behave` answers each request, and may be changed at any time."""

    behave: Behaviour
    port: int = 0
    received: list[Received] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The ids that came, in order."""
        return [each.id for each in self.received]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, keep it, and answer as it is to behave."""
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            request = await _read(reader)
            self.received.append(request)
            await self.behave(request, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the sender hung up
        finally:
            self.under_way -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    lowered = {name.lower(): value for name, value in headers.items()}
    body = await reader.readexactly(int(lowered.get("content-length", "0")))
    return Received(head[0], lowered, body)


def answering(status: int, **headers: str) -> Behaviour:
    """Answer with a status."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        lines = [
            f"HTTP/1.1 {status} Said",
            "Content-Length: 0",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()

    return behave


async def garbage(_: Received, writer: asyncio.StreamWriter) -> None:
    """Answer with what is no HTTP."""
    writer.write(b"\x00\xff\x01 this is not it\r\n\r\n")
    await writer.drain()


async def closing(_: Received, writer: asyncio.StreamWriter) -> None:
    """Close in the middle of the status line."""
    writer.write(b"HTTP/1.1 20")
    await writer.drain()


async def silent(_: Received, __: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(3_600)


async def dripping(_: Received, writer: asyncio.StreamWriter) -> None:
    """Send one header after another, and never come to the end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: yes\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_headers(_: Received, writer: asyncio.StreamWriter) -> None:
    """Send headers as fast as they are taken, and never come to the end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"y" * 60_000 + b"\r\n")
        await writer.drain()


async def endless_body(_: Received, writer: asyncio.StreamWriter) -> None:
    """Say 200, and send a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    while True:
        writer.write(b"z" * 65_536)
        await writer.drain()


def refusing(consents: set[str]) -> Behaviour:
    """Refuse events about these consents, and take the others."""
    take, refuse = answering(204), answering(500)

    async def behave(request: Received, writer: asyncio.StreamWriter) -> None:
        await (refuse if request.consent in consents else take)(request, writer)

    return behave


@asynccontextmanager
async def listening(behave: Behaviour, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that listens on loopback for as long as the block lasts."""
    receiver = Receiver(behave)
    handling: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(receiver.handle(reader, writer))
        handling.add(task)
        task.add_done_callback(handling.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(handling):
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


async def always_early(_: Received, writer: asyncio.StreamWriter) -> None:
    """Send one informational answer (103, RFC 8297) after another, and never the final one."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)
