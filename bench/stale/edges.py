"""Programs with an edge beside each worker, asked like the workers are, and stopped, killed and forked meanwhile."""

import asyncio
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.stale.client import CallError
from bench.stale.fleet import KEY, ROOT

_CLIENT: Final = ROOT / "clients" / "python" / "src"
_ANSWER_SECONDS: Final = 12.0
MEMORY: Final = "answered by an edge, from memory"
PERMITS: Final = "answered by an edge, from memory, a permit"
SOCKET: Final = "answered by an edge, by its socket"


@dataclass(slots=True)
class EdgeProgram:
    """One program (`tests.edge.program`), started again when it has died. `answered` counts how it answered."""

    socket: Path
    answered: Counter[str]
    process: asyncio.subprocess.Process | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, user: str, processing: str) -> bool | None:
        """Whether it permits; None where it knows no answer.

        Raises:
            CallError: it died meanwhile, or hangs.

        """
        async with self._turn:
            words = (await self._say(f"{user} {processing}")).split()
        if words[0] == "none":
            return None
        permitted = words[0] == "permit"
        self.answered[MEMORY if words[1] == "memory" else SOCKET] += 1
        self.answered[PERMITS] += permitted and words[1] == "memory"
        return permitted

    async def fork(self) -> bool:
        """Have it fork; whether its child answers from then on."""
        async with self._turn:
            try:
                return await self._say("fork") == "forked"
            except CallError:
                return False

    def signal(self, number: signal.Signals) -> bool:
        """Send it a signal; whether it lived."""
        if self.process is None or self.process.returncode is not None:
            return False
        os.killpg(self.process.pid, number)
        return True

    async def stop(self) -> None:
        """End it."""
        if self.signal(signal.SIGKILL) and self.process is not None:
            await self.process.wait()
        self.process = None

    async def _say(self, line: str) -> str:
        if self.process is None or self.process.returncode is not None:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.edge.program",
                str(self.socket),
                env={**os.environ, "SCEAU_KEY": KEY, "PYTHONPATH": str(_CLIENT)},
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                self.process.stdin.write(line.encode() + b"\n")
                await self.process.stdin.drain()
                said = await self.process.stdout.readline()
        except (OSError, TimeoutError):
            said = b""
        except asyncio.CancelledError:  # its answer would be taken for that to the next question
            await self.stop()
            raise
        if not said:
            await self.stop()
            raise CallError("an edge died")
        return said.decode().strip()
