"""Receivers on loopback that behave as a test wants, and keep what they were sent."""

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from tests.clients.scenes import Behaviour, Came, Scene, playing, saying


@dataclass
class Receiver(Scene):
    """A receiver: `behave` answers each request, and may be changed at any time."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{super().url}/hook"

    @property
    def ids(self) -> list[str]:
        """The ids of the events that came, in order."""
        return [each.headers["webhook-id"] for each in self.came]


def consent_of(request: Came) -> str:
    """The consent that an event is about."""
    consent: str = request.json["data"]["consent"]
    return consent


def answering(status: int, **headers: str) -> Behaviour:
    """Answer with a status, and close."""
    answer = saying(b"", status, **headers)

    async def behave(request: Came, writer: asyncio.StreamWriter) -> None:
        await answer(request, writer)

    return behave


async def closing(_: Came, writer: asyncio.StreamWriter) -> None:
    """Close in the middle of the status line."""
    writer.write(b"HTTP/1.1 20")
    await writer.drain()


async def endless_headers(_: Came, writer: asyncio.StreamWriter) -> None:
    """Send headers as fast as they are taken, and never come to the end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"y" * 60_000 + b"\r\n")
        await writer.drain()


def refusing(consents: set[str]) -> Behaviour:
    """Refuse events about these consents, and take the others."""
    take, refuse = answering(204), answering(500)

    async def behave(request: Came, writer: asyncio.StreamWriter) -> None:
        await (refuse if consent_of(request) in consents else take)(request, writer)

    return behave


async def always_early(_: Came, writer: asyncio.StreamWriter) -> None:
    """Send one informational answer (103, RFC 8297) after another, and never the final one."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


def listening(behave: Behaviour, *, tls: ssl.SSLContext | None = None) -> AbstractAsyncContextManager[Receiver]:
    """A receiver that listens on loopback for as long as the block lasts."""
    return playing(Receiver(behave), tls)
