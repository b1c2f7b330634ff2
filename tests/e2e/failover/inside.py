"""Programs that run with networks and processes of their own: whatever they start and lay ends with them."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.e2e import debian

ROOT: Final = Path(__file__).parents[3]
PACKAGES: Final = {
    "patroni": "/usr/bin/patroni",
    "python3-etcd": "/usr/lib/python3/dist-packages/etcd",
    "python3-dnspython": "/usr/lib/python3/dist-packages/dns",
    "etcd-server": "/usr/bin/etcd",
    "postgresql-17": "/usr/lib/postgresql/17/bin/postgres",
    "haproxy": "/usr/sbin/haproxy",
    "iproute2": "/usr/bin/ip",
}
_UNSHARED: Final = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
_REAPER: Final = 'mount -t tmpfs tmpfs /run && "$@"; exit $?'
"""The first process of the namespace: it takes in those whose parents were killed, so that none stays a zombie which
PostgreSQL and Patroni would take for a running server. /run holds the names of network namespaces and the sockets of
this machine's own servers: it is hidden.
"""


def run_inside(module: str, arguments: Sequence[str], *, output: int | None = None) -> int:
    """Run a module of this checkout in namespaces of its own; its exit status.

    Raises:
        debian.Unavailable: a program is missing here, or this process may not make namespaces.

    """
    debian.provide_servers(PACKAGES, "PostgreSQL fails over under Patroni")
    if shutil.which("unshare") is None or subprocess.run([*_UNSHARED, "true"], check=False).returncode != 0:
        raise debian.Unavailable("failover: run this as root where network and process namespaces may be made")
    line = [*_UNSHARED, "sh", "-c", _REAPER, "sh", sys.executable, "-m", module, *arguments]
    return subprocess.run(line, cwd=ROOT, check=False, stdout=output).returncode
