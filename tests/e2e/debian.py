"""Programs that these tests need, installed from Debian where they are missing, by one process at a time."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

LOCK = Path("/tmp/sceau-e2e-installs")
POLICY = Path("/usr/sbin/policy-rc.d")
NO_SERVICE = "#!/bin/sh\nexit 101\n"
"""What Debian asks before it starts a service that it has just installed: no, it may not."""
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/sceau-e2e.conf")
"""What postgresql-common reads before it makes a cluster for a server that was just installed."""


class Unavailable(Exception):
    """A program is missing and cannot be had here; the message says how to get it."""


def provide(program: str, packages: tuple[str, ...], use: str) -> str:
    """Where a program is, its packages installed first if it is missing.

    Raises Unavailable when this user may not install packages, or the installation fails.
    """
    if shutil.which(program) is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise Unavailable(f"{use}: install {program} first (Debian: apt install {program})")
        with alone():
            if shutil.which(program) is None:
                install(packages)
    path = shutil.which(program)
    if path is None:
        raise Unavailable(f"Debian's {' and '.join(packages)} brought no program {program}")
    return path


def provide_servers(packages: dict[str, str], use: str, *, answers: str = "") -> None:
    """Have servers installed, given what shows that a package is there: a path by its name. None of them is started.

    `answers`: lines for debconf, so that no package asks. Raises Unavailable as `provide` does.
    """
    missing = _missing(packages)
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        wanted = " ".join(missing)
        raise Unavailable(f"{use}: run this as root on Debian 13, or install first: apt install {wanted}")
    with alone():
        if missing := _missing(packages):
            with _no_service_starts(), _no_cluster_is_made():
                if answers:
                    subprocess.run(["debconf-set-selections"], input=answers, text=True, check=True)
                install(missing)
    absent = [path for path in packages.values() if not Path(path).exists()]
    if absent:
        raise Unavailable(f"{use}: Debian's {' and '.join(missing)} brought no {' nor '.join(absent)}")


def _missing(packages: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name, path in packages.items() if not Path(path).exists())


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process of the suite installs anything: apt would refuse, and the policy is one file."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian starts no service while the block lasts; a policy of the machine's own is put aside meanwhile."""
    aside = POLICY.with_name("policy-rc.d.aside")
    if POLICY.exists():
        POLICY.rename(aside)
    POLICY.write_text(NO_SERVICE)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
        if aside.exists():
            aside.rename(POLICY)


@contextlib.contextmanager
def _no_cluster_is_made() -> Iterator[None]:
    """Debian's postgresql makes no cluster of its own while the block lasts."""
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        NO_CLUSTER.unlink()


def install(packages: tuple[str, ...]) -> None:
    """Install packages, asking a mirror that does not answer again.

    Raises Unavailable with the last of what apt-get said when it fails.
    """
    print(f"e2e: installing {' and '.join(packages)} from Debian", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-remove", "--no-install-recommends", *packages]):
        line = ["apt-get", "--quiet", "--option=Acquire::Retries=3", *arguments]
        done = subprocess.run(line, env=quiet, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Unavailable(f"apt-get {arguments[0]} failed for {' and '.join(packages)}:\n{done.stdout[-2000:]}")
