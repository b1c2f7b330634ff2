"""What a client may send before anything of it is understood: heads without an end, and requests that do not come."""

import asyncio
import json
import socket
from collections import Counter
from contextlib import asynccontextmanager, suppress
from math import inf

import pytest
import uvicorn

from app.api.decisions.endpoint import DecisionProtocol
from app.api.http import protocol as bounded_protocol
from app.api.http.exchange import LONGEST_HEAD, LONGEST_TARGET, MOST_FIELDS, REFUSALS, SECURITY_HEADERS
from app.api.http.protocol import BoundedProtocol

HANGS = 60
LINE = b"GET / HTTP/1.1\r\n"
FIELD = b"X-Field: value\r\n"


async def application(scope, receive, send):
    """Answers at once, whether or not the body has come; /whole waits for it, /halting halts within its answer."""
    while scope["path"] == "/whole" and (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    if scope["path"] == "/halting":
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": b"k"})
        return
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served():
    """A server with the protocol, on a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application,
        http=DecisionProtocol,
        lifespan="off",
        log_config=None,
        server_header=False,
        timeout_keep_alive=HANGS,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1], server
    finally:
        server.should_exit = True
        await serving


def exchange(*pieces, monkeypatch=None, **bounds):
    """What comes back for these pieces until the server closes; `bounds` are other seconds than the usual ones."""
    for name, value in bounds.items():
        monkeypatch.setattr(bounded_protocol, name, value)

    async def told():
        async with served() as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                with suppress(ConnectionError):  # it may close before all of it is sent
                    for piece in pieces:
                        writer.write(piece)
                        await writer.drain()
                return await asyncio.wait_for(reader.read(), HANGS)
            finally:
                writer.close()

    return asyncio.run(told())


def problem_of(answer):
    """Status and problem of an answer that ends its connection, which has every security header and no Server."""
    assert b"permit" not in answer.lower()  # what clients without JSON look for
    head, body = answer.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert headers["connection"] == "close"
    assert headers["content-type"] == "application/problem+json"
    assert {name.lower(): value.lower() for name, value in SECURITY_HEADERS.items()}.items() <= headers.items()
    assert "server" not in headers
    document = json.loads(body)
    assert f" {document['status']} " in first
    return document["status"], document["type"].rpartition(":")[2]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([b"GET /" + b"a" * LONGEST_TARGET + b" HTTP/1.1\r\n\r\n"], (414, "target-too-long")),
        ([b"GET /?q=" + b"a" * 4_096, b"a" * 4_096 + b" HTTP/1.1\r\n\r\n"], (414, "target-too-long")),
        ([LINE + FIELD * (MOST_FIELDS + 1) + b"\r\n"], (431, "head-too-large")),
        ([LINE + b"X-Long: " + b"a" * LONGEST_HEAD + b"\r\n\r\n"], (431, "head-too-large")),
        ([LINE + b"X-Endless: ", *([b"a" * 8_192] * 5)], (431, "head-too-large")),
        ([LINE, *([b"X-Many: " + b"a" * 600 + b"\r\n"] * 60)], (431, "head-too-large")),
        ([b"GET / HTTP/1.1\r\nno field\r\n\r\n"], (400, "malformed")),
        ([b"no HTTP at all\r\n\r\n", *([b"and on" * 8_192] * 5)], (400, "malformed")),
        ([b"\x16\x03\x01\x02\x00\x01"], (400, "malformed")),
        ([b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"], (400, "malformed")),
        ([LINE + b"Host: a.example\r\nHost: b.example\r\n\r\n"], (400, "malformed")),
        ([b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"], (501, "transfer-coding-unknown")),
        ([b"GET / HTTP/2.0\r\nHost: a.example\r\n\r\n"], (505, "version-unknown")),
    ],
    ids=[
        *("target", "query", "fields", "field", "endless", "together", "no field", "no HTTP", "TLS", "two lengths"),
        *("two hosts", "another coding", "another version"),
    ],
)
def test_a_head_without_bounds_is_refused(sent, expected):
    """A target, a field, or fields together beyond the bounds, or no HTTP at all: a problem document, and the end."""
    before = BoundedProtocol.refused[expected[1]]
    assert problem_of(exchange(*sent)) == expected
    assert BoundedProtocol.refused[expected[1]] == before + 1


async def _send_on(writer):
    while True:
        writer.write(b"and on" * 8_192)
        await writer.drain()


async def test_who_goes_on_sending_is_cut_off(monkeypatch):
    """A client that was refused and neither reads nor ends is not kept for ever."""
    monkeypatch.setattr(bounded_protocol, "LINGER_SECONDS", 0.05)
    async with asyncio.timeout(HANGS), served() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"no HTTP\r\n\r\n")
        assert problem_of(await reader.read()) == (400, "malformed")
        with pytest.raises(ConnectionError):
            await _send_on(writer)


def test_a_head_within_the_bounds_is_answered():
    """Control: as many fields as there may be, a long target and a long field are served."""
    target = b"/?q=" + b"a" * (LONGEST_TARGET - 10)
    for head in (
        LINE + FIELD * (MOST_FIELDS - 1),
        b"GET " + target + b" HTTP/1.1\r\n",
        LINE + b"X-Long: " + b"a" * (LONGEST_HEAD // 2) + b"\r\n",
    ):
        assert exchange(head + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def test_a_slow_head_is_refused(monkeypatch):
    """A head that does not end is answered 408; a connection on which nothing comes is closed without a word."""
    assert problem_of(exchange(LINE, monkeypatch=monkeypatch, HEAD_SECONDS=0.05)) == (408, "timeout")
    assert exchange(monkeypatch=monkeypatch, HEAD_SECONDS=0.05) == b""


def test_a_body_that_never_ends_ends_with_its_connection(monkeypatch):
    """What is sent on after an answer, or is awaited in vain, does not hold a connection for ever."""
    head = b"POST %s HTTP/1.1\r\nContent-Length: 100\r\n\r\nsome"
    assert exchange(head % b"/", monkeypatch=monkeypatch, REQUEST_SECONDS=0.05).startswith(b"HTTP/1.1 200 OK")
    assert exchange(head % b"/whole", monkeypatch=monkeypatch, REQUEST_SECONDS=0.05) == b""


_CHUNKED = b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n%s\r\n"
_BROKEN = {
    "no chunk": (b"ZZ\r\n", (400, "malformed")),
    "one chunk": (b"1\r\na\r\nZZ\r\n", (400, "malformed")),
    "trailers": (b"0\r\n" + FIELD * (MOST_FIELDS + 1), (431, "head-too-large")),
}


@pytest.mark.parametrize("broken", _BROKEN)
@pytest.mark.parametrize("target", [b"/", b"/whole"])
@pytest.mark.parametrize("field", [b"", b"Connection: close\r\n", b"Expect: 100-continue\r\n"])
def test_a_broken_body_behind_its_head_gets_the_refusal_alone(broken, target, field, caplog):
    """A body that breaks in the read of its head is refused once; what the application says then is dropped."""
    tail, expected = _BROKEN[broken]
    assert problem_of(exchange(_CHUNKED % (target, field) + tail)) == expected
    assert [each for each in caplog.records if each.exc_info] == []


@pytest.mark.parametrize("broken", _BROKEN)
@pytest.mark.parametrize("target", [b"/", b"/halting"])
async def test_a_body_that_breaks_behind_its_answer_adds_nothing_to_it(broken, target, caplog):
    """A request that was answered before its body broke, or whose answer has begun, has that one answer."""
    async with asyncio.timeout(HANGS), served() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_CHUNKED % (target, b""))
        answer = await reader.readuntil(b"o") + await reader.readuntil(b"\r\n\r\no")
        writer.write(_BROKEN[broken][0])
        answer += await reader.read()
        writer.close()
    assert answer.endswith(b"\r\n\r\nok")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [each for each in caplog.records if each.exc_info] == []


def test_requests_behind_the_last_answer_get_none(caplog):
    """An answer that ends the connection is its last, although a whole request waits and another has begun."""
    closing = b"POST /halting HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"  # not kept for 1.0
    answer = exchange(closing + LINE + b"\r\n" + b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
    assert answer.endswith(b"\r\n\r\nok")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [each for each in caplog.records if each.exc_info] == []


def test_a_next_request_behind_an_unread_body_is_judged_by_itself():
    """A malformed request behind an unread body is refused by itself, after the first request's answer."""
    answers = exchange(_CHUNKED % (b"/", b"") + b"1\r\na\r\n0\r\n\r\n" + LINE + b"no field\r\n\r\n")
    first, second = answers.split(b"\r\n\r\nok")
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert problem_of(second) == (400, "malformed")


async def test_a_connection_that_was_answered_has_no_such_deadline():
    """Between two requests, a connection has no deadline of the protocol."""
    async with served() as (port, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(LINE + b"\r\n")
            assert (await asyncio.wait_for(reader.readuntil(b"ok"), HANGS)).startswith(b"HTTP/1.1 200 OK")
            (protocol,) = server.server_state.connections
            assert protocol._deadline == inf
        writer.close()


def test_the_counts_are_of_words_alone():
    """What is counted is named by problems: nothing that a client sent is in it."""
    assert isinstance(BoundedProtocol.refused, Counter)
    assert set(BoundedProtocol.refused) <= {each.slug for each in REFUSALS}
    assert {"malformed", "upgrade-refused", "version-unknown"} <= {each.slug for each in REFUSALS}
