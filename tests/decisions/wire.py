"""A server with the decision protocol and a stand-in for the endpoint behind it, and a client that speaks in pieces."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import uvicorn

from app.api.decisions.endpoint import DecisionProtocol, Pending
from app.api.decisions.words import JSON, Heads, Reply, reply_to
from app.api.http.protocol import Cork

BODY = b'{"n":1}'


class Decisions:
    """A stand-in for the decision endpoint that answers at once with what it is sent, unless set to miss or to fail."""

    max_body_bytes = 10_000
    heads = Heads({})

    def __init__(self):
        self.at_connection: list[bytes] = []
        self.observed: list[int] = []
        self.misses = self.fails = False
        self.cork = Cork()
        self.cork.last = perf_counter()  # as if an answer had just been given: the first may be held back too
        self.stopping = asyncio.Event()
        self.reading = asyncio.Event()
        self.read = asyncio.Event()

    def at_once(self, asked, body):
        """An answer that holds the body, or a request to go on with."""
        if self.misses:
            return Pending(asked, body.decode(), None)
        if self.fails:
            raise RuntimeError
        self.at_connection.append(body)
        return self._reply(asked.path, body)

    async def finish_or_refuse(self, pending, _):
        """The same answer, once `read` is set."""
        self.reading.set()
        await self.read.wait()
        if self.fails:
            return reply_to(RuntimeError())
        return self._reply(pending.request.path, pending.credential.encode())

    def observe(self, _, reply, seconds, origin):
        """Remember what was answered."""
        assert seconds >= 0
        assert origin()["type"] == "http"
        self.observed.append(reply.status)

    def _reply(self, path, body):
        return Reply(200, JSON, json.dumps({"at": "connection", "path": path, "body": body.decode()}).encode())


class Application:
    """Answers what it received, after `go` was set."""

    def __init__(self, decisions):
        self.state = SimpleNamespace(decisions=decisions)
        self.received: list[bytes] = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, scope, receive, send):
        """Answer one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        self.received.append(body)
        await self.go.wait()
        answer = json.dumps({"at": "application", "path": scope["path"], "body": body.decode()}).encode()
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


def request(body=BODY, *more, path="/access/v1/evaluation", length=None, method="POST", version="1.1"):
    """A request with that body; `length` says another Content-Length than its own."""
    length = len(body) if length is None else length
    lines = [f"{method} {path} HTTP/{version}", "Host: x", f"Content-Length: {length}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


class Client:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port):
        """Open one."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def answer(self):
        """The status and the JSON of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        body = await self.reader.readexactly(int(headers[b"content-length"]))
        return int(head.split(b" ")[1]), json.loads(body)

    async def ask(self, *pieces, pause=0.0):
        """Send pieces, and return the JSON of one answer of 200."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)
        status, body = await self.answer()
        assert status == 200
        return body

    async def close(self):
        """Close."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def ended(self):
        """Whether the service closed, with nothing more."""
        return await asyncio.wait_for(self.reader.read(), 10) == b""


@asynccontextmanager
async def served():
    """A server with the protocol, on a port of its own; what it was made of."""
    decisions = Decisions()
    application: Any = Application(decisions)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http=DecisionProtocol, lifespan="off", log_config=None, proxy_headers=False, timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield SimpleNamespace(
            decisions=decisions, application=application, server=server, port=listening.getsockname()[1]
        )
    finally:
        server.should_exit = True
        await serving
