"""The demo's course, told as it happens: register, consents, mail, a withdrawal and the very next answer."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from demo.client import Client
from demo.consents import record_consents
from demo.enforcement import Decided, MailServer
from demo.letters import Letter, read_letter
from demo.mailboxes import Mailbox
from demo.people import People
from demo.proof import Proof
from demo.refusal import Refused
from demo.register import ADS, register_sample
from demo.survey import Survey, survey
from demo.tables import (
    Addresses,
    consents_table,
    decisions_table,
    register_table,
    summary_table,
    timing_line,
)

_IN_DETAIL: Final = 3
_NAMED_DOMAINS: Final = 3
_PERSON: Final = {"type": "user", "id": "alice@example.com"}
"""A made-up person, for what is shown at the end."""
_CONSENTED: Final = "consent_in_force"


@dataclass(slots=True)
class Seen:
    """What is kept of the decisions: counts, the first few, and one permit to take back."""

    tally: Counter[tuple[str, bool, str, str]] = field(default_factory=Counter)
    first: list[Decided] = field(default_factory=list)
    detailed: int = 0
    passed_over: int = 0
    permit: tuple[Letter, Decided] | None = None


class Story:
    """Tells what it does on a console, and talks to the service as two callers: administrator and mail server."""

    def __init__(self, console: Console, mailbox: Mailbox, show: Addresses) -> None:
        self._console = console
        self._mailbox = mailbox
        self._show = show

    def look_at_mail(self, wanted: frozenset[str]) -> Survey:
        """The first look at the mailbox, before anything is started."""
        with self._progress() as bar:
            task = bar.add_task(f"reading {self._mailbox.name}", total=None)
            return survey(self._followed(bar, task), wanted, scattered=self._mailbox.scattered)

    def tell(self, url: str, key_file: Path, found: Survey) -> None:
        """The whole course, against the service at an address, whose data directory holds the key's file.

        Raises:
            Refused: the service does not do its part.

        """
        administrator = Client(url, key_file.read_text(encoding="utf-8").strip())
        try:
            order = self._prepare(administrator, found)
            made = administrator.must(
                "POST", "/v1/keys", {"name": "demo mail server", "scopes": ["decisions:evaluate"]}
            )
            try:
                self._decide(administrator, Client(url, made["key"]), found, order)
            finally:
                administrator.must("DELETE", f"/v1/keys/{made['id']}")
            self._title("People: a child, a renewal declined, a text changed by two persons, an erasure")
            people = People(administrator, self._line)
            people.tell()
            self._title("Proof: a receipt verified, a forged row named")
            Proof(administrator, people, self._line, key_file.parent.parent).tell()
        finally:
            administrator.close()

    def _prepare(self, administrator: Client, found: Survey) -> list[str]:
        register, new = register_sample(administrator)
        self._title(f"Register: {len(register)} processings, {new} of them new")
        self._console.print(register_table(register))
        recorded = record_consents(administrator, found.users)
        self._title(f"Consents: {len(recorded)} recorded (made up; everybody else was never asked)")
        self._console.print(consents_table(recorded, self._show))
        return [each["id"] for each in register]

    def _decide(self, administrator: Client, asking: Client, found: Survey, order: list[str]) -> None:
        server = MailServer(asking, found.domains, order)
        try:
            seen = self._put_through(server, found)
            self._title(f"Decisions: {found.messages:,} messages from {self._mailbox.name}")
            self._console.print(
                f"Local: {_named(found.domains)}. Messages without a local recipient: {seen.passed_over:,}."
            )
            self._console.print(f"The first {seen.detailed} that had one:\n")
            self._console.print(decisions_table(seen.first, self._show))
            self._console.print("\nAll of them:\n")
            self._console.print(summary_table(seen.tally, order))
            self._console.print(f"\n{timing_line(server.timing)}")
            self._withdraw(administrator, server, seen)
        finally:
            asking.close()

    def _put_through(self, server: MailServer, found: Survey) -> Seen:
        seen = Seen()
        with self._progress() as bar:
            task = bar.add_task("asking", total=found.messages)
            for letter in self._followed(bar, task):
                _keep(seen, letter, list(server.ask_about(letter)))
        return seen

    def _withdraw(self, administrator: Client, server: MailServer, seen: Seen) -> None:
        if seen.permit is None:
            self._title("Withdrawal: none, since no consent permitted anything here")
            return
        letter, permit = seen.permit
        self._title(f"Withdrawal: {self._show(permit.user)} from {permit.processing}")
        before = server.ask_one(letter, permit.user, permit.processing)
        body = {"subject": {"type": "user", "id": permit.user}, "processing": permit.processing}
        ended = administrator.must("POST", "/v1/withdrawals", body)["withdrawn"]
        after = server.ask_one(letter, permit.user, permit.processing)
        if after.permitted:
            raise Refused("the answer after the withdrawal was still a permit: this is a defect, please report it")
        self._console.print(f"The same question before and right after ({len(ended)} consent ended):\n")
        self._console.print(decisions_table([before, after], self._show))

    def say_where(self, url: str, key_file: Path) -> None:
        """Where to go on."""
        self._title("The service goes on running")
        self._console.print(f"API page  {url}/docs", soft_wrap=True)
        self._console.print(f"Key       in {key_file} (press Authorize there)", soft_wrap=True)
        self._console.print(f"Console   {url}/console (sign in with the key)", soft_wrap=True)
        self._console.print(f"Consent   {_consent_link(url, key_file)} (as alice@example.com)", soft_wrap=True)
        self._console.print(f"Ask       {_one_question(url, key_file)}", soft_wrap=True, markup=False, highlight=False)
        self._console.print("Ctrl-C stops it; what was recorded stays for the next run, but what alice said.")

    def _line(self, text: str) -> None:
        self._console.print(f"- {text}", markup=False)

    def _title(self, text: str) -> None:
        self._console.print(f"\n{text}\n", style="bold", markup=False)

    def _followed(self, bar: Progress, task: TaskID) -> Iterator[Letter]:
        for number, headers in enumerate(self._mailbox.headers(), start=1):
            yield read_letter(number, headers)
            bar.advance(task)

    def _progress(self) -> Progress:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        return Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)


def _consent_link(url: str, key_file: Path) -> str:
    """A link to the consent page for a made-up person.

    Raises:
        Refused: the service makes none.

    """
    administrator = Client(url, key_file.read_text(encoding="utf-8").strip())
    try:
        # A person's own request is taken once in a half-year: in each run this is another holder of the address.
        administrator.must("POST", "/v1/subjects/closures", {"subject": _PERSON})
        wanted = {"subject": _PERSON, "processings": [ADS], "authentication": "mailbox", "kind": "decide"}
        asked = {"by_person": True, "request_reference": "demo"}
        made = administrator.must("POST", "/v1/consent-links", {**wanted, **asked})
    finally:
        administrator.close()
    return str(made["url"])


def _one_question(url: str, key_file: Path) -> str:
    """A question that can be pasted into a shell; the key stays in its file."""
    question = {
        "subject": _PERSON,
        "action": {"name": ADS},
        "resource": {"type": "correspondence", "id": "a-handle", "properties": {"participants": []}},
    }
    headers = f'-H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})" -H "Content-Type: application/json"'
    return f"curl {headers} {url}/access/v1/evaluation -d {shlex.quote(json.dumps(question))}"


def _named(domains: frozenset[str]) -> str:
    return ", ".join(sorted(domains)) if len(domains) <= _NAMED_DOMAINS else f"{len(domains)} recipient domains"


def _keep(seen: Seen, letter: Letter, decided: list[Decided]) -> None:
    if not decided:
        seen.passed_over += 1
        return
    if seen.detailed < _IN_DETAIL:
        seen.detailed += 1
        seen.first += decided
    for each in decided:
        seen.tally[each.processing, each.permitted, each.reason, each.article] += 1
        if seen.permit is None and each.reason == _CONSENTED:
            seen.permit = (letter, each)
