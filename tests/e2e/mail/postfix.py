"""Postfix that takes mail by SMTP, has it looked at through the milter proxy, and hands it on by LMTP."""

import contextlib
import shutil
import smtplib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.programs import free_ports, program
from tests.faults.service import HANGS

# What has nothing to do with Sceau: an instance of its own, on loopback, for one domain, with Dovecot's logins.
_MAIN = """
compatibility_level = 3.10
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.fr
mydestination =
mynetworks = 127.0.0.0/8
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
smtputf8_enable = no
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.fr
virtual_mailbox_maps = static:all
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
default_transport = discard
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_delay_reject = yes
"""
_FRONT = "127.0.0.1:{smtp} inet n - n - - smtpd\n"
_MASTER = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_QUEUES = ("maildrop", "incoming", "active", "deferred", "hold")


@dataclass(frozen=True)
class Postfix:
    """A running Postfix: its port and its folder."""

    folder: Path
    port: int

    def send(self, message: bytes, sender: str, *recipients: str, login: tuple[str, str] | None = None) -> None:
        """Send a message by SMTP. Raises smtplib's errors when it is not taken for everybody."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=HANGS) as client:
            if login is not None:
                client.login(*login)
            refused = client.sendmail(sender, recipients, message)
            assert not refused, refused

    def is_done(self) -> bool:
        """Whether nothing waits in its queues: all has been handed on."""
        return self._holds(*_QUEUES) == 0

    def deferred(self) -> int:
        """How many letters it keeps to try again; -1 while there is something that it has not tried."""
        return -1 if self._holds(*(set(_QUEUES) - {"deferred"})) else self._holds("deferred")

    def try_again(self) -> None:
        """Have it try what it keeps now rather than in some minutes."""
        subprocess.run(["/usr/sbin/postqueue", "-c", self.folder / "etc", "-f"], check=True, capture_output=True)

    def _holds(self, *queues: str) -> int:
        return sum(path.is_file() for name in queues for path in (self.folder / "spool" / name).rglob("*"))

    def said(self) -> str:
        """Its log."""
        return (self.folder / "maillog").read_text(errors="replace")


@contextlib.contextmanager
def postfix(
    folder: Path, settings: str, *, lmtp: int = 0, auth: Path = Path("none"), services: str = _FRONT
) -> Iterator[Postfix]:
    """Postfix with these settings beside those that the tests need, or in their place.

    `services`: those of master.cf that take letters, one of them at `127.0.0.1:{smtp}`.
    """
    (port,) = free_ports(1)
    for name in ("etc", "spool", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.chown(folder / "data", "postfix", "postfix")
    etc = folder / "etc"
    named = {line.partition("=")[0].strip() for line in settings.splitlines()}
    base = _MAIN.format(folder=folder, lmtp=lmtp, auth=auth).splitlines(keepends=True)
    kept = [line for line in base if line.partition("=")[0].strip() not in named]
    (etc / "main.cf").write_text("".join(kept) + settings)
    (etc / "master.cf").write_text(services.replace("{smtp}", str(port)) + _MASTER)
    for name in ("dynamicmaps.cf", "postfix-files"):
        shutil.copy(Path("/etc/postfix") / name, etc)
    line = ["/usr/sbin/postfix", "-c", etc, "start-fg"]
    with program(line, folder / "out", port=port):
        yield Postfix(folder, port)
