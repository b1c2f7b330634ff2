"""Programs that these tests need, installed from Debian where they are missing."""

import os
import shutil
import subprocess


class Unavailable(Exception):
    """A program is missing and cannot be had here; the message says how to get it."""


def provide(program: str, packages: tuple[str, ...], use: str) -> str:
    """Where a program is, its packages installed first if it is missing.

    Raises Unavailable when this user may not install packages, or the installation fails.
    """
    found = shutil.which(program)
    if found is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise Unavailable(f"{use}: install {program} first (Debian: apt install {program})")
        install(packages)
        found = shutil.which(program)
    if found is None:
        raise Unavailable(f"Debian's {' and '.join(packages)} brought no program {program}")
    return found


def install(packages: tuple[str, ...]) -> None:
    """Install packages, asking a mirror that does not answer again.

    Raises Unavailable with the last of what apt-get said when it fails.
    """
    print(f"e2e: installing {' and '.join(packages)} from Debian", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        line = ["apt-get", "--quiet", "--option=Acquire::Retries=3", *arguments]
        done = subprocess.run(line, env=quiet, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Unavailable(f"apt-get {arguments[0]} failed for {' and '.join(packages)}:\n{done.stdout[-2000:]}")
