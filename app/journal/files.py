"""Files of a host: the journal's, to which every process appends whole lines; the last checkpoint; files put whole."""

import fcntl
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import msgspec

from app.core.errors import RefusalError
from app.proof.verifier.notes import Checkpoint, Note, NoteError


class JournalError(RefusalError):
    """The journal cannot be read or written; the message is one line that says why."""


Clock = Callable[[], datetime]
"""This host's clock, aware (UTC)."""


_NAME: Final = "journal-*.ndjson"
_TAIL_BYTES: Final = 1_048_576


@contextmanager
def put_in_place(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes a path's place, whole and on disk, once the block has ended well.

    Only this account may read it. Until then it is new, under a name that nobody can foresee: whoever may write in the
    directory can neither make it first, and so own it, nor have what is written go elsewhere by a link.

    Raises:
        OSError: it cannot be written.

    """
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def put_whole(path: Path, content: bytes) -> None:
    """Replace a file, whole or not at all (`put_in_place`).

    Raises:
        OSError: it cannot be written.

    """
    with put_in_place(path) as file:
        file.write(content)


def append(directory: Path, at: datetime, lines: Sequence[bytes]) -> None:
    """Append lines to the file of a month, and have them on disk before this returns.

    One process at a time appends, with one write: lines do not mix, even where a full disk cuts one short.

    Raises:
        JournalError: they could not be written in full.

    """
    path = directory / f"journal-{at:%Y-%m}.ndjson"
    written = b"".join(lines)
    try:
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # until it is closed: no process appends to a line that is cut short
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                written = b"\n" + written  # a full disk has cut the last line short
            if os.write(descriptor, written) != len(written):
                raise JournalError("the journal has no room")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            _sync(directory)
    except OSError as error:
        raise JournalError(f"the journal cannot be written ({error.strerror})") from None


def _sync(directory: Path) -> None:
    """Have the name of a new file on disk too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lines_of(directory: Path) -> Iterator[bytes]:
    """Yield every line of the journal, oldest first, except lines that a full disk cut short.

    Raises:
        JournalError: a file cannot be read.

    """
    for path in _files(directory):
        try:
            with path.open("rb") as file:
                yield from (line for line in file if _is_whole(line))
        except OSError as error:
            raise JournalError(f"{path.name} cannot be read ({error.strerror})") from None


def last_lines(directory: Path, count: int) -> list[bytes]:
    """Return the last `count` lines of each of the last two files, and of earlier files if these have fewer in all.

    If a host's clock was ahead, the last file is not the one that is written now. At most a mebibyte of a file is read.

    Raises:
        JournalError: a file cannot be read.

    """
    lines: list[bytes] = []
    for number, path in enumerate(reversed(_files(directory)), start=1):
        lines = [*_tail(path)[-count:], *lines]
        if number > 1 and len(lines) >= count:
            break
    return lines


def _tail(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.readlines()
    except OSError as error:
        raise JournalError(f"{path.name} cannot be read ({error.strerror})") from None
    begun = lines[1:] if size > _TAIL_BYTES else lines  # the first may be cut where reading began
    return [line for line in begun if _is_whole(line)]


def _is_whole(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}\n")


def _files(directory: Path) -> list[Path]:
    try:
        # Not `Path.glob`, which treats an unreadable directory as an empty one.
        with os.scandir(directory) as entries:
            return sorted(directory / entry.name for entry in entries if fnmatch(entry.name, _NAME))
    except OSError as error:
        raise JournalError(f"the journal's directory cannot be read ({error.strerror})") from None


# The deployment's own program, which takes lines of the journal to a place that survives the loss of the host.

_SECONDS: Final = 5.0
_SETTING: Final = "SCEAU_"
"""The prefix of settings, which are withheld: they hold keys, and the program needs none, as lines are sealed."""


def hand_on(hook: Path, lines: Sequence[bytes]) -> None:
    """Run the program with the lines on its standard input; exit status 0 means that it has kept them.

    It does not see Sceau's settings. A program that takes too long is killed, with every process that it has started.

    Raises:
        JournalError: it cannot be run, fails, or takes longer than five seconds.

    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTING)}
    try:
        program = subprocess.Popen(
            [hook],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise JournalError(f"the journal's hook cannot be run ({error.strerror})") from None
    with program:
        try:
            program.communicate(b"".join(lines), timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise JournalError("the journal's hook takes too long") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    if program.returncode != 0:
        raise JournalError("the journal's hook failed")


# Notes that a process saw in the database, whichever process made them: it still knows them when their host is gone
# with its journal. Their ids are in a file beside this host's journal, so that the next process knows them too.

_FILE: Final = "seen.json"


class SeenNotes(msgspec.Struct, frozen=True):
    """Ids of the latest notes of a database in one of its epochs."""

    epoch: int = 1
    ids: frozenset[UUID] = frozenset()


def write_seen(directory: Path, seen: SeenNotes) -> None:
    """Write the file of a host, whole or not at all.

    Raises:
        JournalError: it could not be written.

    """
    try:
        put_whole(directory / _FILE, msgspec.json.encode(seen))
    except OSError as error:
        raise JournalError(f"{_FILE} cannot be written beside the journal ({error.strerror})") from None


def read_seen(directory: Path) -> SeenNotes:
    """Return what the file of a host says; empty where there is no file.

    Raises:
        JournalError: it cannot be read.

    """
    try:
        return msgspec.json.decode((directory / _FILE).read_bytes(), type=SeenNotes)
    except FileNotFoundError:
        return SeenNotes()
    except (OSError, msgspec.DecodeError):
        raise JournalError(f"{_FILE} beside the journal cannot be read") from None


# The last checkpoint of the proof log that this host has seen: a log that was set back or forked is not gone on with.

_HEAD: Final = "checkpoint"
_USED: Final = "used"
"""The file that says that a checkpoint was once kept here: without it, the directory is new."""


class HeadsUnreadableError(RefusalError):
    """The directory or the last checkpoint in it cannot be read or written; the message is one line."""


@dataclass(frozen=True, slots=True)
class KeptHeads:
    """A directory with the last checkpoint. `directory` None: nothing is kept or compared."""

    directory: Path | None

    def last(self) -> str | None:
        """Return the last checkpoint that was kept; None where none is kept, or the directory was never used.

        Raises:
            HeadsUnreadableError: there was one, and it is gone or cannot be read.

        """
        if self.directory is None:
            return None
        try:
            return (self.directory / _HEAD).read_text(encoding="utf-8")
        except FileNotFoundError:
            if (self.directory / _USED).exists():
                raise HeadsUnreadableError(f"{self.directory}: the last checkpoint is gone") from None
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise HeadsUnreadableError(f"{self.directory}: the last checkpoint cannot be read") from error

    def epoch(self) -> int:
        """Return the epoch of the last checkpoint; 1 where none is kept or it cannot be read, which others report."""
        try:
            kept = self.last()
            return 1 if kept is None else Checkpoint.parse(Note.parse(kept).text).epoch
        except (HeadsUnreadableError, NoteError):
            return 1

    def keep(self, note: str) -> None:
        """Replace the last checkpoint, wholly or not at all; one with fewer entries changes nothing.

        Raises:
            HeadsUnreadableError: it cannot be written.

        """
        if self.directory is None:
            return
        try:
            with (self.directory / _USED).open("a") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)  # two processes may have appended one after the other
                head = self.directory / _HEAD
                kept = head.read_text(encoding="utf-8") if head.exists() else None
                if kept is None or _size(kept) <= _size(note):
                    put_whole(head, note.encode())
                    _sync(self.directory)
        except OSError as error:
            raise HeadsUnreadableError(f"{self.directory}: the checkpoint cannot be written") from error


def _size(note: str) -> int:
    return Checkpoint.parse(Note.parse(note).text).size
