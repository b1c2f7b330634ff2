"""The protocol that writes at the end of a pass: the same bytes, all of them, in fewer writes."""

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

from app.api.one_write import WHOLE_ANSWER, OneWriteProtocol


async def application(scope, receive, send):
    """Answers by path: a short body, none, several pieces with a wait between, or a long one."""
    path = scope["path"]
    await receive()
    if path == "/none":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    if path == "/pieces":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"three"})
        return
    if path == "/whole":
        whole = scope.get("extensions", {}).get(WHOLE_ANSWER)
        if whole is not None and whole(b"x-more: 1\r\n", b"{}"):
            return
        headers = [(b"content-length", b"2"), (b"x-more", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})
        return
    body = b"x" * 300_000 if path == "/long" else b"short"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def exchange(protocol, sent):
    """What a server with that protocol sends on one connection until it closes it."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=protocol, lifespan="off", log_config=None, date_header=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(sent)
        received = await asyncio.wait_for(reader.read(), timeout=20)
        writer.close()
    finally:
        server.should_exit = True
        await serving
    return received


def request(method, path, *more):
    """One HTTP request without a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *more, "", ""]
    return "\r\n".join(lines).encode()


CLOSE = "Connection: close"


@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/short", CLOSE),
        request("HEAD", "/short", CLOSE),
        request("GET", "/none", CLOSE),
        request("GET", "/pieces", CLOSE),
        request("GET", "/long", CLOSE),
        request("GET", "/short") + request("HEAD", "/short") + request("GET", "/pieces") + request("GET", "/n", CLOSE),
        request("POST", "/short", "Expect: 100-continue", "Content-Length: 2", CLOSE) + b"{}",
        request("GET", "/whole") * 3 + request("GET", "/short") + request("GET", "/whole", CLOSE),
    ],
    ids=["short", "head", "none", "pieces", "long", "pipelined", "continue", "whole"],
)
def test_the_bytes_are_those_of_uvicorns_own_protocol(sent):
    """Whatever is asked, a client receives what uvicorn's own protocol sends."""
    ours = asyncio.run(exchange(OneWriteProtocol, sent))
    assert ours == asyncio.run(exchange("httptools", sent))
    assert ours


async def half_closed(protocol):
    """What a client gets that shuts its side before the application answers; and whether the server kept the other."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def waiting(scope, receive, send):
        begun.set()
        await go.wait()
        await application(scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(waiting, http=protocol, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(request("GET", "/short"))
        writer.write_eof()
        await asyncio.wait_for(begun.wait(), 20)
        connections: Any = server.server_state.connections
        for _ in range(1_000):  # until the end of what the client says has been seen
            if not all(each.cycle.keep_alive for each in connections) or not connections:
                break
            await asyncio.sleep(0.01)
        kept = bool(connections)
        go.set()
        received = await asyncio.wait_for(reader.read(), timeout=20)
        writer.close()
    finally:
        go.set()
        server.should_exit = True
        await serving
    return received, kept


def test_a_client_that_has_closed_its_half_is_answered():
    """A client that shuts its side after a whole request gets the answer, with `close`, and then the end."""
    received, kept = asyncio.run(asyncio.wait_for(half_closed(OneWriteProtocol), 60))
    assert kept
    head, _, body = received.partition(b"\r\n\r\n")
    assert body == b"short"
    assert b"connection: close" in head


def test_uvicorns_own_protocol_would_lose_that_answer():
    """Control: uvicorn closes the connection as soon as the client has closed its half, and nothing comes."""
    assert asyncio.run(asyncio.wait_for(half_closed("httptools"), 60)) == (b"", False)
