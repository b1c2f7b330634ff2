"""Rspamd with the client of `clients/rspamd`, configured as its README says, and a Redis for its Bayes classifier."""

import contextlib
import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.demo.runs import ROOT
from tests.e2e.programs import free_ports, program
from tests.e2e.readme import commands_of, files_of, filled_in, run
from tests.faults.service import HANGS

CLIENT = ROOT / "clients/rspamd"
README = CLIENT / "README.md"
ETC = "/etc/rspamd/"
PASSWORD = "controller-of-the-tests"

# What has nothing to do with Sceau: no network but loopback, one process of each kind, and a short list of top-level
# domains, because the public one takes Hyperscan a quarter of a minute to compile.
_OFF = (
    *("rbl", "surbl", "fuzzy_check", "spf", "dkim", "dmarc", "arc", "asn", "mx_check", "greylist", "ratelimit"),
    *("rspamd_update", "phishing", "dkim_signing", "bimi", "known_senders", "replies", "hfilter"),
)
_HERE = {
    "options.inc": 'dns { nameserver = ["127.0.0.1:9:1"]; timeout = 0.1s; retransmits = 1; }\n'
    'filters = "chartable,regexp";\nlocal_addrs = [];\nneighbours {}\n'
    'disable_hyperscan = true;\nurl_tld = "@folder@/tld";\n'
    'maps_cache_dir = "@folder@/db";\n',
    "worker-normal.inc": 'bind_socket = "127.0.0.1:@scanner@"; count = 1;\n',
    "worker-controller.inc": 'bind_socket = "127.0.0.1:@controller@"; password = "@password@"; secure_ip = [];\n',
    "redis.conf": 'servers = "127.0.0.1:@redis@";\n',
}


@dataclass
class Rspamd:
    """A running Rspamd: its ports and its folder."""

    folder: Path
    scanner: int
    controller: int
    milter: int
    redis: int
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        """Know where its log is."""
        self.log = self.folder / "log/rspamd.log"

    def scan(self, message: bytes, **headers: str | list[str]) -> dict[str, Any]:
        """What a scan of a message finds; header names with `_` for `-`, several `Rcpt` as a list."""
        answer = self._post(self.scanner, "/checkv2", message, headers)
        result: dict[str, Any] = json.loads(answer[1])
        return result

    def symbols(self, message: bytes, **headers: str | list[str]) -> set[str]:
        """The names of the symbols that a scan finds."""
        return set(self.scan(message, **headers)["symbols"])

    def learn(self, kind: str, message: bytes, **headers: str) -> int:
        """The status with which the controller answers a request to learn."""
        return self._post(self.controller, f"/learn{kind}", message, {"Password": PASSWORD, **headers})[0]

    def learned(self) -> int:
        """How many messages Bayes has learned, as Redis counts them."""
        line = ["redis-cli", "-p", str(self.redis), "HMGET", "RS", "learns_ham", "learns_spam"]
        words = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()
        return sum(int(each) for each in words)

    @staticmethod
    def _post(port: int, path: str, body: bytes, headers: Mapping[str, Any]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS)
        try:
            connection.putrequest("POST", path)
            connection.putheader("Content-Length", str(len(body)))
            for name, value in headers.items():
                for each in value if isinstance(value, list) else [value]:
                    connection.putheader(name.replace("_", "-"), each)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[int]:
    """A Redis that keeps nothing on disk; its port."""
    (port,) = free_ports(1)
    folder.mkdir()
    line = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with program(line, folder / "log", port=port):
        yield port


@contextlib.contextmanager
def rspamd(
    folder: Path, redis_port: int, files: Mapping[str, str], *, without: str = "", tested: bool = False
) -> Iterator[Rspamd]:
    """Rspamd with the client installed and these files, by their path under its folder of settings.

    `without`: a file of the client that was forgotten. `tested`: its own test of the settings, which the README tells
    to run, must pass before; it takes longer than a start.
    """
    scanner, controller, milter = free_ports(3)
    made = Rspamd(folder, scanner, controller, milter, redis_port)
    for name in ("local.d", "lua.local.d", "db", "run", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    install(folder, without)
    values = {
        "scanner": scanner,
        "controller": controller,
        "milter": milter,
        "redis": redis_port,
        "password": PASSWORD,
        "folder": folder,
    }
    (folder / "tld").write_text("example\nfr\n")
    here = {f"local.d/{name}": text for name, text in _HERE.items()} | {
        f"local.d/{name}.conf": "enabled = false;\n" for name in _OFF
    }
    for name, text in {**here, **files}.items():
        (folder / name).write_text(re.sub("@(\\w+)@", lambda match: str(values[match[1]]), text))
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, "_rspamd", "_rspamd")
    where = [f"--var={name}={folder}{sub}" for name, sub in _FOLDERS.items()]
    if tested:
        done = subprocess.run(["rspamadm", *where, "configtest"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    line = ["rspamd", "-f", "-c", "/etc/rspamd/rspamd.conf", "-u", "_rspamd", "-g", "_rspamd", *where]
    # Once its milter proxy has been spoken to, it waits sixteen seconds for it to be spoken to again.
    with program(line, folder / "log/out", port=made.scanner, patience=1):
        yield made


_FOLDERS = {"LOCAL_CONFDIR": "", "DBDIR": "/db", "RUNDIR": "/run", "LOGDIR": "/log"}


def install(folder: Path, without: str = "") -> None:
    """Install the client by the README's first commands, at this place."""
    (folder / "bin").mkdir(exist_ok=True)
    installing, *_ = commands_of(README)
    for command in installing:
        run(command, {ETC: f"{folder}/", "/usr/local/bin": f"{folder}/bin"})
    if without:
        (folder / "lua" / without).unlink()


def as_in_readme(folder: Path, values: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The README's files by their path under the folder of settings, with what it gives as examples replaced."""
    files = {path: text for path, text in files_of(README).items() if path.startswith(ETC)}
    return {
        path.removeprefix(ETC): filled_in(text, values.get(path.removeprefix(ETC), {})).replace(ETC, f"{folder}/")
        for path, text in files.items()
    }
