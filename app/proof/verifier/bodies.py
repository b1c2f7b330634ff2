"""Checks the entries of a bundle: each body must match its commitment, or be gone for a reason that the log states.

Each entry must also claim a time that fits those of the entries before it, or be marked as late.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

_SHOWN = 100
_ENDING = {"refused", "withdrawn", "closed", "erased"}
"""The kinds of event that end a consent. A later `granted` renews the consent, or is the other half of a joint one."""


class UnreadableError(ValueError):
    """A file is not what it should be, and cannot be checked at all."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise UnreadableError("an object in it has two members of one name")
    return members


def _no_number(constant: str) -> NoReturn:
    raise UnreadableError(f"it is no JSON: {constant}")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number)


def parsed(text: str | bytes) -> Any:  # noqa: ANN401  # what a file may hold, like json.loads
    """Read JSON, and refuse what another reader would take otherwise (RFC 7493, 2.3).

    Of two members of one name some readers take the first, others the last.

    Raises:
        UnreadableError: an object has two members of one name, or a number is `NaN` or infinite.
        ValueError: it is no JSON in UTF-8.

    """
    return _DECODER.decode(text if isinstance(text, str) else text.decode())


@dataclass
class Findings:
    """What a check found. `wrong`: what failed; `missing`: what could not be checked; `checked`: what is good.

    `over`: the file is genuine, but its consent has ended since. `consents`: ids of consents; `ended`: which of these
    ended later, and by what. `lost`: the names of entries whose bodies are gone without a reason, by commitment; only
    of a bundle whose entries a trusted head proves. `part`: the log's name, the number of the bundle's first entry, and
    the number after its last.
    """

    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    consents: frozenset[str] = frozenset()
    ended: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    part: tuple[str, int, int] = ("", 0, 0)

    @property
    def status(self) -> int:
        """The exit status: 0 good; 1 a check failed, or the consent has ended; 3 good, but not all could be checked."""
        return 1 if self.wrong or self.over else 3 if self.missing else 0


def commits(commitment: str, salt: str, body: bytes) -> bool:
    """Whether a commitment is the SHA-256 of salt and body. Commitment and salt are given in hexadecimal."""
    return hashlib.sha256(bytes.fromhex(salt) + body).hexdigest() == commitment


DROPPED = "decision_log.dropped"
RESTORED = "deployment.restored"
"""The acts after which decisions that the log states are gone: a day was dropped, or a restore left all behind."""
ENDINGS = (DROPPED, RESTORED, "owner_limits.changed")
"""These acts, and the one that changes for how many days no day is dropped."""
MERGE_DELAY = timedelta(minutes=1)
"""How soon a recorded row is entered. An entry that claims to be older than one before it by more than this is late."""


class Claims:
    """Checks the times that entries claim, in order. The latest time before an entry shows whether it is late."""

    def __init__(self, report: Findings, *, from_the_first: bool) -> None:
        self.report, self.number, self.from_the_first = report, 0, from_the_first
        self.latest = datetime(1970, 1, 2, tzinfo=UTC)
        self.first: str | None = None

    def check(self, name: str, entry: dict[str, Any], anchored: datetime | None) -> datetime:
        """Check the next entry, and return the time that it claims.

        `anchored`: the latest time at which an outside party had a head from before this entry; None if none had one.
        """
        claimed, late = datetime.fromisoformat(entry["at"]), entry.get("late") is True
        is_older = claimed < self.latest - MERGE_DELAY
        if is_older and not late:
            self.report.wrong.append(f"{name}: it claims to be older than entries before it, and is not marked as late")
        if self.from_the_first and late and not is_older:
            self.report.wrong.append(
                f"{name}: it is marked as late, and does not claim to be older than those before it"
            )
        if late or (anchored is not None and claimed < anchored - MERGE_DELAY):
            self.number += 1
            claims = f"it was entered late, at {entry['entered']}, and claims to be of {entry['at']}"
            self.first = self.first or f"{name}: {claims}"
        self.latest = max(self.latest, claimed)
        return claimed

    def tell(self) -> None:
        """Report how many entries claim to be older than what the log, or an outside party, already had."""
        if self.first is not None:
            self.report.missing.append(self.first)
        if self.number > 1:
            self.report.missing.append(f"{self.number - 1} more entries were entered late")


@dataclass(frozen=True)
class Run:
    """A run of retention: its place in the log, when it took place, its periods, and the places that it emptied."""

    position: int
    at: str
    periods: list[str]
    places: list[int]


def run_of(position: int, at: str, body: dict[str, Any]) -> Run | None:
    """The run of retention that a body states; None if it lacks places or periods, or a place is no integer."""
    try:
        places, periods = list(body["positions"]), [str(each) for each in body["schedule"].values()]
    except (AttributeError, KeyError, TypeError):
        return None
    return Run(position, at, periods, places) if all(type(each) is int for each in places) else None


class Bodies:
    """Checks bodies one by one, and counts those that are not there.

    `runs`: runs of retention that stand in the log after the bundle's end. `acts`: the receipt files whose acts had no
    entry yet, each with the receipt's record.
    """

    def __init__(
        self,
        report: Findings,
        about: dict[str, Any],
        runs: Sequence[Run],
        acts: Sequence[tuple[str, dict[str, Any]]],
    ) -> None:
        self.report, self.good, self.given_out, self.withheld, self.acts = report, 0, 0, 0, acts
        self.processing, self.of_one_person = about["processing"], bool(about.get("of_one_person"))
        self.consents: dict[tuple[str, str], dict[str, Any]] = {}
        self.gone: dict[int, tuple[str, dict[str, Any]]] = {}
        self.runs = [*runs]
        self.hours: list[tuple[str, dict[str, Any]]] = []
        """Statements of hours of the decision log, each with the name of its entry."""
        self.endings: list[dict[str, Any]] = []
        """Acts of `ENDINGS` and statements of the owner's limits, in the order of the log."""
        self.first = self.size = about["first"]

    def check(self, name: str, row: dict[str, Any], entry: dict[str, Any]) -> None:
        """Compare an entry's body with its commitment; note a body that was withheld or is gone."""
        self.size = row["position"] + 1
        if row.get("withheld") and entry["kind"] in self._may_withhold():
            self.withheld += 1
        elif "body" not in row:
            self.gone[row["position"]] = (name, entry)
        else:
            self.given_out += 1
            self._open(name, row, entry)

    def _open(self, name: str, row: dict[str, Any], entry: dict[str, Any]) -> None:
        body = row["body"].encode()
        if not commits(entry["commitment"], row["salt"], body):
            self.report.wrong.append(f"{name}: what the database has is not what was recorded")
            return
        self.good += 1
        if entry["kind"] == "presented_text" and _is_not_its_hash(parsed(body)):
            self.report.wrong.append(f"{name}: the text is not that of its hash")
        if entry["kind"] == "retention_run":
            if (run := run_of(row["position"], entry["at"], parsed(body)["body"])) is None:
                self.report.wrong.append(f"{name}: what it states is no run of retention")
            else:
                self.runs.append(run)
        if entry["kind"] in {"administrative_act", "standing"}:
            self._note_ending(parsed(body))
        if entry["kind"] == "decision_hour":
            self.hours.append((name, parsed(body)["body"]))
        if self.report.consents and entry["kind"] == "consent_event":
            self._follow(name, row.get("people", {}).get("subject_ref", ""), parsed(body))
        if self.acts and entry["kind"] == "consent_event":
            self._compare_promises(name, entry["id"], parsed(body))
        if entry["kind"] == "invalidation":
            self._strike(name, parsed(body))

    def _note_ending(self, facts: dict[str, Any]) -> None:
        stated = facts.get("body", facts)
        if stated.get("act") in ENDINGS or stated.get("of") == "owner_limit":
            self.endings.append(stated)

    def _compare_promises(self, name: str, identifier: str, facts: dict[str, Any]) -> None:
        """Compare an act with receipts that were made before it was entered; they name the person differently."""
        for file, record in self.acts:
            if record["dct:identifier"] == identifier:
                for line in differences({**facts, "subject_ref": None}, record):
                    self.report.wrong.append(f"{name}: {file} tells something else: {line}")

    def _follow(self, name: str, person: str, facts: dict[str, Any]) -> None:
        """Note a consent that a receipt asks about; note as ended one that a later decision of its person ended."""
        for (who, processing), consent in list(self.consents.items()):
            is_about = who == person and facts["processing"] in {None, processing}
            if is_about and facts["kind"] in _ENDING and _rank(facts) > _rank(consent):
                self.report.ended[consent["id"]] = f"{name}: {facts['kind']}, of {facts['collected_at']}"
                del self.consents[who, processing]
        if facts["id"] in self.report.consents:
            self.consents[person, facts["processing"]] = facts

    def _strike(self, name: str, struck: dict[str, Any]) -> None:
        """Note as ended the consents asked about that rest on the version, or the text, that this entry invalidates."""
        text = (struck["text_sha256"] or "").removeprefix("\\x")
        for (who, processing), consent in list(self.consents.items()):
            shown = ((consent["evidence"] or {}).get("presented_text_sha256") or "").lower()
            rests = consent["version"] == struck["version"] or (text != "" and text == shown)
            if processing == struck["processing"] and consent["kind"] == "granted" and rests:
                self.report.ended[consent["id"]] = f"{name}: invalidated"
                del self.consents[who, processing]

    def tell(self) -> None:
        """Report how many bodies were compared, and which are not there."""
        self.report.checked.append(f"{self.good} bodies against their commitments")
        retained = self._retained()
        lost = [name for at, (name, _) in self.gone.items() if at not in retained]
        self.report.lost = {entry["commitment"]: name for at, (name, entry) in self.gone.items() if at not in retained}
        self.report.wrong += [f"{name}: its body is gone, and no run of retention tells why" for name in lost[:_SHOWN]]
        if len(lost) > _SHOWN:
            self.report.wrong.append(f"and {len(lost) - _SHOWN} more of them")
        if kept_out := len(self.gone) - len(lost):
            self.report.missing.append(
                f"{kept_out} bodies were destroyed when their time was over, as retention runs in the log say: "
                "compare with the operator's schedule"
            )
        if self.withheld:
            if self.of_one_person:
                self.report.missing.append(f"{self.withheld} bodies about other people are not part of this bundle")
            else:
                self.report.missing.append(
                    f"{self.withheld} bodies of consents to other processings than {self.processing} are not part of "
                    "this bundle"
                )

    def _may_withhold(self) -> set[str]:
        """The kinds of entries whose bodies this bundle may withhold, by the person or processing that it is about."""
        if self.of_one_person:
            return {"consent_event", "administrative_act"}
        return {"consent_event"} if self.processing is not None else set()

    def _retained(self) -> set[int]:
        """The places that runs were allowed to empty: consent events before the run that were past its schedule."""
        places = set()
        for run in self.runs:
            if datetime.fromisoformat(run.at) > datetime.now(UTC) + _LEEWAY:  # noqa: TID251 - an auditor's own clock
                self.report.wrong.append(f"entry {run.position}: this run of retention is of the future")
                continue
            # Which period an entry fell under is no longer known, but it must at least be older than the shortest.
            past = max((_before(run.at, each) for each in run.periods), default=_NEVER)
            for place in run.places:
                _, entry = self.gone.get(place, ("", {}))
                was_said = entry.get("kind") == "consent_event" and place < run.position
                if was_said and datetime.fromisoformat(entry["at"]) <= past:
                    places.add(place)
            self._tell_of_bodies_that_are_there(run)
        return places

    def _tell_of_bodies_that_are_there(self, run: Run) -> None:
        """Report a run of this bundle that states places as emptied that are not: it was stated before it was done."""
        if run.position >= self.size:  # after the bundle's end: it may have begun while the bundle was written
            return
        there = [place for place in run.places if self.first <= place < self.size and place not in self.gone]
        if there:
            self.report.wrong.append(
                f"entry {run.position}: a run of retention states that {len(there)} bodies are gone that are there"
            )


_PERIOD = re.compile(r"P(?:([0-9]{1,3})Y)?(?:([0-9]{1,3})M)?")
_LEAST_MONTHS = 13
_NEVER = datetime.min.replace(tzinfo=UTC)
_LEEWAY = timedelta(days=4)
"""A margin: a run counts months by its own calendar and clock, and a month has at most three days after day 28."""


def _before(at: str, period: str) -> datetime:
    """The instant that lies a period (ISO 8601, years and months) before `at`; `_NEVER` if the period is too short.

    The margin is added. A period that cannot be read counts as too short.
    """
    end, match = datetime.fromisoformat(at), _PERIOD.fullmatch(period)
    months = 12 * int(match[1] or 0) + int(match[2] or 0) if match is not None else 0
    if months < _LEAST_MONTHS or months >= 12 * end.year:
        return _NEVER
    year, month = divmod(end.year * 12 + end.month - 1 - months, 12)
    return end.replace(year=year, month=month + 1, day=min(end.day, 28)) + _LEEWAY


def _rank(facts: dict[str, Any]) -> tuple[datetime, int]:
    """The sort key of one person's acts: when each was collected, then the order in which they were recorded."""
    return datetime.fromisoformat(facts["collected_at"]), int(facts["seq"])


_STATUSES = {
    "granted": ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"],
    "refused": ["dpv:ConsentRefused"],
    "withdrawn": ["dpv:ConsentWithdrawn"],
}


def differences(body: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """The facts of a receipt's record that differ from the body of its entry; the person only if the body names one."""
    status, process = record["dpv:hasConsentStatus"][0], record.get("dpv:hasProcess") or {}
    evidence, notice = body["evidence"] or {}, record.get("dpv:hasNotice") or {}
    person = record["dpv:hasDataSubject"]["dct:identifier"]
    expires = status.get("dpv:hasDuration", {}).get("dct:valid")
    wanted = {
        "the act": (record["dct:identifier"], body["id"]),
        "the person": (person, body["subject_ref"] or person),
        "the processing": (process.get("dct:identifier"), body["processing"]),
        "its version": (process.get("dct:hasVersion"), body["version"]),
        "the decision": (status["@type"], _STATUSES.get(body["kind"])),
        "how it was given": (status["dpv:hasIndicationMethod"], evidence.get("method") or "unknown"),
        "the text that was shown": (notice.get("schema:sha256"), evidence.get("presented_text_sha256")),
        "its language": (notice.get("dct:language", "fr"), evidence.get("language") or "fr"),
        "when it was collected": (_second(status["dpv:isIndicatedAtTime"]), _second(body["collected_at"])),
        "when it expires": (_second(expires), _second(body["expires_at"])),
    }
    return [what for what, (in_receipt, in_entry) in wanted.items() if in_receipt != in_entry]


def _second(text: str | None) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).timestamp())


def _is_not_its_hash(shown: dict[str, Any]) -> bool:
    digest: str = shown["sha256"].removeprefix("\\x")
    return hashlib.sha256(shown["text"].encode()).hexdigest() != digest
