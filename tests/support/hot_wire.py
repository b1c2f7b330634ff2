"""A server with the hot protocol and a stand-in for the endpoint behind it, and a client that speaks in pieces."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import uvicorn

from app.api.hot import Understood
from app.api.hot_endpoint import LEARN_HEAD, HotEndpoint, KnownHead, Missed
from app.api.hot_protocol import HotProtocol

BODY = b'{"n":1}'


class Hot:
    """Stands for the hot endpoint: counts what came by the short way, and answers unless it is told not to."""

    def __init__(self):
        self.taken, self.given = [], []
        self.fails = self.passes = self.misses = False
        self.server: Any = None
        self.reading = asyncio.Event()
        self.read = asyncio.Event()

    def answer_known(self, head, body, identifier):
        """Header lines and body, nothing, an error, or what is answered once `read` is set."""
        self.given.append(identifier)
        if self.misses:
            return Missed(head, cast("Understood", body), 0.0)
        return self._answer(head, body)

    async def answer_missed(self, missed):
        """As that, after the reading."""
        self.reading.set()
        await self.read.wait()
        return self._answer(missed.head, missed.understood)

    def _answer(self, head, body):
        if self.fails:
            raise RuntimeError
        if self.passes:
            return None
        self.taken.append((head.path, body))
        return b"content-type: application/json\r\n", b'{"short":true}'


class Application:
    """Answers what it received, and learns every head that it is offered."""

    def __init__(self):
        self.hot = Hot()

    async def __call__(self, scope, receive, send):
        """Answer one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        offered = scope.get("extensions", {}).get(LEARN_HEAD)
        if offered is not None:
            heads, name = offered
            heads.put(name, KnownHead(scope["path"], b"digest", len(body), cast("HotEndpoint", self.hot)))
        answer = json.dumps({"path": scope["path"], "body": body.decode()}).encode()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]}
        )
        await send({"type": "http.response.body", "body": answer})


def request(body=BODY, *more, path="/access/v1/evaluation", length=None):
    """A POST with that body; `length` says another Content-Length than its own."""
    length = len(body) if length is None else length
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def served():
    """A server with the protocol, on a port of its own."""
    HotProtocol.known.drop_all()
    application = Application()
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=HotProtocol, lifespan="off", log_config=None, timeout_keep_alive=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    application.hot.server = server
    try:
        yield application.hot, listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


class Client:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port):
        """Open one."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def answer(self):
        """The status line and the JSON of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await self.reader.readexactly(int(headers[b"content-length"]))
        return head.split(b"\r\n")[0], json.loads(body)

    async def ask(self, *pieces, pause=0.0):
        """Send pieces, and return the JSON of one answer."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)
        status, body = await self.answer()
        assert status == b"HTTP/1.1 200 OK"
        return body


def run(story):
    """Run a story with a server and a connection."""

    async def told():
        async with served() as (hot, port):
            client = await Client.connect(port)
            try:
                await story(hot, client, port)
            finally:
                client.writer.close()
                with suppress(OSError):
                    await client.writer.wait_closed()

    asyncio.run(told())
