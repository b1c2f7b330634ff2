"""The users that the tests of the embedded server act as, and the processes they run.

As root, each test runs twice: as root, and as a plain user in a process that has dropped to `nobody`. As a plain user
it runs once, as that user. No test is left out.
"""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.db.embedded.binaries import Account, find_binaries, runnable_binaries
from app.db.embedded.directory import DataDirectory

ROOT = Path(__file__).parents[2]
FAST: Mapping[str, str] = {"fsync": "off"}
IS_ROOT = os.geteuid() == 0


@dataclass(frozen=True)
class Actor:
    """A user, and how that user's Python finds the application and the PostgreSQL programs."""

    name: str
    uid: int
    gid: int
    python: str
    root: Path
    binaries: str

    def directory(self) -> Path:
        """A new 0700 directory of this user, below directories that let everybody through."""
        made = open_directory()
        made.chmod(0o700)
        os.chown(made, self.uid, self.gid)
        return made


def open_directory() -> Path:
    """A new directory that everybody can reach and read, even when TMPDIR is not such a place."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    place = next(place for place in places if _nobody().can_reach(place / "below"))
    made = Path(tempfile.mkdtemp(prefix="sceau-test-", dir=place))
    made.chmod(0o755)
    return made


@cache
def _reachable_place() -> Path:
    return open_directory()


def remove_reachable_copies() -> None:
    """Remove what the plain users of root's tests needed, if it was made."""
    if _reachable_place.cache_info().currsize:
        shutil.rmtree(_reachable_place())
        _reachable_place.cache_clear()


@cache
def reachable_python() -> str:
    """This interpreter, or a copy of it with its standard library when only root can reach it."""
    program = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    if not IS_ROOT or _nobody().can_reach(program):
        return str(program)
    library = Path(os.__file__).parent
    copy = _reachable_place() / "python"
    (copy / "bin").mkdir(parents=True)
    shutil.copy(program, copy / "bin")
    unneeded = shutil.ignore_patterns("site-packages", "test", "idlelib", "tkinter", "lib2to3", "ensurepip", "config-*")
    shutil.copytree(library, copy / "lib" / library.name, ignore=unneeded)
    for shared in library.parent.glob("libpython*.so*"):
        shutil.copy(shared, copy / "lib")
    _open_to_all(copy)
    return str(copy / "bin" / program.name)


@cache
def _reachable_application() -> tuple[Path, Path]:
    """The application, and the PostgreSQL programs, where nobody can read them."""
    copy = _reachable_place() / "checkout"
    for name in ("app", "migrations"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("starter.py"), copy / "starter.py")
    _open_to_all(copy)
    original = find_binaries()
    binaries = runnable_binaries(original, _nobody(), _reachable_place())
    if binaries != original and not (binaries / "psql").exists():  # which root runs from the original
        shutil.copy2(original / "psql", binaries)
    return copy, binaries


def _open_to_all(place: Path) -> None:
    for copied in (place, *place.rglob("*")):
        if not copied.is_symlink():
            copied.chmod(0o755 if copied.is_dir() or copied.parent.name == "bin" else 0o644)


def _nobody() -> Account:
    entry = pwd.getpwnam("nobody")
    return Account("nobody", entry.pw_uid, entry.pw_gid)


def actor(name: str) -> Actor:
    """The actor "self" (root, or whoever runs the tests) or "plain" (nobody, when root runs the tests)."""
    if name == "self":
        return Actor(name, os.geteuid(), os.getegid(), sys.executable, ROOT, "-")
    root, binaries = _reachable_application()
    return Actor(name, _nobody().uid, _nobody().gid, reachable_python(), root, str(binaries))


ACTORS = ("self", "plain") if IS_ROOT else ("self",)


def becoming(uid: int, gid: int) -> dict[str, Any]:
    """What subprocess needs to run a program as this user, with the libraries of the interpreter's copy."""
    if uid == os.geteuid():
        return {}
    libraries = str(Path(reachable_python()).parents[1] / "lib")
    environment = {"PATH": os.environ.get("PATH", ""), "LD_LIBRARY_PATH": libraries}
    return {"user": uid, "group": gid, "extra_groups": [], "env": environment}


class Starter:
    """A process of an actor that supervises one data directory."""

    def __init__(self, who: Actor, data: Path, *, settings: Mapping[str, str] = FAST, limit: int = -1) -> None:
        script = who.root / "starter.py" if who.name == "plain" else Path(__file__).with_name("starter.py")
        self.process = subprocess.Popen(
            [who.python, str(script), str(who.root), str(data), who.binaries, json.dumps(dict(settings)), str(limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd="/",
            **becoming(who.uid, who.gid),
        )

    def tell(self, word: str) -> None:
        """Send a command without waiting for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def ask(self, word: str) -> dict[str, Any]:
        """Send a command; its answer."""
        self.tell(word)
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def started(self) -> dict[str, Any]:
        """Start the server, which must succeed."""
        answer = self.ask("start")
        assert "refused" not in answer, answer
        return answer

    def kill(self) -> None:
        """End the process as the kernel's out-of-memory killer would."""
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """End the process, whatever state it is in."""
        with suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def starting(who: Actor, data: Path, *, settings: Mapping[str, str] = FAST, limit: int = -1) -> Iterator[Starter]:
    """A starter that is gone, with its server, after the block."""
    starter = Starter(who, data, settings=settings, limit=limit)
    try:
        yield starter
    finally:
        if not starter.process.stdin.closed:  # type: ignore[union-attr]
            starter.close()


@contextmanager
def small_disk(who: Actor, megabytes: int, *, read_only: bool = False) -> Iterator[Path | None]:
    """A file system of that size that belongs to the actor; None where this process may not mount one."""
    place = Path(tempfile.mkdtemp(prefix="sceau-test-disk-"))
    options = f"size={megabytes}m,mode=0700,uid={who.uid},gid={who.gid}" + (",ro" if read_only else "")
    try:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        mounted = IS_ROOT and subprocess.run(command, check=False, capture_output=True).returncode == 0
        try:
            yield place if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", str(place)], check=True)
    finally:
        place.rmdir()


def tree(place: Path) -> dict[str, tuple[int, int]]:
    """Every path below a directory with its mode and owner."""
    return {str(path): (path.lstat().st_mode, path.lstat().st_uid) for path in (place, *place.rglob("*"))}


def is_running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def server_processes(uid: int, data: Path) -> list[int]:
    """The processes of the server on this data directory: all of them show its mark to everybody."""
    mark = DataDirectory(data, _nobody(), -1, is_new=False).mark.encode()
    processes = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == uid and mark in (entry / "cmdline").read_bytes():
                processes.append(int(entry.name))
    return processes
