"""Builds the image with Debian's buildah where no container engine runs and no image registry is reached.

A Debian root made by debootstrap stands in for the real base and carries its name, so the Dockerfile is built as it
is. Everything lies in `.sceau-e2e/` of the checkout: remove the folder to start afresh.
"""

import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.debian import Unavailable, alone, install

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".sceau-e2e"
IMAGE = "localhost/sceau:e2e"
REVISION = "of-this-test"

_PACKAGES = ("buildah", "debootstrap", "netavark")  # Debian's; each brings a program of its name
_SUITE = "trixie"
_INCLUDED = "ca-certificates,passwd,python3,python3-pip,python3-venv"
_ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
_CERTIFICATES = Path("/etc/ssl/certs")


def run(*command: str | Path, **options: Any) -> str:
    """Run a command to its end and return what it printed. On failure the error carries the last of it."""
    whole = [str(part) for part in command]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(whole)}\nended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def command(*arguments: str | Path) -> list[str]:
    """A buildah command line on the storage of this test alone."""
    return ["buildah", f"--root={CACHE / 'storage'}", f"--runroot={CACHE / 'run'}", *map(str, arguments)]


def environment() -> dict[str, str]:
    """The environment that buildah gets."""
    return {**os.environ, **_ENVIRONMENT}


def buildah(*arguments: str | Path) -> str:
    """Run a buildah command and return what it printed."""
    return run(*command(*arguments), env=environment()).strip()


def provide_programs() -> None:
    """Install what is missing of buildah, the network program it asks for, and debootstrap from Debian.

    Raises Unavailable when this user may not make containers or install packages.
    """
    missing = [package for package in _PACKAGES if shutil.which(package, path=_path()) is None]
    if os.geteuid() != 0:
        wanted = f", and first: apt install {' '.join(missing)}" if missing else ""
        raise Unavailable(f"./dev e2e makes a root file system and containers: run it as root{wanted}")
    if missing and shutil.which("apt-get") is None:
        raise Unavailable(f"./dev e2e needs {' and '.join(missing)}; install them (Debian: apt install, as here)")
    if missing:
        with alone():
            install(tuple(missing))


def base_name() -> str:
    """The name that the Dockerfile gives its base."""
    found = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, "the Dockerfile names its base in `ARG BASE=`"
    return found[1]


def provide_base() -> None:
    """Make the stand-in for the base image, unless an earlier run left the same one."""
    recipe = hashlib.sha256(f"{base_name()} {_SUITE} {_INCLUDED}".encode()).hexdigest()
    made_by = CACHE / "base"
    if made_by.exists() and made_by.read_text() == recipe and base_name() in _image_names():
        return
    print("e2e: making the base image with debootstrap (once, about a minute)", flush=True)
    made_by.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tree:  # debootstrap trips over spaces, this path has none
        run("debootstrap", "--variant=minbase", f"--include={_INCLUDED}", _SUITE, tree)
        container = buildah("from", "scratch")
        try:
            buildah("add", "--quiet", container, tree, "/")
            buildah("commit", "--quiet", container, base_name())
        finally:
            buildah("rm", container)
    made_by.write_text(recipe)


def build_image() -> None:
    """Build the checkout's Dockerfile. The machine's certificates are lent to the build and stay out of the image."""
    print("e2e: building the image", flush=True)
    buildah("rm", "--all")
    buildah("rmi", "--prune", "--force")  # what a run that was killed left
    lent = [f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro"] if _CERTIFICATES.is_dir() else []
    buildah(
        "bud",
        "--format=docker",
        "--network=host",
        "--pull-never",
        *limits(),
        *lent,
        f"--build-arg=REVISION={REVISION}",
        f"--tag={IMAGE}",
        ROOT,
    )


def make_container() -> str:
    """Make a container of the built image and return its name."""
    return buildah("from", "--pull-never", *limits(), IMAGE)


def image_config() -> dict[str, Any]:
    """The built image's own configuration: user, entry point, health check."""
    inspected = json.loads(buildah("inspect", "--type=image", IMAGE))
    config: dict[str, Any] = inspected["Docker"]["config"]
    return config


def run_in(
    container: str, settings: Mapping[str, str], arguments: Sequence[str | Path], *, entrypoint: Sequence[str] = ()
) -> list[str]:
    """The command line that runs something in a container as the image's user, on this machine's loopback.

    `buildah run` goes past the image's entry point, so it is given here.
    """
    given = [f"--env={name}={value}" for name, value in settings.items()]
    return command("run", "--network=host", *given, container, "--", *entrypoint, *arguments)


def limits() -> list[str]:
    """This process's own limits: buildah would raise them, which few may do."""
    numbers = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    return [
        f"--ulimit={name}={soft}:{hard}"
        for name, (soft, hard) in zip(numbers, map(resource.getrlimit, numbers.values()), strict=True)
    ]


def _image_names() -> list[str]:
    listed = json.loads(buildah("images", "--json") or "null") or []
    return [name for image in listed for name in image.get("names") or []]


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/lib/podman"))
