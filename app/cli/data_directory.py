"""A deployment in a data directory: its own PostgreSQL, and keys that are made once and only their owner can read.

The directory holds everything that a checkout needs and, while the server runs, the addresses for other commands.
Deleting it starts afresh.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.errors import DirectoryInUse
from app.db.embedded.server import EmbeddedServer
from app.journal.files import put_whole
from app.settings.environment import PREFIX, SettingsError

_RUNNING: Final = "running.json"
_PUBLIC_URL: Final = f"{PREFIX}PUBLIC_URL"


@contextmanager
def local_deployment(data: Path, *, join: bool) -> Iterator[None]:
    """Point this process's environment at a data directory's own database, and run that database during the block.

    Args:
        data: the data directory; it is made if it does not exist.
        join: whether to use the database if another process already runs it. A command may, a second service may not.

    Raises:
        DirectoryInUse: another process runs the database, and `join` is false, or that process is starting or stopping.
        EmbeddedServerError: the server cannot be started; one line says why and how to mend it.
        SettingsError: the directory cannot be written.

    """
    server, is_ours = EmbeddedServer(data / "postgres"), True
    try:
        server.start()
    except DirectoryInUse:
        if not join:
            raise
        is_ours = False
    if not is_ours:
        _join(data)
        yield
        return
    with server:
        _make_keys(data / "keys")  # not before this process alone has the directory
        with _told_to_commands(data, server):
            yield


def _join(data: Path) -> None:
    """Point the environment at the database that another process of this deployment runs."""
    try:
        addresses: dict[str, str] = json.loads((data / _RUNNING).read_text(encoding="utf-8"))["environment"]
    except (OSError, ValueError, KeyError):
        raise DirectoryInUse(f"another process is starting or stopping on {data}", "try again") from None
    chosen = os.environ.get(_PUBLIC_URL)
    os.environ.update(addresses)
    if chosen:
        os.environ[_PUBLIC_URL] = chosen
    _use_keys(data / "keys")
    _choose_for_one_machine(data)


@contextmanager
def _told_to_commands(data: Path, server: EmbeddedServer) -> Iterator[None]:
    """Migrate the server's database, and note during the block how other commands reach it."""
    from app.db.migrate import migrate

    addresses = {
        f"{PREFIX}DATABASE_URL": server.url(role=APP_ROLE, database=DATABASE),
        f"{PREFIX}DATABASE_OWNER_URL": server.url(role=OWNER_ROLE, database=DATABASE),
    }
    os.environ.update(addresses)
    _choose_for_one_machine(data)
    migrate(addresses[f"{PREFIX}DATABASE_OWNER_URL"], addresses[f"{PREFIX}DATABASE_URL"])
    if _PUBLIC_URL in os.environ:  # so that commands name the service as it names itself
        addresses[_PUBLIC_URL] = os.environ[_PUBLIC_URL]
    note = data / _RUNNING
    put_whole(note, json.dumps({"pid": os.getpid(), "environment": addresses}).encode())
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _choose_for_one_machine(data: Path) -> None:
    """Set, unless the environment says otherwise, that one person decides on the register and no standby is needed.

    The state directory, which should outlive the database, is beside it: one machine has no better place.
    """
    state = data / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    choices = {
        f"{PREFIX}REGISTER_APPROVAL": "one",
        f"{PREFIX}DURABILITY": "local",
        f"{PREFIX}STATE_DIRECTORY": str(state),
    }
    for name, choice in choices.items():
        if not os.environ.get(name) and not os.environ.get(f"{name}_FILE"):
            os.environ[name] = choice


def _make_keys(directory: Path) -> None:
    """Make each key that is missing, and use them (`_use_keys`)."""
    made = {
        "pseudonym": secrets.token_hex(32),
        "master": f"1:{secrets.token_hex(32)}",
        "bootstrap": f"sceau_{secrets.token_urlsafe(32)}",
    }
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, key in made.items():
            if not (directory / name).exists():
                put_whole(directory / name, key.encode())
    except OSError as error:
        raise SettingsError(
            f"{directory} cannot be written ({error.strerror}): choose another --data directory"
        ) from None
    _use_keys(directory)


def _use_keys(directory: Path) -> None:
    """Point the settings at the files of the keys, unless the environment names its own."""
    for name in ("pseudonym", "master", "bootstrap"):
        variable = f"{PREFIX}{name.upper()}_KEY"
        if not os.environ.get(variable):
            os.environ.setdefault(f"{variable}_FILE", str(directory / name))
