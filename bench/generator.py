"""A generator of our own, in a process of its own: open loop at a constant rate, or closed loop.

Open loop: requests are due at constant intervals whatever the server does, and each is timed from when it was due, so
that a stall counts for every request that it held up. How late the generator itself was, with a connection free, is its
lag: it is told beside the times, and a lag of their size would make them worthless.
"""

import argparse
import json
import os
import select
import socket
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

from bench.figures import percentile

_SPIN_SECONDS: Final = 0.002
_WARMING: Final = 0.1
_STALLED_SECONDS: Final = 20.0
_LENGTH: Final = b"\r\ncontent-length:"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: prepared requests in turn; `rate` a second, or as fast as they are answered when it is 0.

    `apart`: keep to the first of the cores, which the server is kept off (`bench.processes.apart`).
    """

    port: int
    requests: str
    key: str
    count: int
    rate: float = 0.0
    connections: int = 64
    apart: int = 0


@dataclass(frozen=True, slots=True)
class Times:
    """What was found, in milliseconds; `failed` counts answers that were no 2xx."""

    sent: int
    seconds: float
    failed: int
    p50: float
    p99: float
    longest: float
    lag_p99: float


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    due: float | None = None
    received: bytes = b""


@dataclass(slots=True)
class _Run:
    """The state of one run."""

    load: Load
    poll: select.epoll = field(default_factory=select.epoll)
    free: deque[_Connection] = field(default_factory=deque)
    waiting: deque[float] = field(default_factory=deque)
    connections: dict[int, _Connection] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    failed: int = 0


def run(load: Load) -> Times:
    """Send the load and time its answers.

    Raises:
        TimeoutError: nothing was answered for twenty seconds.

    """
    if load.apart:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    prepared = cycle(_prepared(load))
    state = _Run(load)
    for _ in range(load.connections):
        connection = _Connection(_connected(load.port))
        state.free.append(connection)
        state.connections[connection.socket.fileno()] = connection
        state.poll.register(connection.socket, select.EPOLLIN)
    began = time.perf_counter() + 0.01
    sent, answered_at = 0, began
    while len(state.times) < load.count:
        now = time.perf_counter()
        sent += _arrive(state, began, now, sent)
        while state.waiting and state.free:
            _send(state.free.popleft(), state.waiting.popleft(), next(prepared))
        if _receive(state, _pause(load, began, sent)):
            answered_at = time.perf_counter()
        elif time.perf_counter() - answered_at > _STALLED_SECONDS:
            raise TimeoutError("the server no longer answers")
    seconds = time.perf_counter() - began
    kept = state.times[int(len(state.times) * _WARMING) :] if load.rate else state.times
    return Times(
        sent=sent,
        seconds=seconds,
        failed=state.failed,
        p50=percentile(kept, 0.5) * 1000,
        p99=percentile(kept, 0.99) * 1000,
        longest=max(kept) * 1000,
        lag_p99=percentile(state.lags, 0.99) * 1000 if state.lags else 0.0,
    )


def due_times(rate: float, began: float, sent: int, until: float) -> list[float]:
    """When the requests after the first `sent` were due, up to an instant: at constant intervals from the beginning."""
    due = int((until - began) * rate) + 1 if until >= began else 0
    return [began + number / rate for number in range(sent, due)]


def _arrive(state: _Run, began: float, now: float, sent: int) -> int:
    load = state.load
    if load.rate:
        due = due_times(load.rate, began, sent, now)[: load.count - sent]
        if len(state.free) > len(state.waiting):
            state.lags += [now - each for each in due[: len(state.free) - len(state.waiting)]]
    else:
        due = [now] * min(len(state.free), load.count - sent)
    state.waiting += due
    return len(due)


def _pause(load: Load, began: float, sent: int) -> float:
    """How long to wait for answers: not at all when the next request is nearly due."""
    if not load.rate:
        return 1.0
    ahead = began + sent / load.rate - time.perf_counter()
    return 0.0 if sent < load.count and ahead < _SPIN_SECONDS else 0.001


def _send(connection: _Connection, due: float, request: bytes) -> None:
    connection.due = due
    connection.socket.sendall(request)


def _receive(state: _Run, pause: float) -> bool:
    """Take what has been answered; whether anything was."""
    events = state.poll.poll(pause)
    for descriptor, _ in events:
        connection = state.connections[descriptor]
        connection.received += connection.socket.recv(1 << 20)
        if not is_complete(connection.received):
            continue
        if connection.due is None:
            raise ConnectionError("the server answered what was not asked")
        state.times.append(time.perf_counter() - connection.due)
        state.failed += connection.received[9:10] != b"2"
        connection.received, connection.due = b"", None
        state.free.append(connection)
    return bool(events)


def is_complete(received: bytes) -> bool:
    """Whether an HTTP/1.1 answer with a Content-Length is all there.

    Raises:
        ConnectionError: the server closed the connection.

    """
    if not received:
        raise ConnectionError("the server closed a connection")
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = received.find(_LENGTH, 0, end)
    if at < 0:
        at = received[:end].lower().find(_LENGTH)
    if at < 0:
        return True
    begins = at + len(_LENGTH)
    return len(received) >= end + 4 + int(received[begins : received.find(b"\r\n", begins)])


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _prepared(load: Load) -> list[bytes]:
    made = []
    for line in Path(load.requests).read_text(encoding="utf-8").splitlines():
        path, _, body = line.partition("\t")
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {load.key}\r\nContent-Length: {len(body.encode())}\r\n\r\n"
        )
        made.append(f"{head}{body}".encode())
    return made


def main() -> None:
    """Run a load given as JSON on the command line; print what was found as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("load", type=json.loads)
    print(json.dumps(asdict(run(Load(**parser.parse_args().load)))))


if __name__ == "__main__":
    main()
