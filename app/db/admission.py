"""Whether a process may use its database yet: not before it has been checked that the database is its deployment's."""

import asyncio
from typing import Any


class Admission:
    """Open to all by default. Held back, it is open to the task that checks the database, and to no other."""

    def __init__(self) -> None:
        """Let everybody in."""
        self._checking: asyncio.Task[Any] | None = None

    def hold_back(self, checking: "asyncio.Task[Any]") -> None:
        """Let nobody but this task in, until `open`."""
        self._checking = checking

    def open(self) -> None:
        """Let everybody in."""
        self._checking = None

    @property
    def is_open(self) -> bool:
        """Whether the database was checked, as far as this process had to."""
        return self._checking is None

    def admits(self) -> bool:
        """Whether the present task may use the database."""
        return self._checking is None or self._checking is asyncio.current_task()
