"""Dovecot with the client of `clients/dovecot`, configured as its README says: mailboxes behind LMTP, and logins."""

import contextlib
import smtplib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.demo.runs import ROOT
from tests.e2e.programs import free_ports, program
from tests.e2e.readme import commands_of, files_of, filled_in, run
from tests.faults.service import HANGS

ETC = "/etc/dovecot/"
CLIENT = ROOT / "clients/dovecot"
SETTINGS = "/etc/dovecot/conf.d/99-sceau.conf"
PASSWORD = "of-the-tests"

# What has nothing to do with Sceau: mailboxes of anybody who is named, on loopback, all under one folder.
_HERE = """
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp imap
listen = 127.0.0.1
ssl = no
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {folder}/mail/%{{user}}
mail_uid = dovecot
mail_gid = dovecot
first_valid_uid = 1
userdb static {{
  fields {{
    uid = dovecot
    gid = dovecot
    home = {folder}/mail/%{{user}}
  }}
}}
passdb static {{
  password = {password}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
    listen = 127.0.0.1
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
    listen = 127.0.0.1
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service auth {{
  unix_listener {folder}/auth {{
    mode = 0666
  }}
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """A running Dovecot: its ports and its folder."""

    folder: Path
    lmtp: int
    imap: int

    @property
    def auth(self) -> Path:
        """The socket where Postfix asks about logins."""
        return self.folder / "auth"

    def mailbox(self, user: str) -> list[bytes]:
        """Every message in a user's mailbox."""
        folder = self.folder / "mail" / user
        return [path.read_bytes() for name in ("new", "cur") for path in sorted((folder / name).glob("*"))]

    def deliver(self, message: bytes, sender: str, *users: str) -> list[int]:
        """Hand a message over by LMTP; the status of each user's copy."""
        with smtplib.LMTP("127.0.0.1", self.lmtp, timeout=HANGS) as client:
            client.ehlo_or_helo_if_needed()
            client.mail(sender)
            for user in users:
                client.rcpt(user)
            first = client.data(message)[0]
            return [first, *(client.getreply()[0] for _ in users[1:])]

    def said(self) -> str:
        """Its log."""
        return (self.folder / "log").read_text(errors="replace")


@contextlib.contextmanager
def dovecot(folder: Path, settings: str) -> Iterator[Dovecot]:
    """Dovecot with the client and these settings of it; what they name under `/etc/dovecot` lies in its folder."""
    lmtp, imap = free_ports(2)
    for name in ("run", "state", "mail"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "mail").chmod(0o777)
    _, script, *_ = installing()
    run(script, {ETC: f"{folder}/"})
    here = _HERE.format(folder=folder, lmtp=lmtp, imap=imap, password=PASSWORD)
    (folder / "dovecot.conf").write_text(here + settings.replace(ETC, f"{folder}/"))
    line = ["dovecot", "-F", "-c", folder / "dovecot.conf"]
    with program(line, folder / "out", port=lmtp):
        yield Dovecot(folder, lmtp, imap)


def installing() -> list[str]:
    """The README's commands: packages, the script, the key, the secret."""
    (commands,) = commands_of(CLIENT / "README.md")
    return commands


def as_in_readme(values: Mapping[str, str]) -> str:
    """The README's settings, with what it gives as examples replaced."""
    return filled_in(files_of(CLIENT / "README.md")[SETTINGS], values)
