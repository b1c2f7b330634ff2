"""A small HTTP/1.1 client on asyncio: keep-alive, JSON, one request at a time on a connection."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any


class CallError(Exception):
    """No answer: nobody knows what became of the request."""


class Connections:
    """Connections to one worker, kept open; one that failed is not used again."""

    def __init__(self, port: int, *, timeout: float = 8.0) -> None:
        """Connect to a port of this machine when asked to."""
        self._port = port
        self._timeout = timeout
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None, key: str, more: str = ""
    ) -> tuple[int, Any]:
        """Status and JSON of one request.

        Raises:
            CallError: the connection failed, or no answer came in time.

        """
        payload = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n{more}\r\n"
        )
        pair = self._idle.pop() if self._idle else None
        try:
            async with asyncio.timeout(self._timeout):
                if pair is None:
                    pair = await asyncio.open_connection("127.0.0.1", self._port)
                pair[1].write(head.encode() + payload)
                status, keep, text = await _answer(pair[0])
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
        return status, json.loads(text) if text else None

    def close(self) -> None:
        """Drop every connection."""
        for _, writer in self._idle:
            writer.transport.abort()
        self._idle = []


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head[9:12])
    length = 0
    for line in head.split("\r\n")[1:]:
        if line.startswith("content-length:"):
            length = int(line[15:])
    text = await reader.readexactly(length) if length else b""
    return status, "connection: close" not in head, text
