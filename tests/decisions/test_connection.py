"""Decisions answered at the connection: requests are answered correctly and in order, however their bytes arrive."""

import asyncio
from math import inf

import pytest

from app.api.decisions import endpoint
from app.api.http import protocol
from tests.decisions.wire import BODY, Client, request, served

AT_CONNECTION = {"at": "connection", "path": "/access/v1/evaluation", "body": BODY.decode()}
OTHER = "/v1/processings"
CHUNKED = b"POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True, params=[-inf, 1e9], ids=["written at once", "held back"])
def _answers(request, monkeypatch):
    """Answers are written at once, or each is held back for the turn."""
    monkeypatch.setattr(protocol, "_BACK_TO_BACK", request.param)
    monkeypatch.setattr(protocol, "_LONGEST", 60)


@pytest.fixture
async def made():
    """A server."""
    async with served() as server:
        yield server


@pytest.fixture
async def client(made):
    """A connection to it."""
    opened = await Client.connect(made.port)
    yield opened
    await opened.close()


async def waits(made, client):
    """Send a request for which something is read, until `read` is set; nothing is missing for those after it."""
    made.decisions.misses = True
    client.writer.write(request(b"1"))
    await asyncio.wait_for(made.decisions.reading.wait(), 10)
    made.decisions.misses = False


async def until(happened):
    """Return once something has happened."""
    for _ in range(2_000):
        if happened():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


async def test_a_decision_is_answered_at_the_connection(made, client):
    """A single and a batch decision on one connection are answered there, without the application."""
    assert await client.ask(request()) == AT_CONNECTION
    batch = await client.ask(request(path="/access/v1/evaluations"))
    assert batch == {**AT_CONNECTION, "path": "/access/v1/evaluations"}
    assert made.decisions.at_connection == [BODY, BODY]
    assert made.decisions.observed == [200, 200]


@pytest.mark.parametrize(
    "sent",
    [
        request(path=OTHER),
        request(path="/access/v1/evaluation?q"),
        request(path="/access/v1/%65valuation"),
        request(path="/access/v1/evaluation/"),
        request(method="PUT"),
        request(b"x" * 10_001),
        request(b"5\r\nhello\r\n" * 2_001 + b"0\r\n\r\n", "Transfer-Encoding: chunked").replace(
            b"Content-Length", b"X"
        ),
    ],
    ids=["path", "query", "escape", "slash", "method", "length", "chunks"],
)
async def test_what_is_no_usual_decision_is_the_applications(made, client, sent):
    """Another path, a query, another method, a body that is too large: all of it reaches the application."""
    answer = await client.ask(sent)
    assert answer["at"] == "application"
    assert made.decisions.at_connection == []
    assert len(answer["body"]) in {len(BODY), 10_001, 10_005}
    assert await client.ask(request()) == AT_CONNECTION


async def test_a_request_is_answered_alike_wherever_it_is_cut(made, client):
    """A request in two pieces, cut at each of its bytes, is the same request; so is one byte by byte."""
    sent = request()
    for at in range(1, len(sent)):
        client.writer.write(sent[:at])
        await asyncio.sleep(0.001)
        assert await client.ask(sent[at:]) == AT_CONNECTION
    assert await client.ask(*(sent[at : at + 1] for at in range(len(sent)))) == AT_CONNECTION
    assert set(made.decisions.at_connection) == {BODY}


async def test_a_body_in_chunks_is_read_whole(made, client):
    """A chunked body is put together before it is read."""
    assert await client.ask(CHUNKED, b'3\r\n{"n\r\n', b'4\r\n":1}\r\n0\r\n\r\n', pause=0.01) == AT_CONNECTION


async def test_requests_sent_at_once_are_all_answered_in_order(client):
    """Pipelined requests are answered one after the other, at the connection or by the application."""
    client.writer.write(request(b"1") + request(b"2") + request(b"3", path=OTHER) + request(b"4"))
    answers = [(await client.answer())[1] for _ in range(4)]
    assert [each["body"] for each in answers] == ["1", "2", "3", "4"]
    assert await client.ask(request()) == AT_CONNECTION


async def test_a_decision_does_not_overtake_the_request_before_it(made, client):
    """A decision waits while the application has not answered the request before it."""
    made.application.go.clear()
    client.writer.write(request(b"1", path=OTHER))
    await asyncio.sleep(0.01)
    client.writer.write(request(b"2"))
    await asyncio.sleep(0.01)
    made.application.go.set()
    assert [(await client.answer())[1]["body"] for _ in range(2)] == ["1", "2"]
    assert made.decisions.at_connection == []


@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_missing_is_read_and_the_next_requests_wait_behind_it(made, client, fails):
    """While memory is filled for one request, the next on its connection wait; all are answered, in order."""
    await waits(made, client)
    made.decisions.fails = fails
    client.writer.write(request(b"2", path=OTHER) + request(b"3"))
    await asyncio.sleep(0.01)
    made.decisions.read.set()
    status, first = await client.answer()
    assert (status, first.get("body")) == ((500, None) if fails else (200, "1"))
    assert [(await client.answer())[1]["body"] for _ in range(2)] == ["2", "3"]


async def test_others_are_answered_while_one_waits_for_what_is_missing(made, client):
    """A connection that waits for a read holds up no other."""
    await waits(made, client)
    other = await Client.connect(made.port)
    assert await other.ask(request()) == AT_CONNECTION
    other.writer.close()
    made.decisions.read.set()
    assert (await client.answer())[1]["body"] == "1"


async def test_a_server_that_stops_first_answers_what_it_reads_for(made, client):
    """A stop while something is read for a request answers it and then closes the connection."""
    await waits(made, client)
    made.server.should_exit = True
    (protocol,) = made.server.server_state.connections
    await until(lambda: not protocol.cycle.keep_alive)
    made.decisions.read.set()
    assert (await client.answer())[1]["body"] == "1"
    assert await client.ended()


async def test_a_server_that_stops_first_answers_what_it_has_begun_to_receive(made, client):
    """A stop between a head and its body waits for the body, answers, and then closes."""
    client.writer.write(request()[: -len(BODY)])
    await until(lambda: made.server.server_state.connections)
    (protocol,) = made.server.server_state.connections
    await until(lambda: protocol._request)
    protocol.shutdown()
    assert await client.ask(BODY) == AT_CONNECTION
    assert await client.ended()


@pytest.mark.parametrize("more", [b"", request(b"2"), request(b"2", path=OTHER), request(b"2")[:-1]])
async def test_a_client_that_has_closed_its_half_gets_what_it_asked(made, client, more):
    """A client that closed its sending half gets answers to its whole requests; then the connection ends."""
    await waits(made, client)
    client.writer.write(more)
    client.writer.write_eof()
    await asyncio.sleep(0.05)
    made.decisions.read.set()
    for body in ["1", "2"] if more and more.endswith(b"2") else ["1"]:
        assert (await client.answer())[1]["body"] == body
    assert await client.ended()


async def test_a_client_that_goes_while_something_is_read_harms_nobody(made, client):
    """When a client goes while something is read for it, the server goes on answering other clients."""
    gone = await Client.connect(made.port)
    await waits(made, gone)
    gone.writer.transport.abort()
    await asyncio.sleep(0.05)
    made.decisions.read.set()
    assert await client.ask(request()) == AT_CONNECTION


@pytest.mark.parametrize(
    ("version", "more"), [("1.0", ()), ("1.0", ("Connection: keep-alive",)), ("1.1", ("Connection: close",))]
)
async def test_a_connection_that_is_not_to_be_kept_is_closed(client, version, more):
    """HTTP/1.0 and `Connection: close` get one answer at the connection, and the end."""
    assert await client.ask(request(BODY, *more, version=version)) == AT_CONNECTION
    assert await client.ended()


async def test_a_failure_at_the_connection_is_a_problem(made, client):
    """An unforeseen exception is a 500, and its connection goes on."""
    made.decisions.fails = True
    client.writer.write(request())
    assert (await client.answer())[0] == 500
    made.decisions.fails = False
    assert await client.ask(request()) == AT_CONNECTION


async def test_a_body_that_never_comes_is_timed_once(made, client, monkeypatch):
    """A body that does not come in time is answered with 408, nothing is decided, and the connection ends."""
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)
    client.writer.write(request()[:-1])
    status, problem = await client.answer()
    assert (status, problem["type"]) == (408, "urn:sceau:problem:timeout")
    assert await client.ended()
    assert made.decisions.at_connection == []


async def test_a_quiet_connection_is_closed_and_a_busy_one_is_not(client):
    """A connection has one timer: it closes only after a second without any request."""
    for _ in range(8):
        assert await client.ask(request()) == AT_CONNECTION
        await asyncio.sleep(0.2)
    assert await client.ended()


async def test_a_long_pipeline_cut_in_a_head_is_answered_whole(client):
    """Requests of more bytes together than one head may have are answered, wherever their bytes are cut."""
    requests = [request(b"%d" % number, "X-Filler: " + "x" * 900) for number in range(60)]
    cut = sum(map(len, requests[:-1])) + 40  # within the last head
    sent = b"".join(requests)
    client.writer.write(sent[:cut])
    await asyncio.sleep(0.05)
    client.writer.write(sent[cut:])
    assert [(await client.answer())[1]["body"] for _ in requests] == [str(number) for number in range(60)]


@pytest.mark.parametrize("path", ["/access/v1/evaluation", OTHER])
async def test_behind_the_last_answer_of_a_connection_nothing_is_done(made, client, path):
    """While the service drains, a request that was sent behind another is neither decided nor handed on."""
    made.decisions.stopping.set()
    client.writer.write(request(b"first") + request(b"second", path=path))
    assert (await client.answer())[1]["body"] == "first"
    assert await client.ended()
    assert made.decisions.at_connection == [b"first"]
    assert made.application.received == []


@pytest.mark.parametrize("path", ["/access/v1/evaluation", OTHER])
async def test_a_field_behind_a_chunked_body_is_no_field_of_the_request(made, client, monkeypatch, path):
    """A trailer is not taken into the head: neither an endpoint nor the application sees it."""
    seen = []
    app = made.application
    real, called = made.decisions.at_once, type(app).__call__

    def at_once(head, body):
        seen.append(head.authorization)
        return real(head, body)

    async def call(self, scope, receive, send):
        await asyncio.sleep(0.05)  # the trailer has come by now
        seen.append(dict(scope["headers"]).get(b"authorization", b"").decode())
        await called(self, scope, receive, send)

    made.decisions.at_once = at_once
    monkeypatch.setattr(type(app), "__call__", call)
    body = b"7\r\n" + BODY + b"\r\n0\r\nAuthorization: Bearer stranger\r\n\r\n"
    assert (await client.ask(CHUNKED.replace(b"/access/v1/evaluation", path.encode()) + body))["body"] == BODY.decode()
    assert seen == [""]


@pytest.mark.parametrize("before", ["at the connection", "later", "by the application"])
async def test_a_body_that_breaks_is_refused_whatever_was_answered_before(made, client, before):
    """A request whose chunked body breaks is a 400, however the request before it was answered."""
    made.decisions.misses = before == "later"
    made.decisions.read.set()
    await client.ask(request(path=OTHER if before == "by the application" else "/access/v1/evaluation"))
    made.decisions.misses = False
    client.writer.write(CHUNKED + b"7\r\n" + BODY + b"\r\nno chunk\r\n\r\n")
    assert (await client.answer())[0] == 400


async def test_trailers_have_a_bound(client):
    """A body that is followed by more trailer fields than a request may have is refused with 431."""
    client.writer.write(CHUNKED + b"7\r\n" + BODY + b"\r\n0\r\n" + b"X-T: 1\r\n" * 200 + b"\r\n")
    assert (await client.answer())[0] == 431
