"""Debian's Prosody on loopback, with the module as its README says to install it."""

import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.demo.runs import ROOT
from tests.e2e.chat.xmpp import XmppUser
from tests.e2e.debian import provide_servers
from tests.e2e.programs import free_ports, program
from tests.e2e.readme import files_of, filled_in
from tests.faults.service import eventually

HOST, ROOMS = "chat.example", "rooms.chat.example"
_NETWORK = f"127.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
FEDERATED, ELSEWHERE, ROOMS_ELSEWHERE = (f"{_NETWORK}.{number}" for number in (2, 3, 4))
"""Hosts that two servers find without DNS: each is the loopback address at which its server listens for others."""
WITNESSED = {'"word_counts"': '"word_counts", "witness"'}
"""The change of the README's file that loads the tests' own module beside the analysis."""
CLIENT = ROOT / "clients" / "prosody"
README = CLIENT / "README.md"
_USER = "prosody"
_BASE = """
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
{listening}
c2s_direct_tls_ports = {{}}
s2s_direct_tls_ports = {{}}
http_ports = {{}}
https_ports = {{}}
modules_enabled = {{ "saslauth", "roster", "disco", "dialback", "carbons" }}
modules_disabled = {{ "tls", "offline", "http" }}
c2s_require_encryption = false
s2s_require_encryption = false
s2s_secure_auth = false
allow_unencrypted_plain_auth = true
storage = "memory"
muc_room_locking = false
authentication = "insecure"
insecure_open_authentication = "Yes please, I know what I'm doing!"
log = {{ {log} = "*console" }}
"""


class XmppServer:
    """A running Prosody whose module asks Sceau."""

    def __init__(self, folder: Path, port: int, pid: int) -> None:
        """It listens at a port of loopback, and keeps everything in a folder."""
        self._folder, self._address, self.pid = folder, ("127.0.0.1", port), pid
        self.log = folder / "prosody.log"

    def log_in(self, name: str, host: str = HOST, resource: str = "test") -> XmppUser:
        """A user's session."""
        return XmppUser(self._address, name, host, resource)

    def written(self, file: str) -> list[dict[str, Any]]:
        """What an analysis, or the tests' own module, wrote down, line by line."""
        path = self._folder / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def outcomes(self, processing: str) -> list[str]:
        """What messages came to so far, in order."""
        return [each["outcome"] for each in self.written("outcomes.jsonl") if each["processing"] == processing]

    def outcomes_since(self, processing: str, before: list[str], number: int) -> list[str]:
        """What the messages since came to, once so many have come to something."""
        eventually(lambda: len(self.outcomes(processing)) >= len(before) + number)
        return self.outcomes(processing)[len(before) :]


def provide() -> None:
    """Install Prosody if it is missing. Raises Unavailable when it cannot be had."""
    provide_servers({"prosody": "/usr/bin/prosody"}, "Prosody asks Sceau")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of Prosody's user, which refuses to run as root; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sceau-prosody-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def xmpp_server(
    folder: Path, sceau: str, changes: Mapping[str, str], *, own: str = "", log: str = "debug"
) -> Iterator[XmppServer]:
    """Prosody in a folder, configured by the README with some changes, as long as the block lasts.

    `own`: the address at which it listens for other servers, if it is to; `log`: the lowest level that it logs.
    """
    modules = folder / "modules"
    shutil.copytree(CLIENT / "mod_sceau", modules / "mod_sceau")
    shutil.copy(Path(__file__).with_name("mod_witness.lua"), modules)
    written = files_of(README)
    places = {
        "/usr/local/lib/prosody/modules": str(modules),
        "https://sceau.example.fr": sceau,
        "/etc/prosody/sceau.key": str(folder / "sceau.key"),
    }
    analysis = written["/usr/local/lib/prosody/modules/mod_word_counts.lua"]
    file = {"/var/lib/prosody/words.jsonl": str(folder / "words.jsonl")}
    (modules / "mod_word_counts.lua").write_text(filled_in(analysis, file))
    configured = filled_in(written["/etc/prosody/prosody.cfg.lua"], {**places, **changes})
    with _running(folder, f'witness_folder = "{folder}"\n{configured}', own, log) as (port, pid):
        yield XmppServer(folder, port, pid)


@contextmanager
def other_server(folder: Path) -> Iterator[XmppServer]:
    """Another provider's Prosody with rooms of its own, which has no module."""
    hosts = f'VirtualHost "{ELSEWHERE}"\nComponent "{ROOMS_ELSEWHERE}" "muc"\n'
    with _running(folder, hosts, f'{ELSEWHERE}", "{ROOMS_ELSEWHERE}', "debug") as (port, pid):
        yield XmppServer(folder, port, pid)


@contextmanager
def _running(folder: Path, configured: str, own: str, log: str) -> Iterator[tuple[int, int]]:
    """Prosody with a configuration; its port for clients and its process."""
    (port,) = free_ports(1)
    listening = f's2s_ports = {{ 5269 }}\ns2s_interfaces = {{ "{own}" }}' if own else "s2s_ports = {}"
    base = _BASE.format(folder=folder, port=port, listening=listening, log=log)
    (folder / "prosody.cfg.lua").write_text(base + configured)
    _give_away(folder)
    line = ["prosody", "-F", "--config", str(folder / "prosody.cfg.lua")]
    with program(
        line, folder / "prosody.log", port=port, cwd=folder, user=_USER, group=_USER, extra_groups=[]
    ) as process:
        yield port, process.pid


def _give_away(folder: Path) -> None:
    """Make Prosody's user the owner of all that is in a folder."""
    account = pwd.getpwnam(_USER)
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, account.pw_uid, account.pw_gid)
