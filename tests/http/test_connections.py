"""What a client sees that speaks to the socket itself: Exim's readsocket, nc, a proxy that speaks HTTP/1.0."""

import json
import signal
import socket
import time
from contextlib import suppress

import pytest

from tests.faults.service import HANGS, Service
from tests.support.api import BOOTSTRAP, processing, question
from tests.support.consents import grant
from tests.support.databases import new_database

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
TEXT = "Accept: text/plain"
CLOSE, KEEP = "Connection: close", "Connection: keep-alive"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A real `sceau serve`, with one processing of IV to which alice consented."""
    with new_database() as database:
        settings = {"SCEAU_DATABASE_URL": database.app_url, "SCEAU_JOBS": "false"}
        service = Service(tmp_path_factory.mktemp("served") / "log", settings).wait_until_it_listens()
        try:
            service.ok("POST", "/v1/processings", processing("ads"))
            service.ok("POST", "/v1/consents", grant("alice", "ads"))
            yield service
        finally:
            service.end(signal.SIGTERM)


def request(version, *headers, method="POST", path=ONE, name="alice", body=None, key=BOOTSTRAP, length=None):
    """A request as bytes; `length` says that more is to come than does."""
    sent = json.dumps(question(name, "ads")).encode() if body is None else body
    lines = [f"{method} {path} HTTP/{version}", *headers, f"Content-Length: {length or len(sent)}"]
    lines += ["Host: localhost", "Content-Type: application/json", f"Authorization: Bearer {key}", "", ""]
    return "\r\n".join(lines).encode() + sent


def connected(service):
    """A connection that no read waits on for ever."""
    return socket.create_connection(("127.0.0.1", service.port), timeout=HANGS)


def to_the_end(service, sent, *, half_close=False):
    """All that comes back until the service closes."""
    with connected(service) as connection:
        connection.sendall(sent)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def parts(answer):
    """The status, the headers in lower case (each with its values) and the body of one whole answer."""
    head, body = answer.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, value = line.split(": ", 1)
        headers.setdefault(name.lower(), []).append(value)
    return int(first.split(" ")[1]), headers, body


def one_answer(connection):
    """The next answer on a connection that goes on."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65_536)
    length = int(parts(read)[1]["content-length"][0])
    while len(parts(read)[2]) < length:
        read += connection.recv(65_536)
    return parts(read)


@pytest.mark.parametrize("headers", [(), (KEEP,), (CLOSE,)], ids=["plain", "keep-alive", "close"])
@pytest.mark.parametrize(("name", "word"), [("alice", b"permit"), ("bob", b"deny")])
def test_http_1_0_is_answered_by_a_word_and_the_end(served, headers, name, word):
    """A reader to the end gets the whole answer and the end, whether or not it asks to keep the connection."""
    status, headers_got, body = parts(to_the_end(served, request("1.0", TEXT, *headers, name=name)))
    assert (status, body) == (200, word)
    assert headers_got["content-type"] == ["text/plain; charset=utf-8"]
    assert headers_got["content-length"] == [str(len(word))]
    assert headers_got["connection"] == ["close"]
    assert "transfer-encoding" not in headers_got


@pytest.mark.parametrize(
    "sent",
    [
        request("1.0"),
        request("1.0", path=MANY, body=json.dumps({**question("alice", "ads"), "evaluations": [{}, {}]}).encode()),
        request("1.0", body=b"{"),
        request("1.0", key="sceau_wrong"),
        request("1.0", length=1_048_577),
        request("1.0", method="GET", path="/livez", body=b""),
        request("1.0", method="GET", path="/metrics", body=b""),
        request("1.0", method="GET", path="/docs", body=b""),
        request("1.0", method="GET", path="/docs/swagger-ui.css", body=b""),
        request("1.0", method="GET", path="/nowhere", body=b""),
    ],
    ids=["single", "batch", "malformed", "key", "too large", "livez", "metrics", "page", "file", "nowhere"],
)
def test_http_1_0_is_never_chunked(served, sent):
    """Whatever is asked, and whatever goes wrong, an answer to HTTP/1.0 has its length and then ends."""
    _, told, body = parts(to_the_end(served, sent))
    assert told["content-length"] == [str(len(body))]
    assert told["connection"] == ["close"]
    assert "transfer-encoding" not in told


@pytest.mark.parametrize(
    ("sent", "permitted"),
    [
        (request("1.0", TEXT), True),
        (request("1.0", TEXT, name="bob"), False),
        (request("1.0", TEXT, body=b"{}"), False),
        (request("1.0", TEXT, key="sceau_wrong"), False),
        (request("1.0", TEXT, method="GET", body=b""), False),
        (request("1.0", TEXT, length=1_048_577), False),
    ],
    ids=["permit", "deny", "malformed", "key", "method", "too large"],
)
def test_the_word_is_nowhere_but_in_a_permit(served, sent, permitted):
    """A client that looks for `permit` in all that it read finds it in a permit only, and in no header or error."""
    assert (b"permit" in to_the_end(served, sent)) is permitted


def test_no_answer_says_what_runs_here(served):
    """Neither a permit, nor an error of the application, nor one of the protocol has a Server field."""
    for sent in (request("1.1", CLOSE), request("1.1", CLOSE, body=b"{"), b"no HTTP\r\n\r\n"):
        assert "server" not in parts(to_the_end(served, sent))[1]


@pytest.mark.parametrize("accept", [TEXT, "Accept: */*"])
def test_connection_close_is_honoured(served, accept):
    """HTTP/1.1 with `Connection: close` gets one answer that says so, and the end."""
    status, told, body = parts(to_the_end(served, request("1.1", accept, CLOSE)))
    assert status == 200
    assert told["connection"] == ["close"]
    assert len(body) == int(told["content-length"][0])


def test_a_connection_is_kept_and_said_to_be(served):
    """HTTP/1.1 answers say `Connection: keep-alive`, for decisions and errors alike."""
    with connected(served) as connection:
        for sent, status in (
            (request("1.1"), 200),
            (request("1.1"), 200),
            (request("1.1", TEXT), 200),
            (request("1.1", body=b"{"), 400),
            (request("1.1", key="sceau_wrong"), 401),
            (request("1.1"), 200),
        ):
            connection.sendall(sent)
            got, told, _ = one_answer(connection)
            assert got == status
            assert told["connection"] == ["keep-alive"]
            assert "transfer-encoding" not in told


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("accept", [TEXT, "Accept: */*"])
def test_a_client_that_has_closed_its_half_is_answered(served, version, accept):
    """Whoever sends a request and then shuts its side of the connection gets the answer, then the end."""
    for _ in range(3):
        status, told, body = parts(to_the_end(served, request(version, accept), half_close=True))
        assert status == 200
        assert b"permit" in body or json.loads(body)["decision"] is True
        assert told["connection"] in (["close"], ["keep-alive"])


@pytest.mark.parametrize("sent", [b"", request("1.1")[:40], request("1.1")[:-5]], ids=["nothing", "head", "body"])
def test_half_a_request_is_no_request(served, sent):
    """A client that closes its half before its request is whole gets nothing, and the end at once."""
    assert to_the_end(served, sent, half_close=True) == b""


SECOND = request("1.1", CLOSE, method="GET", path="/livez", body=b"")
UPGRADES = (
    ("Connection: Upgrade", "Upgrade: h2c"),
    ("Connection: keep-alive, Upgrade", "Upgrade: websocket"),
    ("Connection: upgrade", "Upgrade: anything/1"),
)


def test_a_refused_query_is_answered_once_its_body_is_whole(served):
    """A NUL in a query is told of a whole request alone: with a broken chunk behind it, it is no request."""
    head = f"POST {ONE}?x=%00 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    assert b"The query holds a NUL character." in to_the_end(served, head + b"0\r\n\r\n", half_close=True)
    with connected(served) as connection:
        connection.sendall(head)
        to_the_end(served, SECOND)  # once it is answered, the head before it has been dealt with
        connection.sendall(b"ZZ\r\n")
        assert b"This is no HTTP request." in b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("path", [ONE, MANY, "/v1/processings", "/livez"])
@pytest.mark.parametrize("upgrade", UPGRADES, ids=["h2c", "websocket", "other"])
def test_a_request_to_upgrade_is_refused_and_its_body_is_no_request(served, upgrade, path, version, chunked):
    """A head that asks for another protocol gets 400 and the end; what follows as its body is never answered."""
    if chunked:
        lines = [f"POST {path} HTTP/{version}", *upgrade, "Host: localhost", "Transfer-Encoding: chunked", "", ""]
        head, body = "\r\n".join(lines).encode(), b"%x\r\n%s\r\n0\r\n\r\n" % (len(SECOND), SECOND)
    else:
        sent = request(version, *upgrade, path=path, body=SECOND, key="sceau_wrong")
        head, body = sent[: -len(SECOND)], SECOND
    with connected(served) as connection:
        connection.sendall(head)
        status, told, _ = one_answer(connection)
        assert (status, told["connection"]) == (400, ["close"])
        with suppress(OSError):  # the service may have closed already
            connection.sendall(body)
            assert b"".join(iter(lambda: connection.recv(65_536), b"")) == b""


@pytest.mark.parametrize("after", [b"no HTTP\r\n\r\n", b"\0" * 40, b"GET / HTTP/9.9\r\n\r\n"])
@pytest.mark.parametrize("path", [ONE, "/livez"], ids=["decision", "route"])
def test_a_whole_request_is_answered_whatever_follows_it_in_the_same_read(served, path, after):
    """Two whole requests and then bytes that are no request: two answers, then 400, then the end."""
    sent = request("1.1", path=path, method="POST" if path == ONE else "GET", body=None if path == ONE else b"")
    received = to_the_end(served, sent + sent + after)
    statuses = [int(each.split(b" ", 1)[0]) for each in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 200, 400]


@pytest.mark.parametrize("path", [ONE, "/livez"], ids=["decision", "route"])
@pytest.mark.parametrize("written", ["r-1 ", " r-1\t", "r-1 \t "])
def test_blanks_around_a_request_id_are_no_part_of_it(served, path, written):
    """The id comes back without the blanks that stand around a field's value (RFC 9110, 5.5)."""
    sent = request("1.1", f"X-Request-ID:{written}", path=path, method="POST" if path == ONE else "GET")
    with connected(served) as connection:
        connection.sendall(sent)
        assert one_answer(connection)[1]["x-request-id"] == ["r-1"]


@pytest.mark.parametrize("path", [ONE, f"{MANY}?"])
@pytest.mark.parametrize("header", ["Expect: 100-continue", CLOSE])
def test_an_answer_that_comes_before_the_body_is_not_lost(served, path, header):
    """A client that is refused for the size, and still sends its body, reads the refusal before the end."""
    body = b" " * 3_000_000
    head = request("1.1", header, path=path, body=b"", length=len(body))
    with connected(served) as connection:
        connection.sendall(head)
        time.sleep(0.2)  # the answer is on its way
        for start in range(0, len(body), 100_000):
            connection.sendall(body[start : start + 100_000])
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
