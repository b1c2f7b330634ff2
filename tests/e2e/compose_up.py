"""Starts a Compose file by podman-compose and says what its service answers; run in namespaces of its own.

compose_up.py FILE SERVICE...: starts these services of the file, with networks that end with this process, and prints
one line of JSON.
"""

import json
import subprocess
import sys
import threading
import time
from typing import Any

from tests.e2e import buildah

READY_SECONDS = 120
ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/readyz').read().decode())"


def check_health(over: threading.Event) -> None:
    """Run the health checks once a second: podman leaves that to systemd, which may not be there."""
    while not over.wait(1):
        for container in buildah.podman("ps", "--quiet").split():
            subprocess.run(buildah.of_podman("healthcheck", "run", container), capture_output=True, check=False)


def up(file: str, services: list[str]) -> dict[str, Any]:
    """What the service answers once it is ready, what is on its volume, and its exit status."""
    compose = buildah.composed(file)
    buildah.run(*compose, "up", "--detach", "--no-build", *services)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not (containers := buildah.podman("ps", "--quiet", "--filter=name=_sceau_").split()):
            if time.monotonic() > deadline:  # a loaded machine starts it some time after `up` has come back
                raise AssertionError(buildah.podman("ps", "--all"))
            time.sleep(1)
        (container,) = containers
        ready = None
        while ready is None:
            try:
                ready = json.loads(buildah.podman("exec", container, "python", "-c", ASK))
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        kept = buildah.podman("exec", container, "ls", "/var/lib/sceau").split()
        buildah.podman("stop", container)
        ended = buildah.podman("inspect", "--format={{.State.ExitCode}}", container)
        return {"ready": ready, "kept": kept, "exit": int(ended)}
    finally:
        buildah.run(*compose, "down", "--volumes")


def main() -> None:
    """Start, ask, stop."""
    over = threading.Event()
    checks = threading.Thread(target=check_health, args=(over,), daemon=True)
    checks.start()
    try:
        print(json.dumps(up(sys.argv[1], sys.argv[2:])))
    finally:
        over.set()
        checks.join()


if __name__ == "__main__":
    main()
