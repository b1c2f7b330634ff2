"""What an auditor gets: every entry of a period with its body, as lines that are made one after the other.

Nothing here decides what is true: bodies come from the tables as they are now. Only the verifier says whether they are
what was committed to (`app.proof.verifier`); the holder of the database does not.
"""

import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby, islice
from typing import Any, Final
from uuid import UUID

from app.audit.log_reading import UNREADABLE
from app.audit.segments import NOBODY, REF_BYTES, name_in, open_lines
from app.audit.store import segment_content
from app.auth.store import load_caller
from app.core.errors import RefusalError
from app.db.session import ReadSession, WriteSession
from app.ledger.store import whole_refs
from app.operations.proof.append_entries import anchor_files, cosignature_lines, name_of_log, state, verifier_keys
from app.operations.proof.receipts import prove_entry
from app.proof import store
from app.proof.entries import Bag, Record, body_of, read_me
from app.proof.single_file import verifier_script
from app.proof.store import StoredCheckpoint, StoredEntry
from app.proof.tree import complete_subtrees, consistency_proof
from app.proof.verifier.bodies import ENDINGS
from app.proof.verifier.bundles import COUNTED, FORMAT

_TOGETHER: Final = 1_000


class NoLogError(RefusalError):
    """There is no entry to bundle; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """What a bundle is to hold. `key`: 32 random bytes of this bundle, under which people get other names in it.

    `processing`: leave out bodies of other processings' consents. `is_anchored`: end with a checkpoint that others have
    stamped or cosigned. `person_of`: the id of a consent; leave out bodies about anyone but its person.
    """

    since: datetime | None
    until: datetime | None
    key: bytes
    processing: str | None = None
    is_anchored: bool = False
    person_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """One bundle: the log that it is of, where it begins in that, and the checkpoint that it ends with.

    `waiting`: how many rows wait to be entered, the oldest since `waiting_since`. `rotations`: notes that say which key
    of the log follows which. `person`: the only person whose bodies it has, by pseudonym; None: it has everyone's.
    `counts`: of what was written into it. `segments`: day and id of the decision log's segments that its entries state.
    """

    origin: str
    first: int
    frontier: Sequence[bytes]
    checkpoint: StoredCheckpoint
    keys: Sequence[str]
    plan: BundlePlan
    waiting: int = 0
    waiting_since: datetime | None = None
    rotations: Sequence[str] = ()
    person: bytes | None = None
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTED, 0)))

    segments: dict[tuple[date, UUID], None] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether it leaves out no person and no processing; a selection of decisions could not be checked."""
        return self.person is None and self.plan.processing is None

    def take_segments(self, statement: Mapping[str, Any]) -> None:
        """Note the segments that a statement about an hour of the decision log names; other statements name none."""
        for segment in (*statement.get("segments", ()), *statement.get("late", ())):
            self.segments[date.fromisoformat(segment["hour"][:10]), UUID(segment["id"])] = None

    @property
    def entries(self) -> int:
        """How many entries it has."""
        return self.checkpoint.size - self.first

    def withholds(self, entry: StoredEntry, record: Record) -> bool:
        """Return whether the plan leaves out the body of a record; never of one that is not as it was entered."""
        wanted = self.plan.processing
        others = wanted is not None and record.facts.get("processing") not in {None, wanted}
        somebody_else = self.person is not None and any(each != self.person for each in record.subjects.values())
        chosen = (others and record.kind == "consent_event") or somebody_else
        return chosen and store.is_as_entered(entry, record)

    def name_of(self, reference: bytes) -> str:
        """Return what a person is called in this bundle, and in no other."""
        return hmac.new(self.plan.key, reference, hashlib.sha256).hexdigest()[:32]

    def about(self) -> dict[str, Any]:
        """Return the content of `data/log.json`."""
        return {
            "format": FORMAT,
            "origin": self.origin,
            "keys": list(self.keys),
            "rotations": list(self.rotations),
            "first": self.first,
            "frontier": [each.hex() for each in self.frontier],
            "size": self.checkpoint.size,
            "since": self.plan.since.isoformat() if self.plan.since else None,
            "until": self.plan.until.isoformat() if self.plan.until else None,
            "processing": self.plan.processing,
            "of_one_person": self.person is not None,
            "waiting": self.waiting,
            "waiting_since": self.waiting_since.isoformat() if self.waiting_since else None,
        }


async def write_bundle(
    session: ReadSession,
    plan: BundlePlan,
    bag: Bag,
    replay: Mapping[str, Any] | None = None,
    tell: Callable[[float, str], None] = lambda *_: None,
) -> Bundle:
    """Write the payload of a bundle, and return where it begins and ends.

    Args:
        session: where to read, as of one moment.
        plan: what is bundled.
        bag: where it is written.
        replay: a report to put into it.
        tell: is called now and then with the share of entries that is written, and their number in words.

    Raises:
        NoLogError: there is no checkpoint yet, nothing was entered in the period, or there is no such consent.

    """
    bundle = await open_bundle(session, plan)
    bag.put("data/log.json", json.dumps(bundle.about(), indent=2).encode() + b"\n")
    cosigned = await cosignature_lines(session, bundle.checkpoint.size)
    bag.put("data/checkpoint", (bundle.checkpoint.note + cosigned).encode())
    async for name, content in anchor_files(session, bundle.first + 1, bundle.checkpoint.size):
        bag.put(name, content)
        bundle.counts[name.split("/")[1]] += 0 if name.endswith(".tsr") else 1
    written = 0
    unentered = unentered_lines(session, await store.size_of_log(session))
    for name, lines in (("entries", lines_of(session, bundle)), ("unentered", unentered)):
        with bag.open(f"data/{name}.ndjson") as file:
            async for line in lines:
                file.write(line)
                if name == "entries" and (written := written + 1) % _TOGETHER == 0:
                    tell(written / bundle.entries, f"{written:,} entries")
    for day, identifier in bundle.segments:
        await _write_segment(session, bag, bundle, day, identifier)
    if replay is not None:
        bag.put("data/replay.json", json.dumps(replay, indent=2).encode() + b"\n")
    for language in ("en", "fr"):
        bag.put(f"data/README.{language}.md", read_me(language).encode())
    bag.put("data/verify.py", verifier_script().encode())
    return bundle


async def state_bundle(session: WriteSession, bundle: Bundle, manifest_sha256: str) -> UUID:
    """State for the log that a bundle was made: what was chosen, its counts, and the hash of its list of files."""
    about = bundle.about()
    chosen = {name: about[name] for name in ("first", "size", "since", "until", "processing", "of_one_person")}
    counted = {"counts": dict(bundle.counts), "manifest_sha256": manifest_sha256}
    return await state(session, "bundle", {**chosen, **counted})


async def entered_behind(session: ReadSession, bundle: Bundle, statement: UUID) -> bytes | None:
    """Return the content of `later.json`: a bundle's statement and later runs of retention, under the newest head.

    None while the statement is not in the log.
    """
    head = await store.latest_checkpoint(session)
    entry = await store.entry_named(session, "statement", str(statement))
    if head is None or entry is None or entry.position >= head.size:
        return None
    end = bundle.checkpoint.size
    consistency = await store.from_tiles(session, lambda subtree: consistency_proof(end, head.size, subtree))
    named = [("statement", each) for each in await store.statements_from(session, "retention_run", end)]
    named += [("administrative_act", each) for each in await store.acts_from(session, ENDINGS, end)]
    proofs = [await prove_entry(session, *each, head) for each in [*named, ("statement", str(statement))]]
    content = {
        "checkpoint": head.note,
        "consistency": [each.hex() for each in consistency],
        "entries": [each.json() for each in proofs if each is not None],
    }
    return json.dumps(content, indent=2).encode() + b"\n"


async def open_bundle(session: ReadSession, plan: BundlePlan) -> Bundle:
    """Choose where a bundle begins and ends.

    Raises:
        NoLogError: there is no checkpoint yet, or nothing was entered in the period.

    """
    first = 0 if plan.since is None else await store.checkpointed_before(session, plan.since)
    last = await store.checkpoint_after(session, plan.until, anchored=plan.is_anchored)
    if last is None:
        missing = (
            "nobody outside has stamped or cosigned the log yet: --newest makes a bundle all the same"
            if plan.is_anchored
            else "nothing was entered in the log yet"
        )
        raise NoLogError(missing)
    if first >= last.size:  # a bundle without an entry proves nothing, and looks like one that was emptied
        raise NoLogError("nothing was entered in the log in that period")
    origin = await name_of_log(session, "")
    parts = complete_subtrees(first)
    frontier = await store.from_tiles(session, lambda subtree: [subtree(*each) for each in parts])
    keys = [str(each) for each in await verifier_keys(session, origin)]
    number, since = await store.count_waiting(session)
    rotations = await store.rotations(session)
    person = await _person(session, plan.person_of) if plan.person_of is not None else None
    return Bundle(origin, first, frontier, last, keys, plan, number, since, rotations, person)


async def _person(session: ReadSession, consent: UUID) -> bytes:
    """Return the pseudonym of the person whose consent it is."""
    record = (await store.records(session, [("consent_event", str(consent))])).get(("consent_event", str(consent)))
    if record is None:
        raise NoLogError("there is no consent of that id")
    return record.subjects["subject_ref"]


async def lines_of(session: ReadSession, bundle: Bundle) -> AsyncIterator[bytes]:
    """Yield the lines of `data/entries.ndjson`."""
    at = bundle.first
    while at < bundle.checkpoint.size:
        entries = await store.entries_from(session, at, min(_TOGETHER, bundle.checkpoint.size - at))
        records = await store.records(session, [(each.kind, each.id) for each in entries])
        for entry in entries:
            line = _line(entry, records.get((entry.kind, entry.id)), bundle)
            if entry.kind == "statement" and "body" in line and bundle.is_whole:
                bundle.take_segments(json.loads(line["body"])["body"])
            bundle.counts["bodies" if "body" in line else "withheld" if "withheld" in line else "gone"] += 1
            yield json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        at += _TOGETHER


async def unentered_lines(session: ReadSession, size: int) -> AsyncIterator[bytes]:
    """Yield the lines of `data/unentered.ndjson`: rows that the log does not know, and that do not wait for it."""
    for kind, identifier in await store.unentered(session, size):
        yield json.dumps({"kind": kind, "id": identifier}).encode() + b"\n"


def _line(entry: StoredEntry, record: Record | None, bundle: Bundle) -> dict[str, Any]:
    members: dict[str, Any] = {"position": entry.position, "entry": entry.content.decode()}
    if entry.salt is None or record is None:
        return members
    if bundle.withholds(entry, record):
        return {**members, "withheld": True}
    members |= {"salt": entry.salt.hex(), "body": body_of(record, entry.salt).decode()}
    if record.subjects:
        members["people"] = {name: bundle.name_of(ref) for name, ref in record.subjects.items()}
    return members


async def _write_segment(session: ReadSession, bag: Bag, bundle: Bundle, day: date, identifier: UUID) -> None:
    """Write the decisions of a segment as the log committed to them, and what its people are called in this bundle.

    A damaged segment ends where it cannot be read: the verifier names it.
    """
    content = await segment_content(session, day, identifier)
    if content is None:
        return
    with bag.open(f"data/decisions/{identifier}.ndjson") as file, suppress(*UNREADABLE):
        for _, line in open_lines(identifier, *content):
            file.write(line)
    with bag.open(f"data/decisions/{identifier}.people.ndjson") as file, suppress(*UNREADABLE):
        persons = (decision.person for decision, _ in open_lines(identifier, *content) if decision.person != NOBODY)
        people = (ref for ref, _ in groupby(persons))  # they are sorted by person
        while some := list(islice(people, _TOGETHER)):
            # The log has the first half of a reference.
            full_refs = {ref[:REF_BYTES]: ref for ref in await whole_refs(session, some)}
            for ref in some:
                members = {"name": name_in(identifier, ref), "person": bundle.name_of(full_refs.get(ref, ref))}
                file.write(json.dumps(members).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """An entry of a bundle that has its body. `person`: the name in this bundle of its person, "" without one."""

    position: int
    facts: Mapping[str, Any]
    person: str = ""


@dataclass(slots=True)
class BundleReading:
    """A bundle as it is read, some entries at once. `withheld`: how many events it leaves out, once all were read."""

    session: ReadSession
    bundle: Bundle
    withheld: int = 0

    async def of_kinds(self, *kinds: str) -> AsyncIterator[OpenedEntry]:
        """Yield the entries of some kinds, in the log's order."""
        at, size = self.bundle.first, self.bundle.checkpoint.size
        while entries := await store.entries_of(self.session, kinds, at, size, most=_TOGETHER):
            for opened_entry in await self._opened(entries):
                yield opened_entry
            at = entries[-1].position + 1

    async def histories(self) -> AsyncIterator[Sequence[OpenedEntry]]:
        """Yield what each person said, in its order, one person after the other."""
        person: list[OpenedEntry] = []
        within, after = range(self.bundle.first, self.bundle.checkpoint.size), (b"", 0)
        while rows := await store.entries_by_person(self.session, after=after, most=_TOGETHER):
            entries = [entry for _, _, entry in rows if entry is not None and entry.position in within]
            for opened_entry in await self._opened(entries):
                if person and person[-1].person != opened_entry.person:
                    yield person
                    person = []
                person.append(opened_entry)
            after = rows[-1][:2]
        if person:
            yield person

    async def missing(self) -> int:
        """Return how many entries have no body although no run of retention says that it destroyed it."""
        first, size = self.bundle.first, self.bundle.checkpoint.size
        return max(0, self.bundle.counts["gone"] - await store.count_emptied(self.session, first, size))

    async def name_of_caller(self, identifier: str) -> str:
        """Return the present name of the caller that recorded something; its id if it no longer exists."""
        caller = await load_caller(self.session, UUID(identifier))
        return caller.name if caller is not None else identifier

    async def _opened(self, entries: Sequence[StoredEntry]) -> list[OpenedEntry]:
        """Return those that have a body in the bundle."""
        records = await store.records(self.session, [(each.kind, each.id) for each in entries])
        opened = []
        for entry in entries:
            record = records.get((entry.kind, entry.id))
            if entry.salt is None or record is None:
                continue
            if self.bundle.withholds(entry, record):
                self.withheld += 1
                continue
            ref = record.subjects.get("subject_ref")
            opened.append(OpenedEntry(entry.position, record.facts, self.bundle.name_of(ref) if ref else ""))
        return opened
