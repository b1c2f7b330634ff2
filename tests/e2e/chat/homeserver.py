"""Synapse from PyPI in an environment of its own, on loopback, with the module as its README says to install it."""

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.demo.runs import ROOT
from tests.e2e.buildah import CACHE
from tests.e2e.chat.matrix import MatrixUser
from tests.e2e.programs import free_ports, program
from tests.e2e.pypi import install_by, make_environment, uv
from tests.e2e.readme import commands_of, files_of, filled_in, run
from tests.faults.service import eventually

NAME = "chat.example"
CLIENT = ROOT / "clients" / "synapse"
README = CLIENT / "README.md"
LOCK = CLIENT / "requirements-test.txt"
_ENVIRONMENT = CACHE / "synapse"
_SHARED_SECRET = "registration"
_SETTINGS: dict[str, Any] = {
    "server_name": NAME,
    "report_stats": False,
    "enable_metrics": True,
    "registration_shared_secret": _SHARED_SECRET,
    "macaroon_secret_key": "macaroons",
    "form_secret": "forms",
    "bcrypt_rounds": 4,
    "trusted_key_servers": [],
    "suppress_key_server_warning": True,
    "federation_domain_whitelist": [],
    "rc_message": {"per_second": 10_000, "burst_count": 10_000},
    "rc_joins": {"local": {"per_second": 10_000, "burst_count": 10_000}},
    "rc_invites": {"per_user": {"per_second": 10_000, "burst_count": 10_000}},
}
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,  # what Synapse says of an error in a module is wanted here
    "formatters": {"plain": {"format": "%(asctime)s %(name)s %(levelname)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {"synapse.modules.sceau": {"level": "DEBUG"}, "twisted": {"level": "DEBUG"}},
}


def provide() -> Path:
    """The Python of an environment that has Synapse and this checkout's module; made once, then kept.

    Raises Unavailable with what the installer said when the packages cannot be had.
    """
    CACHE.mkdir(mode=0o700, exist_ok=True)
    (command,) = commands_of(README)[0]
    wanted = hashlib.sha256(LOCK.read_bytes() + command.encode() + sys.version.encode()).hexdigest()
    stamp, python = _ENVIRONMENT / "complete", _ENVIRONMENT / "bin" / "python"
    with (CACHE / "synapse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            print("e2e: installing Synapse from PyPI (once)", flush=True)
            make_environment(_ENVIRONMENT, sys.executable, LOCK)
            install_by(python, "-m", "ensurepip")  # which Debian's package of Synapse has
            run(command, {"/opt/venvs/matrix-synapse/bin/pip": f"{shlex.quote(str(python))} -m pip"})
            stamp.write_text(wanted)
        # What was installed as the README says becomes the module of this checkout, without a network.
        uv(
            "pip",
            "install",
            "--python",
            python,
            "--no-deps",
            "--offline",
            "--reinstall",
            CLIENT,
            ROOT / "clients" / "python",
        )
    return python


def write_keys(folder: Path, key: str) -> None:
    """The key and the secret of the README, written by its commands, for this user in the place of Synapse's."""
    places = {"/etc/matrix-synapse": str(folder), "-o matrix-synapse": ""}
    for command in commands_of(README)[1]:
        run(command, places, given=key + "\n")


class Homeserver:
    """A running Synapse whose module asks Sceau."""

    def __init__(self, client: httpx2.Client, log: Path, pid: int) -> None:
        """Talk to it over a client of its address; it logs to a file."""
        self._client, self.log, self.pid = client, log, pid

    def register(self, name: str) -> MatrixUser:
        """A new account."""
        return MatrixUser(self._client, name, _SHARED_SECRET)

    def written(self, file: str) -> list[Any]:
        """What an analysis, or the tests' own module, wrote down, line by line."""
        path = self.log.with_name(file)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def outcomes(self, processing: str) -> dict[str, int]:
        """How many messages came to what, by the module's own count."""
        counted = {}
        for line in self._client.get("/_synapse/metrics").text.splitlines():
            if line.startswith("sceau_synapse_messages_total{") and f'processing="{processing}"' in line:
                labels, _, number = line.rpartition(" ")
                counted[labels.partition('outcome="')[2].partition('"')[0]] = int(float(number))
        return counted

    def outcomes_since(self, processing: str, before: Mapping[str, int], number: int) -> list[str]:
        """What the messages since came to, once so many have come to something."""

        def new() -> list[str] | None:
            now = self.outcomes(processing)
            names = [name for name, count in now.items() for _ in range(count - before.get(name, 0))]
            return names if len(names) >= number else None

        lines: list[str] = eventually(new)
        return lines


@contextlib.contextmanager
def homeserver(folder: Path, python: Path, *modules: Mapping[str, Any], **environment: str) -> Iterator[Homeserver]:
    """Synapse in a folder, which is also where Python finds the operator's own code, as long as the block lasts."""
    (port,) = free_ports(1)
    line, env = (_configured(folder, python, port, modules), {**os.environ, "PYTHONPATH": str(folder), **environment})
    subprocess.run([*line, "--generate-keys"], check=True, capture_output=True, cwd=folder, env=env)
    log = folder / "synapse.log"
    with (
        program(line, log, port=port, cwd=folder, env=env) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client,
    ):
        yield Homeserver(client, log, process.pid)


def refused_start(folder: Path, python: Path, module: Mapping[str, Any]) -> str:
    """What Synapse says when it does not start with a module so configured."""
    line = _configured(folder, python, 1, [module])
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(line, check=False, capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode != 0
    return done.stdout + done.stderr


def _configured(folder: Path, python: Path, port: int, modules: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write the configuration; the command line that runs it."""
    listener = {
        "port": port,
        "type": "http",
        "bind_addresses": ["127.0.0.1"],
        "resources": [{"names": ["client", "metrics"], "compress": False}],
    }
    settings = {
        **_SETTINGS,
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "pid_file": str(folder / "pid"),
        "log_config": str(folder / "log.yaml"),
        "modules": list(modules),
    }
    (folder / "log.yaml").write_text(yaml.safe_dump(_LOGGING))
    (folder / "homeserver.yaml").write_text(yaml.safe_dump(settings))
    return [str(python), "-m", "synapse.app.homeserver", "-c", str(folder / "homeserver.yaml")]


def module_settings(folder: Path, sceau: str) -> dict[str, Any]:
    """The README's `modules:` entry, at this address of Sceau and with the files of a folder."""
    values = {
        "https://sceau.example.fr": sceau,
        "/etc/matrix-synapse/sceau.key": str(folder / "sceau.key"),
        "/etc/matrix-synapse/sceau.secret": str(folder / "sceau.secret"),
    }
    (module,) = yaml.safe_load(filled_in(files_of(README)["/etc/matrix-synapse/homeserver.yaml"], values))["modules"]
    settings: dict[str, Any] = module
    return settings


def write_analysis(folder: Path) -> Path:
    """The README's example of an analysis, placed where Synapse finds it; the file that it writes to."""
    written = folder / "words.jsonl"
    text = files_of(README)["/opt/word-counts/word_counts.py"]
    (folder / "word_counts.py").write_text(filled_in(text, {"/var/lib/word-counts/words.jsonl": str(written)}))
    return written
