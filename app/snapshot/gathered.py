"""Reads of records gathered: what is asked for while a statement runs is read together by the next one.

A statement begins after everything that it reads was asked for, so each reader sees what was committed before it asked.
Under load a few statements stand for many requests, and with none running a read begins at the end of this pass of the
event loop, without waiting for more. A read that waits longer than the deadline, or finds too many waiting, fails.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, Generic, TypeVar

from app.db.database import DatabaseUnavailableError

_Value = TypeVar("_Value")
_MOST_RUNNING: Final = 2
_MOST_KEYS: Final = 500
_MOST_WAITING: Final = 5_000
"""Records that may wait to be read: five rounds of statements, which behind a slow database fill the deadline."""


class GatheredReads(Generic[_Value]):
    """Reads records by key; not thread-safe."""

    def __init__(
        self, read: Callable[[Collection[bytes]], Awaitable[Mapping[bytes, _Value]]], *, deadline: float
    ) -> None:
        """Read with `read`, which returns a value for each of the keys that it is given, in `deadline` seconds."""
        self._read = read
        self._deadline = deadline
        self._keys_waiting = 0
        self._waiting: list[tuple[Collection[bytes], asyncio.Future[Mapping[bytes, _Value]]]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._due = False

    async def read(self, keys: Collection[bytes]) -> Mapping[bytes, _Value]:
        """The records of these keys (and perhaps of others).

        Raises:
            DatabaseUnavailableError: too many wait already, or the deadline passed.
            Exception: what the statement that read them raised.

        """
        if self._waiting and self._keys_waiting + len(keys) > _MOST_WAITING:
            raise DatabaseUnavailableError
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Mapping[bytes, _Value]] = loop.create_future()
        self._waiting.append((keys, found))
        self._keys_waiting += len(keys)
        if not self._due and len(self._running) < _MOST_RUNNING:
            self._due = True
            loop.call_soon(self._begin)
        try:
            async with asyncio.timeout(self._deadline):
                return await found
        except TimeoutError as error:
            raise DatabaseUnavailableError from error

    def _begin(self) -> None:
        self._due = False
        while self._waiting and len(self._running) < _MOST_RUNNING:
            taken, number = 0, 0
            while taken < len(self._waiting) and (taken == 0 or number < _MOST_KEYS):
                number += len(self._waiting[taken][0])
                taken += 1
            together, self._waiting = self._waiting[:taken], self._waiting[taken:]
            self._keys_waiting -= number
            together = [each for each in together if not each[1].done()]  # no request waits for the others any more
            if not together:
                continue
            running = asyncio.get_running_loop().create_task(self._run(together))
            self._running.add(running)
            running.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    async def _run(self, together: list[tuple[Collection[bytes], asyncio.Future[Mapping[bytes, _Value]]]]) -> None:
        try:
            found = await self._read({key for keys, _ in together for key in keys})
        except BaseException as error:
            told = error if isinstance(error, Exception) else DatabaseUnavailableError()
            for _, each in together:
                if not each.done():
                    each.set_exception(told)
            if not isinstance(error, Exception):
                raise
        else:
            for _, each in together:
                if not each.done():
                    each.set_result(found)
