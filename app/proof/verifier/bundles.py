"""Checks a bundle: its files must be unchanged, its entries must be the log's, and each body must match its commitment.

A bundle is a BagIt bag (RFC 8493) in a ZIP. `data/log.json` names the log and the entry at which the bundle begins.
`data/entries.ndjson` has every entry from there to the checkpoint, with its body unless that is gone or withheld.
`later.json`, beside the payload, has entries from after the bundle's end, such as the log's statement of the bundle,
with proofs under one later head.
"""

import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import IO, Any

from app.proof.verifier.anchors import NOBODY, Anchors, Trust, anchors_of
from app.proof.verifier.bodies import (
    MERGE_DELAY,
    Bodies,
    Claims,
    Findings,
    Run,
    UnreadableError,
    commits,
    parsed,
    run_of,
)
from app.proof.verifier.decisions import check_decisions
from app.proof.verifier.files import (
    LATER,
    MOST_LATER,
    check_files,
    check_layout,
    check_list,
    member,
    objects,
)
from app.proof.verifier.notes import Checkpoint, NoteError, VerifierKey, contradiction, followed, opened
from app.proof.verifier.trees import Frontier, LogProof, is_consistent, leaf_hash

FORMAT = "sceau-bundle/1"
_MEMBERS = {"v", "kind", "id", "at", "entered", "commitment"}
"""The members of an entry. One that was entered late also has `late`."""
COUNTED = ("bodies", "withheld", "stamps", "cosigned")
"""The counts of a bundle that the log's statement of it gives."""


@dataclass(frozen=True)
class PromisedAct:
    """An act of a receipt that had no entry yet, with the receipt's file and the name of the log that must enter it.

    `size`: how many entries the log had then. The act's entry must come after these.
    """

    file: str
    origin: str
    record: dict[str, Any]
    size: int


@dataclass
class Beside:
    """What the other files of a run say of logs. All of it but `heads` and `bundles` is signed by a trusted key.

    `heads`: the file, the note, and whether it must be of the bundle's log; the code that uses a head checks its
    signature. `entries`: the file and the entry that it has, by log and place. `acts`: by id. `consents`: ids; bundles
    must report whether these ended. `known`: the heads whose signatures were checked, each with its file. `forks`:
    lines that each report two entries at one place. `bundles`: the files that are bundles.
    """

    heads: list[tuple[str, str, bool]] = field(default_factory=list)
    entries: dict[tuple[str, int], tuple[str, bytes]] = field(default_factory=dict)
    acts: dict[str, list[PromisedAct]] = field(default_factory=dict)
    consents: frozenset[str] = frozenset()
    known: dict[tuple[str, Checkpoint], None] = field(default_factory=dict)
    forks: list[str] = field(default_factory=list)
    bundles: set[str] = field(default_factory=set)

    def add_entry(self, file: str, origin: str, place: int, entry: bytes) -> None:
        """Record an entry that a trusted head proves. A different entry at the same place proves a fork."""
        other, recorded = self.entries.setdefault((origin, place), (file, entry))
        if recorded != entry:
            self.forks.append(f"{other} and {file}: {origin} was forked: they have two entries of number {place}")

    def contradictions(self) -> list[str]:
        """A line for each two heads or entries that no honest log can both have, with the names of both files."""
        pairs = combinations(self.known, 2)
        faults = [(file, other, contradiction(first, second)) for (file, first), (other, second) in pairs]
        return [*(f"{file} and {other}: {why}" for file, other, why in faults if why is not None), *self.forks]


def check_bundle(path: Path, trusted: list[VerifierKey], beside: Beside, trust: Trust = NOBODY) -> Findings:
    """Check a bundle.

    Args:
        path: the ZIP.
        trusted: keys of the log that the auditor has from elsewhere. If there are none, the bundle's own keys are used,
            and the report says so.
        beside: what the other files say. Heads whose signatures are checked here are added to it.
        trust: the time-stamping authorities and witnesses that are believed about the log.

    Raises:
        UnreadableError: it cannot be read as a bundle, and no check had failed before.

    """
    report, later, manifest = Findings(consents=beside.consents), _Later(), ""
    files: Future[Findings] | None = None
    try:
        with zipfile.ZipFile(path) as bag, ThreadPoolExecutor(1) as second:
            manifest, listed = check_list(bag, report)
            with path.open("rb") as file:
                check_layout(bag, file, report)
            files = second.submit(check_files, bag, listed)
            about = parsed(member(bag, "data/log.json"))
            _check_format(about)
            _tell_what_is_left_out(about, report)
            keys = _keys(about, trusted, report)
            head = _head(member(bag, "data/checkpoint").decode(), keys, report)
            if head is not None and (about["origin"], about["size"]) != (head.origin, head.size):
                report.wrong.append(
                    "it says of itself that it is of another log, or ends elsewhere, than its checkpoint"
                )
            later = _later(bag, keys, head, report)
            for signed in (head, later.head):
                if signed is not None and trusted:  # signed by the bundle's own keys alone, it proves nothing
                    beside.known[str(path), signed] = None
            anchors = anchors_of(bag, str(path), trust)
            kept = _kept(beside, str(path), keys, about["origin"], report, is_trusted=bool(trusted))
            acts = [each for some in beside.acts.values() for each in some if each.origin == about["origin"]]
            log = _Entries(*(about, head, later.head, kept, anchors, beside, acts, report), is_trusted=bool(trusted))
            _check_contents(bag, log, later, manifest)
            _add(files, report)
    except Exception as error:  # a forger chooses what stands in a file; what was found wrong is still reported
        later.compare_list(manifest, report)
        with suppress(Exception):
            _add(files, report)
        is_told = isinstance(error, UnreadableError)
        why = str(error) if is_told else type(error).__name__
        if not report.wrong:
            raise UnreadableError(why if is_told else f"it cannot be read as a bundle ({why})") from error
        report.wrong.append(f"the rest of it cannot be read ({why})")
        return report
    checked, missing = anchors.summary(head.size if head is not None else 0)
    report.checked += checked
    report.missing += missing
    report.wrong += anchors.wrong
    return report


def _check_contents(bag: zipfile.ZipFile, entries: "_Entries", later: "_Later", manifest: str) -> None:
    """Check a bundle's entries, bodies and decisions against the log and its statement, and report unentered rows."""
    about, report = entries.about, entries.report
    bodies = Bodies(report, about, later.runs, [(each.file, each.record) for each in entries.acts])
    with bag.open("data/entries.ndjson") as lines:
        entries.check(lines, bodies)
    chosen = about["processing"] is not None or bool(about["of_one_person"])
    check_decisions(bag, bodies.hours, [*bodies.endings, *later.endings], report, chosen=chosen)
    later.compare(manifest, _counts(bag, bodies), report)
    _tell_of_replay(bag, report)
    with bag.open("data/unentered.ndjson") as lines:
        for _, row in objects(lines):
            report.wrong.append(f"{row['kind']} {row['id']}: recorded, and not in the log")


def _add(files: Future[Findings] | None, report: Findings) -> None:
    """Wait for the check of the files, and put its findings before the others."""
    if files is not None:
        report.wrong[:0], report.checked[:0] = files.result().wrong, files.result().checked


def _check_format(about: dict[str, Any]) -> None:
    if about["format"] != FORMAT:
        raise UnreadableError("it is no bundle of a format that this verifier knows")


def _entry(content: bytes) -> dict[str, Any] | None:
    """The members of an entry; None if the content is not a well-formed entry."""
    try:
        members = parsed(content)
    except ValueError:
        return None
    is_entry = isinstance(members, dict) and members.keys() - {"late"} == _MEMBERS and members["v"] == 1
    return members if is_entry and members.get("late", True) is True else None


def bodies_in(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield each wanted commitment that a bundle has the body of, with that body."""
    with zipfile.ZipFile(path) as bag, bag.open("data/entries.ndjson") as lines:
        for _, row in objects(lines):
            if "body" in row and (entry := _entry(row["entry"].encode())) is not None:
                commitment, body = entry["commitment"], row["body"].encode()
                if commitment in wanted and commits(commitment, row["salt"], body):
                    yield commitment, body


def rotations_in(path: Path) -> list[str]:
    """The notes, unchecked, by which one key of a bundle's log replaced another."""
    with zipfile.ZipFile(path) as bag:
        return [str(each) for each in parsed(member(bag, "data/log.json"))["rotations"]]


def heads_in(path: Path) -> list[str]:
    """The notes of a bundle's heads, unchecked: its own checkpoint, and the later one of `later.json` if it has one."""
    with zipfile.ZipFile(path) as bag:
        notes = [member(bag, "data/checkpoint").decode("utf-8", "replace")]
        if LATER in bag.namelist():
            notes.append(str(parsed(member(bag, LATER, MOST_LATER))["checkpoint"]))
    return notes


def _counts(bag: zipfile.ZipFile, bodies: Bodies) -> dict[str, int]:
    names = bag.namelist()
    stamps = sum(name.startswith("data/stamps/") and name.endswith(".tsr") for name in names)
    cosigned = sum(name.startswith("data/cosigned/") for name in names)
    return dict(zip(COUNTED, (bodies.given_out, bodies.withheld, stamps, cosigned), strict=True))


def _tell_what_is_left_out(about: dict[str, Any], report: Findings) -> None:
    """Report what the bundle says that it leaves out. The checks of what it does hold do not rely on this."""
    if about["first"] > 0:
        report.missing.append(f"the {about['first']} entries before this bundle begins")
    if about["since"] or about["until"]:
        begins, ends = about["since"] or "the beginning", about["until"] or "its last checkpoint"
        report.missing.append(f"anything outside the period that the operator chose: from {begins} to {ends}")
    if about["waiting"]:
        rows = "1 row waits" if about["waiting"] == 1 else f"{about['waiting']} rows wait"
        report.missing.append(f"{rows} to be entered, the oldest since {about['waiting_since']}")


@dataclass
class _Later:
    """What the log holds after a bundle's end: runs of retention, administrative acts, its statement of the bundle."""

    head: Checkpoint | None = None
    runs: list[Run] = field(default_factory=list)
    endings: list[dict[str, Any]] = field(default_factory=list)
    statement: dict[str, Any] | None = None

    def compare_list(self, manifest: str, report: Findings) -> bool:
        """Return whether the log states this list of files, or none; report it if the log states another list."""
        is_it = self.statement is None or self.statement["manifest_sha256"] == manifest
        if not is_it:
            report.wrong.append("it is not the bundle that the log states: files were changed, left out or added")
        return is_it

    def compare(self, manifest: str, counts: Mapping[str, int], report: Findings) -> None:
        """Compare the bundle with what the log states of it."""
        stated = self.statement
        if stated is None:
            report.wrong.append("the log does not state that this bundle was made: nothing shows that it is whole")
        elif not self.compare_list(manifest, report):
            report.wrong += [
                f"it has {number} {what}, and had {stated['counts'][what]} by the log's statement"
                for what, number in counts.items()
                if stated["counts"][what] != number
            ]
        else:
            report.checked.append("every file is as the log states it of this bundle")
            if gone := stated["counts"].get("gone", 0):
                report.checked.append(f"by the log's statement {gone} bodies were gone when it was made")


def _later(bag: zipfile.ZipFile, keys: list[VerifierKey], head: Checkpoint | None, report: Findings) -> _Later:
    """Read `later.json`, and check that its entries stand in the same log, after the bundle's end."""
    later = _Later()
    if LATER not in bag.namelist() or head is None:
        return later
    content = parsed(member(bag, LATER, MOST_LATER))
    try:
        after = opened(content["checkpoint"], keys)
    except NoteError as error:
        report.wrong.append(f"the later checkpoint: {error}")
        return later
    proof = [bytes.fromhex(each) for each in content["consistency"]]
    if not is_consistent(head.size, after.size, proof, head.root, after.root):
        report.wrong.append(f"the later checkpoint of {after.size} entries does not continue this bundle's log")
        return later
    later.head = after
    for row in content["entries"]:
        entry, body = parsed(row["entry"]), row["body"].encode()
        proved = LogProof.parse(row["proof"])
        committed = commits(entry["commitment"], row["salt"], body)
        if not committed or proved.index < head.size or not proved.leads_to(leaf_hash(row["entry"].encode()), after):
            report.wrong.append(f"an entry behind the bundle's end ({entry['kind']}) is not what the log holds")
        elif entry["kind"] == "retention_run":
            run = run_of(proved.index, entry["at"], parsed(body)["body"])
            later.runs += [run] if run is not None else []
        elif entry["kind"] == "administrative_act":
            later.endings.append(parsed(body))
        elif entry["kind"] == "bundle":
            if later.statement is not None:
                report.wrong.append("the log states this bundle twice")
            later.statement = parsed(body)["body"]
    return later


def _tell_of_replay(bag: zipfile.ZipFile, report: Findings) -> None:
    """Report the operator's own replay of decisions as its word: a replay needs the operator's database."""
    if "data/replay.json" not in bag.namelist():
        return
    run = parsed(member(bag, "data/replay.json"))
    counts = ", ".join(f"{int(run[name])} {name}" for name in ("decisions", "reproduced", "different", "altered"))
    report.missing.append(f"the replay of {run['since']} to {run['until']}, which is the operator's word: {counts}")
    if run["different"] or run["altered"]:
        report.wrong.append("by the operator's own replay, decisions come out otherwise, or rows were altered")


def _keys(about: dict[str, Any], trusted: list[VerifierKey], report: Findings) -> list[VerifierKey]:
    own = [VerifierKey.parse(each) for each in about["keys"]]
    if trusted:
        try:
            followed(own, about.get("rotations", []))
        except NoteError as error:
            report.wrong.append(str(error))
        good = [each for each in own if each in trusted]
        if not good:
            report.wrong.append("none of the keys that are trusted is the log's")
        return good
    report.missing.append(
        "no key of a log was given: the keys are those that the bundle names itself (compare: " + str(own[0]) + ")"
    )
    return own


def _head(note: str, keys: list[VerifierKey], report: Findings) -> Checkpoint | None:
    try:
        head = opened(note, keys)
    except NoteError as error:
        report.wrong.append(str(error))
        return None
    report.checked.append(f"the checkpoint of {head.size} entries, signed by {head.origin}")
    return head


def _kept(
    beside: Beside, path: str, keys: list[VerifierKey], origin: str, report: Findings, *, is_trusted: bool
) -> dict[int, list[tuple[str, bytes]]]:
    """The roots that the log must have had according to other files, by size, each with its file."""
    kept: dict[int, list[tuple[str, bytes]]] = {}
    for file, note, is_ours in beside.heads:
        if file == path:
            continue
        try:
            head = opened(note, keys)
        except NoteError as error:
            if is_ours:
                report.wrong.append(f"the checkpoint of {file}: {error}")
            continue
        if head.origin == origin:
            if is_trusted:
                beside.known[file, head] = None
            kept.setdefault(head.size, []).append((file, head.root))
    return kept


@dataclass
class _Entries:
    """Checks the entries of a bundle, one after the other, against every head that is known of their log.

    `acts`: the acts that receipts promised. If there are any, `seen` has the ids of the acts that were entered, and
    `reached` the latest time that an entry after a promised act claims, by the act's index.
    """

    about: dict[str, Any]
    head: Checkpoint | None
    later: Checkpoint | None
    kept: dict[int, list[tuple[str, bytes]]]
    anchors: Anchors
    beside: Beside
    acts: Sequence[PromisedAct]
    report: Findings
    is_trusted: bool
    seen: set[str] = field(default_factory=set)
    reached: dict[int, datetime] = field(default_factory=dict)

    def check(self, lines: IO[bytes], bodies: Bodies) -> None:
        """Check all entries, and report what was found."""
        report, head, first = self.report, self.head, self.about["first"]
        if head is not None and not 0 <= first < head.size:
            report.wrong.append("the bundle holds no entry of the log")
            return
        tree = Frontier(first, [bytes.fromhex(each) for each in self.about["frontier"]])
        claims = Claims(report, from_the_first=first == 0)
        self._compare(tree)
        for _, row in objects(lines):
            if row["position"] != tree.size:
                report.wrong.append(f"entry {tree.size}: it is missing, or stands in another place")
                return
            self._take(row, tree, claims, bodies)
        bodies.tell()
        claims.tell()
        for number, act in enumerate(self.acts):
            if act.record["dct:identifier"] not in self.seen:
                self._tell_of_promise(act, self.reached.get(number))
        self._tell_of_heads(tree.size)
        is_proved = head is not None and (tree.size, tree.root()) == (head.size, head.root)
        report.part = (self.about["origin"], first, tree.size)
        if not is_proved or not self.is_trusted:
            report.lost = {}
        if head is not None and not is_proved:
            report.wrong.append(
                "the entries are not those that the checkpoint was signed for: one was changed, moved or removed"
            )
        elif head is not None:
            report.checked.append(f"{tree.size - first} entries against the checkpoint")

    def _take(self, row: dict[str, Any], tree: Frontier, claims: Claims, bodies: Bodies) -> None:
        """Add the next entry to the tree, and check its time, its body, and what other files have at its place."""
        place, content, anchored = tree.size, row["entry"].encode(), self.anchors.newest
        tree.append(leaf_hash(content))
        self._compare(tree)
        if (entry := _entry(content)) is None:
            self.report.wrong.append(f"entry {place}: it is no entry of a log")
            return
        name = f"entry {place} ({entry['kind']} {entry['id']})"
        claimed = claims.check(name, entry, anchored)
        for number, act in enumerate(self.acts):
            if place >= act.size:
                self.reached[number] = max(claimed, self.reached.get(number, claimed))
        if self.acts and entry["kind"] == "consent_event":
            self.seen.add(entry["id"])
        file, other = self.beside.entries.get((self.about["origin"], place), ("", content))
        if other != content:
            self.report.wrong.append(f"{name}: {file} has another entry there")
        bodies.check(name, row, entry)

    def _compare(self, tree: Frontier) -> None:
        """Compare the tree with the heads and anchors that are known of the log at this size."""
        for file, root in self.kept.get(tree.size, []):
            if root != tree.root():
                self.report.wrong.append(
                    f"the log does not begin with the checkpoint of {tree.size} entries of {file}: it was rewritten"
                )
            else:
                self.report.checked.append(f"the log begins with the checkpoint of {tree.size} entries of {file}")
        self.anchors.compare(tree)

    def _tell_of_heads(self, size: int) -> None:
        """Report heads that are older or newer than the entries, and those that the bundle's later head confirms."""
        for kept, files in sorted(self.kept.items()):
            where = ", ".join(file for file, _ in files)
            if self.later is not None and kept == self.later.size:
                same = all(root == self.later.root for _, root in files)  # if not, the two heads contradict each other
                self.report.checked += [f"the log goes on to the checkpoint of {kept} entries of {where}"] * same
                continue
            if kept < self.about["first"]:
                statement = f"the checkpoint of {kept} entries of {where} is older than this bundle"
                self.report.missing.append(f"{statement}: ask for one that begins before")
            elif kept > size and not all(file in self.beside.bundles for file, _ in files):
                statement = f"the checkpoint of {kept} entries of {where} is newer than this bundle"
                self.report.missing.append(f"{statement}: ask for one that reaches it")

    def _tell_of_promise(self, act: PromisedAct, reached: datetime | None) -> None:
        """Report an act that is not among the entries. `reached`: the latest time that an entry after it claims."""
        at, identifier = datetime.fromisoformat(act.record["dct:created"]), act.record["dct:identifier"]
        if self.about["first"] > act.size:
            self.report.missing.append(f"the act {identifier} of {act.file}: it may stand before this bundle begins")
        elif reached is not None and at + 2 * MERGE_DELAY < reached:
            self.report.wrong.append(
                f"the act {identifier} that {act.file} tells, of {act.record['dct:created']}, was not entered"
            )
        else:
            self.report.missing.append(f"the act {identifier} of {act.file}: ask for a bundle that reaches further")
