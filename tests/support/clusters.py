"""A PostgreSQL cluster with one migrated database, made once for a run and copied for each test that needs a server.

Making one takes three seconds of a processor, copying one a tenth.
"""

import fcntl
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.db.embedded.binaries import find_binaries
from app.db.embedded.cluster import APP_ROLE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate

PLACE: Final = "SCEAU_TEST_PLACE"
"""Names the directory of a run, which the process that was called makes and removes."""
IN_MEMORY: Final = Path("/dev/shm")
"""Where that directory is made if there is room."""
FASTER: Final[Mapping[str, str]] = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""What a cluster gives up that outlives no power cut; what is committed outlives kill -9 all the same."""


def programs_of(version: int) -> Path:
    """The programs of PostgreSQL 16 or 18, both of which the wheel brings."""
    return find_binaries().parent.parent / {16: "pginstall", 18: "pginstall18"}[version] / "bin"


def oldest_server(data: Path) -> EmbeddedServer:
    """A server of the oldest PostgreSQL that Sceau runs on: what it takes, later ones take.

    Tests that start servers of their own start the newest.
    """
    return EmbeddedServer(data, binaries=programs_of(16), settings=FASTER)


def copy_cluster(data: Path) -> None:
    """Copy a cluster with a migrated database `sceau` into a data directory; the first caller makes the cluster.

    Outside a run of tests, as for `./dev bench chat`, the cluster is made in that directory.
    """
    if PLACE not in os.environ:
        _make(data)
        return
    place = Path(os.environ[PLACE])
    made = place / "made"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(place / "making")
            (place / "making").rename(made)
    subprocess.run(["cp", "--archive", "--reflink=auto", str(made), str(data)], check=True)


def _make(data: Path) -> None:
    server = EmbeddedServer(data, settings=FASTER)
    with server:
        owner, app = (server.url(role=role, database="sceau") for role in (OWNER_ROLE, APP_ROLE))
        migrate(owner, app)
    server.log_file.unlink()  # what a copy's server says begins with the copy
