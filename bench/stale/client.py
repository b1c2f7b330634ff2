"""A small HTTP/1.1 client on asyncio: keep-alive, and requests that are not sent in one piece when that is wanted."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class CallError(Exception):
    """No answer: nobody knows what became of the request."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request; `more` are header lines that end in CRLF, `in_halves`: its body comes after its head."""

    method: str
    path: str
    body: bytes
    key: str
    more: str = ""
    in_halves: bool = False

    def head(self) -> bytes:
        """The bytes before its body."""
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n{self.more}\r\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, and when its request was begun and it was read (CLOCK_MONOTONIC)."""

    status: int
    text: bytes
    start: float
    end: float


class Connections:
    """Connections to one worker, kept open; one that failed is not used again."""

    def __init__(self, port: int, *, timeout: float = 8.0) -> None:
        """Connect to a port of this machine when asked to."""
        self._port = port
        self._timeout = timeout
        self._idle: list[Pair] = []

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str, more: str = ""
    ) -> tuple[int, Any]:
        """Status and JSON of one request.

        Raises:
            CallError: the connection failed, or no answer came in time.

        """
        payload = json.dumps(body).encode() if body is not None else b""
        (answer,) = await self.exchange([Sent(method, path, payload, key, more)])
        return answer.status, json.loads(answer.text) if answer.text else None

    async def exchange(self, requests: Sequence[Sent], *, pause: float = 0.0) -> list[Answer]:
        """Send requests on one connection without waiting for their answers, which come in order.

        Args:
            requests: what is sent.
            pause: seconds between two of them, and between head and body of one that is sent in halves.

        Raises:
            CallError: the connection failed, or no answer came in time.

        """
        pair = self._idle.pop() if self._idle else None
        try:
            async with asyncio.timeout(self._timeout):
                if pair is None:
                    pair = await asyncio.open_connection("127.0.0.1", self._port)
                starts = await _send(pair[1], requests, pause)
                answers, keep = await _receive(pair[0], starts)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            if pair is not None:
                pair[1].transport.abort()
            raise CallError(type(error).__name__) from None
        except BaseException:
            if pair is not None:
                pair[1].transport.abort()
            raise
        if keep:
            self._idle.append(pair)
        else:
            pair[1].close()
        return answers

    def close(self) -> None:
        """Drop every connection."""
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle = []


async def _send(writer: asyncio.StreamWriter, requests: Sequence[Sent], pause: float) -> list[float]:
    """Send them; when each was begun."""
    starts: list[float] = []
    for request in requests:
        if starts:
            await asyncio.sleep(pause)
        starts.append(time.monotonic())
        if request.in_halves:
            writer.write(request.head())
            await asyncio.sleep(pause)
            writer.write(request.body)
        else:
            writer.write(request.head() + request.body)
    return starts


async def _receive(reader: asyncio.StreamReader, starts: Sequence[float]) -> tuple[list[Answer], bool]:
    """An answer for each, and whether the connection stays open."""
    answers, keep = [], True
    for start in starts:
        status, keep, text = await _answer(reader)
        answers.append(Answer(status, text, start, time.monotonic()))
    return answers, keep


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head[9:12])
    length = 0
    for line in head.split("\r\n")[1:]:
        if line.startswith("content-length:"):
            length = int(line[15:])
    text = await reader.readexactly(length) if length else b""
    return status, "connection: close" not in head, text
