"""Builds the image with Debian's buildah, where no image registry is reached, and runs it with Debian's podman.

A Debian root made by debootstrap stands in for the real base and carries its name, so the Dockerfile is built as it
is. Everything lies in `.sceau-e2e/` of the checkout: remove the folder to start afresh.

Containers are run by runc: crun refuses machines whose cgroups are mounted in both versions. They are on the network of
this machine, and have its limits, which few may raise.
"""

import hashlib
import json
import os
import re
import resource
import shlex
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

# Debian's; each brings a program of its name
_PACKAGES = ("buildah", "conmon", "debootstrap", "netavark", "podman", "runc")
_SUITE = "trixie"
_INCLUDED = "ca-certificates,passwd,python3,python3-pip,python3-venv"
_ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot", "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
_CERTIFICATES = Path("/etc/ssl/certs")


def run(*command: str | Path) -> str:
    """Run a command to its end and return what it printed. On failure the error carries the last of it."""
    line = [str(part) for part in command]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **_ENVIRONMENT},
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(line)}\nended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def _store() -> tuple[str, str]:
    """Where images and containers of this test alone lie."""
    return f"--root={CACHE / 'storage'}", f"--runroot={CACHE / 'run'}"


def buildah(*arguments: str | Path) -> str:
    """Run a buildah command and return what it printed."""
    return run("buildah", *_store(), *arguments).strip()


def podman(*arguments: str | Path) -> str:
    """Run a podman command and return what it printed."""
    return run(*of_podman(*arguments)).strip()


def of_podman(*arguments: str | Path) -> list[str]:
    """A podman command line."""
    return ["podman", *_engine(), *map(str, arguments)]


def composed(file: str) -> list[str]:
    """A command line of podman-compose on a Compose file."""
    engine = shlex.join(_engine())
    return ["podman-compose", f"--podman-args={engine}", "--podman-run-args=--ulimit=host", f"--file={file}"]


def _engine() -> list[str]:
    networks = CACHE / "networks"
    networks.mkdir(exist_ok=True)
    return [*_store(), f"--network-config-dir={networks}", "--runtime=runc"]


def provide_programs() -> None:
    """Install from Debian what is missing to make and run images.

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
    base = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert base, "the Dockerfile names its base in `ARG BASE=`"
    return base[1]


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
    podman("rm", "--all", "--force")
    buildah("rmi", "--prune", "--force")  # what a run that was killed left
    podman("volume", "prune", "--force")
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


def image_config() -> dict[str, Any]:
    """The built image's own configuration: user, entry point, health check."""
    inspected = json.loads(buildah("inspect", "--type=image", IMAGE))
    config: dict[str, Any] = inspected["Docker"]["config"]
    return config


def started(
    *arguments: str, settings: Mapping[str, str] | None = None, options: Sequence[str] = (), image: str = IMAGE
) -> str:
    """Run a container as a deployment does: no privilege, nothing to write but /tmp. What it prints, or its id.

    Args:
        arguments: in the place of the image's own.
        settings: the container's environment.
        options: more of `podman run`, such as --detach.
        image: another than the one of this checkout.

    """
    environment = [f"--env={name}={value}" for name, value in (settings or {}).items()]
    bounds = (
        "--read-only",
        "--read-only-tmpfs=false",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--pids-limit=256",
    )
    return podman("run", "--network=host", "--ulimit=host", *bounds, *environment, *options, image, *arguments)


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
