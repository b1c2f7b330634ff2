"""The whole way of a message, real but for Sceau's callers being told where to ask: Postfix, Rspamd, Dovecot, Redis.

What stands in for the analyses that need a consent: an export of metadata and training of Bayes in Rspamd, and a hook
of Dovecot's for each user's copy.
"""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.mail import dovecot as of_dovecot
from tests.e2e.mail import postfix as of_postfix
from tests.e2e.mail import rspamd as of_rspamd
from tests.e2e.mail.letters import Letter
from tests.e2e.mail.receivers import Analysis, analysing
from tests.e2e.readme import commands_of, files_of, filled_in, run
from tests.e2e.service import Sceau
from tests.e2e.wiretap import Wiretap, tapped
from tests.faults.service import eventually

ADS, TRAINING, COPIES = "ads-mail", "filter-training", "ads-copies"
EVERYONE = "ads-everyone"
SCEAU = Path(sys.executable).with_name("sceau")
HANDLE_SECRET = "0123456789abcdef" * 4
AUDIENCE = "01a20ea9-d3e6-76bc-89c3-a10e2c202565"  # as the README has it

# For these tests only: Bayes learns from the first message on, and everything.
_EAGER = """
min_learns = 1;
min_tokens = 1;
autolearn = <<EOD
return function(task) return 'ham' end
EOD
"""


@dataclass(frozen=True)
class World:
    """Everything that takes part in the way of a message."""

    sceau: Sceau
    to_rspamd: Wiretap
    to_dovecot: Wiretap
    rspamd: of_rspamd.Rspamd
    dovecot: of_dovecot.Dovecot
    postfix: of_postfix.Postfix
    exports: Analysis
    copies: Analysis

    def send(self, letter: Letter, *, login: tuple[str, str] | None = None) -> None:
        """Send a letter to everybody it names, and wait until it is in every mailbox and off the queue."""
        self.postfix.send(letter.raw, letter.sender, *letter.to, login=login)
        ours = [user for user in letter.to if user.endswith("@example.fr")]
        eventually(lambda: all(self.delivered(user, letter) for user in ours) and self.postfix.is_done())

    def delivered(self, user: str, letter: Letter) -> bool:
        """Whether a letter is in a user's mailbox, once."""
        return sum(letter.token in message for message in self.dovecot.mailbox(user)) == 1

    def exported(self, letter: Letter) -> bool:
        """Whether Rspamd exported a letter's metadata."""
        return any(each["subject"] == f"zq-subject {letter.number}" for each in self.exports.received)

    def grant(self, user: str, *processings: str) -> None:
        """Record a user's consents."""
        for processing in processings:
            self.sceau.api.decide(user, processing)


@dataclass(frozen=True)
class Alone:
    """Rspamd without the rest: the tap between it and Sceau, and who can forge tokens that it trusts."""

    rspamd: of_rspamd.Rspamd
    tap: Wiretap
    forger: Any = None


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that the servers' users may enter, for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="sceau-mail-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def world(sceau: Sceau) -> Iterator[World]:
    """All of them running under one scratch folder; ended in the opposite order."""
    with contextlib.ExitStack() as kept:
        folder = kept.enter_context(scratch())
        to_rspamd, to_dovecot = (kept.enter_context(tapped(sceau.address)) for _ in range(2))
        exports, copies = (kept.enter_context(analysing()) for _ in range(2))
        redis = kept.enter_context(of_rspamd.redis(folder / "redis"))
        files = rspamd_files(sceau, folder / "rspamd", to_rspamd.address, exports=exports.address)
        rspamd = kept.enter_context(of_rspamd.rspamd(folder / "rspamd", redis, files, tested=True))
        settings = dovecot_settings(sceau, folder / "dovecot", to_dovecot.address, copies.address)
        dovecot = kept.enter_context(of_dovecot.dovecot(folder / "dovecot", settings))
        settings = postfix_settings(folder, rspamd.milter)
        postfix = kept.enter_context(
            of_postfix.postfix(folder / "postfix", settings, lmtp=dovecot.lmtp, auth=dovecot.auth)
        )
        yield World(sceau, to_rspamd, to_dovecot, rspamd, dovecot, postfix, exports, copies)


def register(sceau: Sceau) -> None:
    """The processings that the READMEs name: Rspamd's as its README says, and one that looks at all parties."""
    api, written = sceau.api, "/etc/sceau/rspamd.yaml"
    [_, command] = commands_of(of_rspamd.README)[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rspamd.yaml"
        file.write_text(files_of(of_rspamd.README)[written])
        command_here = f"{SCEAU} register apply"
        places = {written: str(file), "http://127.0.0.1:8080": sceau.address, "sceau register apply": command_here}
        run(command, places, ADMINISTRATOR=str(api.key))
    registered = {each["id"] for each in api.ok("GET", "/v1/processings")["items"]}
    assert {ADS, TRAINING} <= registered
    api.register(EVERYONE, party_mode="all_parties", elements=["content"])
    api.register(COPIES, elements=["content"])


def rspamd_files(
    sceau: Sceau,
    folder: Path,
    address: str,
    *,
    exports: str = "http://127.0.0.1:1",
    keys: str | None = None,
    eager: bool = True,
) -> dict[str, str]:
    """Rspamd's settings as its README gives them, with a key of its own, asking at an address.

    `keys`: a file of keys to trust, of somebody who calls itself what the README has; else Sceau's own.
    `eager`: Bayes learns whatever it may.
    """
    folder.mkdir()
    made = new_key(sceau, ADS, TRAINING, EVERYONE)
    _, _, (_, paste, secret) = commands_of(of_rspamd.README)[:3]
    here = {of_rspamd.ETC: f"{folder}/", "openssl rand -hex 32": f"echo {HANDLE_SECRET}"}
    run(paste, here, given=made["key"])
    run(secret, here)
    changes = {'url = "http://127.0.0.1:8080"': f'url = "{address}"'}
    if keys is None:
        changes |= {"http://127.0.0.1:8080/.well-known": f"{sceau.address}/.well-known"}
        changes |= {'issuer = "http://127.0.0.1:8080"': f'issuer = "{sceau.address}"', AUDIENCE: made["id"]}
    else:
        changes |= {"http://127.0.0.1:8080/.well-known/jwks.json": keys}
    files = of_rspamd.as_in_readme(
        folder,
        {
            "local.d/sceau.conf": changes,
            "local.d/worker-proxy.inc": {"11332": "@milter@"},
            "local.d/metadata_exporter.conf": {"http://127.0.0.1:9001": exports},
        },
    )
    if eager:
        files["local.d/classifier-bayes.conf"] += _EAGER
    return files


def new_key(sceau: Sceau, *processings: str) -> dict[str, str]:
    """A key for a server, that may ask about these only, by the README's command; its secret and its id."""
    make = commands_of(of_rspamd.README)[2][0]
    named = ", ".join(f'"{each}"' for each in processings)
    places = {"http://127.0.0.1:8080": sceau.address, '"ads-mail", "filter-training"': named}
    made: dict[str, str] = json.loads(run(make, places, ADMINISTRATOR=str(sceau.api.key)))
    return made


def postfix_settings(folder: Path, milter: int) -> str:
    """Postfix's settings as the README of Rspamd's client gives them, with its table in this folder."""
    files, table = files_of(of_rspamd.README), "/etc/postfix/sceau-commands"
    (folder / "sceau-commands").write_text(files[table])
    places = {"127.0.0.1:11332": f"127.0.0.1:{milter}", table: f"{folder}/sceau-commands"}
    return filled_in(files["/etc/postfix/main.cf"], places)


def dovecot_settings(sceau: Sceau, folder: Path, address: str, copies: str) -> str:
    """Dovecot's settings as its README gives them, with a key of its own, asking at an address."""
    folder.mkdir()
    *_, paste, secret = of_dovecot.installing()
    here = {of_dovecot.ETC: f"{folder}/", "openssl rand -hex 32": f"echo {HANDLE_SECRET}"}
    run(paste, here, given=new_key(sceau, COPIES)["key"] + "\n")
    run(secret, here)
    return of_dovecot.as_in_readme({"http://127.0.0.1:8080": address, "http://127.0.0.1:9000": copies})
