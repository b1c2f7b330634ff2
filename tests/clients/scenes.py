"""Servers on loopback that stand in for Sceau, or for a receiver, and misbehave; and what is asked of them."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sceau_client import HandleMaker, Question, wire

HANDLES = HandleMaker(b"\x07" * 32)
LETTER = HANDLES.correspondence("<1@mail.example>")
PERMIT = {"decision": True, "context": {"id": "d1", "reason": "consent_in_force", "article": "L32-3 IV"}}
DENY = {"decision": False, "context": {"id": "d2", "reason": "no_consent", "article": "L32-3 IV"}}


def about(user: str, processing: str = "ads-mail", **more: Any) -> Question:
    """A question about the one letter."""
    return Question(user, processing, LETTER, **more)


def sent(question: Question) -> Any:
    """The JSON of a question as a client sends it."""
    item = wire.item(question)
    assert item is not None
    return json.loads(item.body)


@dataclass(frozen=True)
class Came:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


Behaviour = Callable[[Came, asyncio.StreamWriter], Awaitable[bool | None]]
"""Answer a request; True keeps the connection."""


@dataclass
class Scene:
    """A server: `behave` answers each request, and may be changed at any time."""

    behave: Behaviour
    port: int = 0
    came: list[Came] = field(default_factory=list)
    connections: int = 0
    under_way: int = 0
    most_under_way: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection as it is to behave."""
        self.connections += 1
        mine = self.connections
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            while True:
                request = await _read(reader, mine)
                self.came.append(request)
                if not await self.behave(request, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client hung up
        finally:
            self.under_way -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Came:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Came(head[0], headers, body, connection)


@asynccontextmanager
async def scene(behave: Behaviour) -> AsyncIterator[Scene]:
    """A server that listens on loopback for as long as the block lasts."""
    async with playing(Scene(behave)) as made:
        yield made


Played = TypeVar("Played", bound=Scene)


@asynccontextmanager
async def playing(made: Played, tls: ssl.SSLContext | None = None) -> AsyncIterator[Played]:
    """Such a server, listening for as long as the block lasts."""
    handling: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(made.handle(reader, writer))
        handling.add(task)
        task.add_done_callback(handling.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(handling):
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


def whole(request: Came, body: bytes, status: int = 200, **headers: str) -> bytes:
    """A whole HTTP answer that carries the request's id, with headers replaced (or left out: an empty value)."""
    fields = {
        "X-Request-ID": request.headers.get("x-request-id", ""),
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **{name.replace("_", "-").title().replace("Id", "ID"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body


def saying(value: Any, status: int = 200, **headers: str) -> Behaviour:
    """Answer with a body (JSON of what is not bytes), and keep the connection."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    async def behave(request: Came, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(request, body, status, **headers))
        await writer.drain()
        return True

    return behave


async def permitting(request: Came, writer: asyncio.StreamWriter) -> bool:
    """Permit whatever is asked, one question or several."""
    body = request.json
    answer = {"evaluations": [PERMIT] * len(body["evaluations"])} if "evaluations" in body else PERMIT
    return bool(await saying(answer)(request, writer))


async def hanging_up(_: Came, __: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""


async def half_answering(request: Came, writer: asyncio.StreamWriter) -> None:
    """Close in the middle of a body that would permit."""
    answer = whole(request, json.dumps(PERMIT).encode())
    writer.write(answer[: len(answer) - 1])
    await writer.drain()


async def no_http(_: Came, writer: asyncio.StreamWriter) -> None:
    """Answer with what is no HTTP."""
    writer.write(b"\x00\xff\x01 this is not it\r\n\r\n")
    await writer.drain()


async def silent(_: Came, __: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.sleep(3_600)


async def dripping_headers(_: Came, writer: asyncio.StreamWriter) -> None:
    """Send one header after another, and never come to the end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: yes\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def dripping_body(request: Came, writer: asyncio.StreamWriter) -> None:
    """Send one byte after another of an answer that would permit."""
    for byte in whole(request, json.dumps(PERMIT).encode() + b" " * 10_000):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_body(request: Came, writer: asyncio.StreamWriter) -> None:
    """Say 200, and send a body that never ends."""
    writer.write(whole(request, b"", content_length="99999999999"))
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()
