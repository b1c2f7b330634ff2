"""Checkpoints kept outside the database: what a log that was set back, or begun anew, cannot take back."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAME: Final = "checkpoint"


class HeadsUnreadableError(Exception):
    """The directory or the last checkpoint in it cannot be read or written; the message is one line."""


@dataclass(frozen=True, slots=True)
class KeptHeads:
    """A directory with the last checkpoint. `directory` None: nothing is kept, and nothing compared."""

    directory: Path | None

    def last(self) -> str | None:
        """The last checkpoint that was kept; None where none was yet, or none is.

        Raises:
            HeadsUnreadableError: there is one, and it cannot be read.

        """
        if self.directory is None:
            return None
        try:
            return (self.directory / _NAME).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise HeadsUnreadableError(f"{self.directory}: the last checkpoint cannot be read") from error

    def keep(self, note: str) -> None:
        """Put a checkpoint in the place of the last one, whole or not at all.

        Raises:
            HeadsUnreadableError: it cannot be written.

        """
        if self.directory is None:
            return
        part = self.directory / f".{_NAME}.part"
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.directory / _NAME)
        except OSError as error:
            raise HeadsUnreadableError(f"{self.directory}: the checkpoint cannot be written") from error
