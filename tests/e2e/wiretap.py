"""A tap on the wire between a client and Sceau: records every request as it came, and causes faults on demand.

It listens on loopback and passes bytes on without changing any, so that what a test reads here is what reached Sceau,
and what the client got is what Sceau said. It must not decide anything: a fault is chosen by the test.
"""

import contextlib
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.http_bytes import Received, read_request, read_response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass
class Heard:
    """One request as it came; `answer` is all that went back, `gave_up` that the client left before it had it all.

    `gave_up_first`: it did so before the other client of `raced`.
    """

    connection: int
    request: Received
    answer: bytes = b""
    gave_up: bool = False
    gave_up_first: bool = False
    reached: bool = False

    @property
    def raw(self) -> bytes:
        """Every byte of it: request line, headers, body."""
        return self.request.head + self.request.body

    @property
    def path(self) -> str:
        """The target of the request line."""
        return self.request.line.split(" ")[1]

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, names in lower case."""
        return self.request.headers

    @property
    def json(self) -> Any:
        """Its body as JSON."""
        return json.loads(self.request.body)

    @property
    def answered(self) -> Any:
        """The body of the answer as JSON."""
        return json.loads(self.answer.partition(b"\r\n\r\n")[2])


@dataclass(frozen=True)
class Line:
    """A client's connection: its socket, Sceau's address, and whether the fault that began with it still lasts."""

    client: socket.socket
    target: tuple[str, int]
    lasts: Callable[[], bool]

    def wait_until_it_hangs_up(self) -> bool:
        """Whether the client left before the fault was over."""
        while self.lasts():
            readable, _, _ = select.select([self.client], [], [], 0.02)
            if readable:
                with contextlib.suppress(OSError):
                    if self.client.recv(1, socket.MSG_PEEK):
                        continue
                return True
        return False


Behaviour = Callable[[Line, Heard], bool]
"""Treats one request; whether the connection may be used again."""


def passed_on(line: Line, heard: Heard) -> bool:
    """Sceau answers. Each request has a connection of its own to Sceau, so that none is kept from the client."""
    with socket.create_connection(line.target) as server:
        server.sendall(heard.raw)
        heard.reached = True
        answer = read_response(server)
    heard.answer = answer.head + answer.body
    try:
        line.client.sendall(heard.answer)
    except OSError:
        heard.gave_up = True
    return answer.keeps_open


def held(line: Line, heard: Heard) -> bool:
    """Nobody answers, until the client gives up or the fault is over."""
    heard.gave_up = line.wait_until_it_hangs_up()
    return False


def late(seconds: float, behave: Behaviour = passed_on) -> Behaviour:
    """The same, but some seconds later, unless the client gave up before."""

    def delayed(line: Line, heard: Heard) -> bool:
        patient = threading.Event()
        timer = threading.Timer(seconds, patient.set)
        timer.start()
        hung_up_on = Line(line.client, line.target, lambda: not patient.is_set() and line.lasts())
        heard.gave_up = hung_up_on.wait_until_it_hangs_up()
        timer.cancel()
        return not heard.gave_up and behave(line, heard)

    return delayed


def raced(behave: Behaviour, seconds: float) -> Behaviour:
    """The same, beside another client that begins to wait when this one was heard, and waits for so long."""

    def run(line: Line, heard: Heard) -> bool:
        other_left = threading.Event()
        other = threading.Timer(seconds, other_left.set)
        other.start()
        kept = behave(line, heard)
        heard.gave_up_first = heard.gave_up and not other_left.is_set()
        other.cancel()
        return kept

    return run


def stalled(line: Line, heard: Heard) -> bool:
    """An answer begins and does not go on, until the client gives up or the fault is over."""
    heard.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"
    line.client.sendall(heard.answer)
    heard.gave_up = line.wait_until_it_hangs_up()
    return False


def dripping(line: Line, heard: Heard) -> bool:
    """An answer comes byte by byte and has no end, until the client gives up or the fault is over."""
    heard.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
    try:
        line.client.sendall(heard.answer)
        while line.lasts() and not select.select([line.client], [], [], 0.1)[0]:
            line.client.sendall(b" ")
            heard.answer += b" "
    except OSError:
        heard.gave_up = True
    heard.gave_up = heard.gave_up or line.lasts()
    return False


def hung_up(_: Line, __: Heard) -> bool:
    """The connection is closed without an answer."""
    return False


def answering(status: int, body: bytes, content_type: str = "application/json") -> Behaviour:
    """The same answer to every request, whoever should have given it."""
    head = f"HTTP/1.1 {status} As-Told\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"

    def told(line: Line, heard: Heard) -> bool:
        heard.answer = head.encode() + b"Connection: keep-alive\r\n\r\n" + body
        line.client.sendall(heard.answer)
        return True

    return told


FAILING = answering(500, b'{"type":"about:blank","status":500}', "application/problem+json")
GARBAGE = answering(200, b"<html><body>It works!</body></html>", "text/html")


class Wiretap:
    """Listens on a loopback port of the system's choice and passes on to Sceau, or does what `fault` says."""

    def __init__(self, target: str) -> None:
        """Tap the wire to an address like `http://127.0.0.1:8080`."""
        parts = urlsplit(target)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._behave: Behaviour = passed_on
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._connections = 0
        self.heard: list[Heard] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._listen()

    @property
    def address(self) -> str:
        """Where clients ask."""
        return f"http://127.0.0.1:{self.port}"

    def since(self, mark: int) -> list[Heard]:
        """What was heard after so many requests."""
        return self.heard[mark:]

    def hears(self, text: str) -> bool:
        """Whether a text stands in any request so far, however its letters are cased."""
        wanted = text.encode().lower()
        return any(wanted in each.raw.lower() for each in self.heard)

    @contextlib.contextmanager
    def fault(self, behave: Behaviour) -> Iterator[None]:
        """Treat requests so while the block lasts."""
        self._behave = behave
        try:
            yield
        finally:
            self._behave = passed_on

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody listens while the block lasts, and connections that were kept are closed."""
        self._shut()
        try:
            yield
        finally:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._listen()

    def close(self) -> None:
        """Stop listening."""
        self._behave = passed_on
        self._shut()

    def _listen(self) -> None:
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        with self._lock:
            for client in self._open:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was shut down
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._connections += 1
                    number = self._connections
                    self._open.add(client)
                threading.Thread(target=self._serve, args=(client, number), daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with client, contextlib.suppress(OSError):  # the client may go at any time
            while request := read_request(client, lambda: client.sendall(CONTINUE)):
                heard = Heard(number, request)
                self.heard.append(heard)
                behave = self._behave

                def lasts(behave: Behaviour = behave) -> bool:
                    return self._behave is behave

                if not behave(Line(client, self._target, lasts), heard):
                    break
        with self._lock:
            self._open.discard(client)


@contextlib.contextmanager
def tapped(target: str) -> Iterator[Wiretap]:
    """A tap on the wire to an address, as long as the block lasts."""
    tap = Wiretap(target)
    try:
        yield tap
    finally:
        tap.close()
