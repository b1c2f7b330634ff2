"""A small TCP proxy in front of PostgreSQL's socket that can swallow everything, without telling either side."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Proxy:
    """Forwards connections of 127.0.0.1:`port` to a Unix socket, while it is not a black hole."""

    def __init__(self, socket: Callable[[], Path]) -> None:
        """Forward each new connection to the socket that is given then."""
        self.port = 0
        self.swallowed = 0
        self.held = 0
        self._socket = socket
        self._clear = asyncio.Event()
        self._clear.set()
        self._lost = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a port of its own."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hole(self, *, lost: bool) -> None:
        """Let nothing through: what is `lost` never arrives; otherwise it arrives when the hole is gone."""
        self._lost = lost
        self._clear.clear()

    def clear(self) -> None:
        """Let new bytes through again. A connection that lost some stays dead, and nobody is told."""
        self._clear.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError):
                back_reader, back_writer = await asyncio.open_unix_connection(self._socket())
                try:
                    await self._both(reader, writer, back_reader, back_writer)
                finally:
                    back_writer.transport.abort()
        except asyncio.CancelledError:
            pass  # the run ends: asyncio would report it as an error of the server
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back_reader: asyncio.StreamReader,
        back_writer: asyncio.StreamWriter,
    ) -> None:
        dead = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            forth = group.create_task(self._pump(reader, back_writer, dead))
            back = group.create_task(self._pump(back_reader, writer, dead))
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            forth.cancel()
            back.cancel()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dead: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if not self._clear.is_set():
                    if self._lost:
                        dead.set()
                    else:
                        self.held += len(data)
                        await self._clear.wait()
                if dead.is_set():
                    self.swallowed += len(data)
                    continue
                writer.write(data)
                await writer.drain()
