"""The kept register, fetched in the background at an interval, so that exempt analyses never wait for a network.

Before the first fetch the program's own declaration counts. Later the last fetched register counts, however old it is:
mail must be filtered even while Sceau is away. So a suspension takes effect at the next fetch that succeeds.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from sceau_client import wire
from sceau_client.register import Register, declared, read_register
from sceau_client.transport import Request, Transport
from sceau_client.words import Cause, ExemptPurpose

_FETCH_SECONDS: Final = 10.0
_FIRST_PAUSE_SECONDS: Final = 1.0
log = logging.getLogger("sceau_client")


class KeptRegister:
    """The register that counts now. Written by one event loop, read by any thread."""

    def __init__(self, exempt: Mapping[str, ExemptPurpose]) -> None:
        """Use the declared register until one is fetched."""
        self.current = declared(exempt)
        self.fetched = False
        self._declared = tuple(exempt)
        self._trouble: Cause | None = None

    async def fetch(self, transport: Transport) -> None:
        """Fetch the register once; if that fails, the present one stays."""
        until = asyncio.get_running_loop().time() + _FETCH_SECONDS
        found = _read(await transport.send(Request("GET", wire.PROCESSINGS, wire.REGISTER_BYTES), until))
        if isinstance(found, Register):
            self._take(found)
        elif found is not self._trouble:
            log.warning("the register cannot be fetched: %s", found.value)
        self._trouble = found if isinstance(found, Cause) else None

    async def keep(self, transport: Transport, interval: float, tried: asyncio.Event) -> None:
        """Fetch the register again and again at this interval (seconds); sooner until the first fetch succeeds."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self.fetch(transport)
            tried.set()
            await asyncio.sleep(interval if self.fetched else min(pause, interval))
            pause *= 2

    def _take(self, register: Register) -> None:
        if not self.fetched:
            others = [name for name in self._declared if name not in register]
            if others:
                log.error("declared exempt, but not by the register, which counts from now on: %s", ", ".join(others))
        self.current = register
        self.fetched = True


def _read(reply: wire.Reply | wire.NoReply) -> Register | Cause:
    if isinstance(reply, wire.NoReply):
        return reply.cause
    cause = wire.cause_of(reply.status)
    if cause is not None:
        return cause
    try:
        return read_register(wire.parse(reply))
    except wire.NotUnderstoodError:
        return Cause.MALFORMED
