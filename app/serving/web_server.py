"""Uvicorn's server, which resets nobody when it stops to accept."""

import asyncio
import select
import time
from socket import socket
from typing import Final

import uvicorn

_SECONDS: Final = 1.0


class WebServer(uvicorn.Server):
    """A server that closes its listening sockets once nobody stands in their queues: the system resets who does."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Accept who waits, for a second at most, then stop to accept, and end as uvicorn does."""
        waiting = select.poll()
        for server in self.servers:
            for each in server.sockets:
                waiting.register(each.fileno(), select.POLLIN)
        until = time.monotonic() + _SECONDS
        while waiting.poll(0) and time.monotonic() < until:  # noqa: ASYNC110 - the kernel knows, and sets no event
            await asyncio.sleep(0)  # the loop accepts
        for server in self.servers:
            server.close()
        await super().shutdown(sockets)
