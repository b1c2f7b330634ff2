"""A second verifier of bundles, checkpoints and receipts, written from docs/proof-format.md, without code of ours.

Time-stamps and witnesses are not checked. Exit status: 0 good, 1 wrong, 2 unreadable, 3 good but not all was checked.
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from base64 import b64decode, urlsafe_b64decode
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LIMIT = 1 << 24
NAME = re.compile(r"(?!.*(^|/)\.\.?(/|$))[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
GIVEN, REFUSED = ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"], ["dpv:ConsentRefused"]
STATUS = {"granted": GIVEN, "refused": REFUSED, "withdrawn": ["dpv:ConsentWithdrawn"]}
said: set[str] = set()
heads: list["Head"] = []
time = datetime.fromisoformat


class Head(NamedTuple):
    """A checkpoint: `at` is when it was signed, `file` where it stands."""

    origin: str
    size: int
    root: bytes
    at: datetime | None
    file: str


def _check(holds, file, what, verdict="WRONG"):
    if not holds:
        said.add(verdict)
        print(f"{verdict}: {file}: {ascii(what)[1:-1]}")


@contextmanager
def _reading(file):
    try:
        yield
    except InvalidSignature as error:
        _check(False, file, str(error) or "a signature is wrong")
    except Exception as error:  # noqa: BLE001 - whatever stands in a file
        _check(False, file, f"it cannot be read: {error!r}", "UNREADABLE")


def _sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def _root_of(frontier):
    root = frontier[-1] if frontier else _sha()
    for left in frontier[-2::-1]:
        root = _sha(b"\1", left, root)
    return root


def _climbed(index, last, hashes, path):
    """Where a path leads from a leaf, or from two hashes of an older tree (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    for each in path:
        if index & 1 or index == last:
            hashes = [_sha(b"\1", each, one) for one in hashes]
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            hashes = [*hashes[:-1], _sha(b"\1", hashes[-1], each)]
        index, last = index >> 1, last >> 1 if last else -1
    return hashes if last == 0 else None


def _continues(old, new, path):
    index, last = old.size - 1, new.size - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    start, *path = path if index else [old.root, *path]
    return _climbed(index, last, [start, start], path) == [old.root, new.root]


def _public(key):
    """The public key that a verifier key holds, None if it signs no notes."""
    name, identifier, encoded = key.split("+", 2)
    octets = b64decode(encoded, validate=True)
    if _sha(name.encode(), b"\n", octets)[:4].hex() != identifier:
        raise ValueError("this is no verifier key")
    return Ed25519PublicKey.from_public_bytes(octets[1:]) if octets[0] == 1 else None


def _signers(note, keys):
    """Those of the keys that signed a note; a signature of one of them that is wrong is an error."""
    text, _, signatures = note.rpartition("\n\n")
    found = set()
    for _, name, signature in (line.split(" ") for line in signatures.splitlines()):
        octets = b64decode(signature, validate=True)
        for key in (each for each in keys if keys[each] and each.startswith(f"{name}+{octets[:4].hex()}+")):
            keys[key].verify(octets[4:], f"{text}\n".encode())
            found.add(key)
    return found


def _head(note, file, keys):
    """A checkpoint, which is remembered as a head of its log; an error if nobody who is trusted signed it."""
    if not any("/ledger+" in key for key in keys):
        raise ValueError("a checkpoint is checked with the log's key: give it")
    origin, size, root, *more = note.rpartition("\n\n")[0].split("\n")
    if not any(key.startswith(f"{origin}+") for key in _signers(note, keys)):
        raise InvalidSignature(f"no key that is trusted has signed the checkpoint of {size} entries")
    at = next((time(line[7:]) for line in more if line.startswith("signed ")), None)
    heads.append(Head(origin, int(size), b64decode(root, validate=True), at, file))
    return heads[-1]


def _opens(told):
    return _sha(bytes.fromhex(told["salt"]), told["body"].encode()).hex() == json.loads(told["entry"])["commitment"]


def _place(told, head):
    """Where an entry with its proof stands in the tree of a head; None if it does not, or if it has another body."""
    version, index, *path = told["proof"].partition("\n\n")[0].split("\n")
    place, leaf = int(index.removeprefix("index ")), _sha(b"\0", told["entry"].encode())
    good = version == "c2sp.org/tlog-proof@v1" and place < head.size and _opens(told)
    return place if good and _climbed(place, head.size - 1, [leaf], map(b64decode, path)) == [head.root] else None


class Entry(NamedTuple):
    """An entry of a bundle: its octets, their members, its body if it is there, and what the operator calls the person."""

    octets: bytes
    told: dict
    body: dict | None
    person: str | None


class Bundle:
    """A bundle; opening it notes its checkpoints and follows its rotations of keys."""

    def __init__(self, path, keys):
        self.path, self.bag, self.held = path, zipfile.ZipFile(path), {}
        self.log, names = json.loads(self.read("data/log.json")), self.bag.namelist()
        for note in self.log["rotations"] * len(self.log["rotations"]):
            _, what, *two = note.rpartition("\n\n")[0].split("\n")
            pair = {key: _public(key) for key in two}
            if two[0] in keys and what == "rotated" and _signers(note, pair) == set(two):
                keys.update(pair)
        if not any("/ledger+" in key for key in keys):
            self.check(False, "no key of the log was given: its own were taken", "NOT CHECKED")
            keys.update((key, _public(key)) for key in self.log["keys"])
        self.head = _head(self.read("data/checkpoint"), path, keys)
        for name in names:
            if re.fullmatch(r"data/(stamps|cosigned)/[0-9]+\.checkpoint", name):
                _head(self.read(name), path, keys)
        self.later = json.loads(self.read("later.json")) if "later.json" in names else None
        self.end = self.later and _head(self.later["checkpoint"], path, keys)

    def check(self, holds, what, verdict="WRONG"):
        """Say what does not hold."""
        _check(holds, self.path, what, verdict)

    def read(self, name):
        """A small file as text."""
        return self.bag.open(name).read(LIMIT).decode()

    def lines(self, name):
        """What a file has in each line."""
        return map(json.loads, iter(lambda file=self.bag.open(name): file.readline(LIMIT), b""))

    def digest(self, name):
        """The SHA-256 of a file."""
        return hashlib.file_digest(self.bag.open(name), "sha256").hexdigest()

    def of(self, kind, later=()):
        """Place, entry and what it states, for each statement of a kind whose body is there."""
        within = ((place, each.told, each.body) for place, each in self.held.items() if each.body)
        return [(place, told, body["body"]) for place, told, body in [*within, *later] if told["kind"] == kind]

    def verify(self):
        """Check everything; the heads of all files are known by now."""
        self.check((self.head.origin, self.head.size) == (self.log["origin"], self.log["size"]), "it is of another log")
        self.check_files()
        self.check_entries()
        self.check_gone(self.check_later())
        self.check_decisions()
        self.check(False, "since when the log is as it is: time-stamps and witnesses", "NOT CHECKED")

    def check_files(self):
        """Names, the SHA-256 of each file, and what the operator says that is not in the log."""
        names = self.bag.namelist()
        good = all(map(NAME.fullmatch, names)) and len({each.lower() for each in names}) == len(names)
        self.check(good, "its names are not those of a bundle")
        listed = {tuple(line.split("  ", 1)) for line in self.read("manifest-sha256.txt").splitlines()}
        odd = listed ^ {(self.digest(each), each) for each in names if each.startswith("data/")}
        self.check(not odd, f"files are not as they were listed: {sorted({name for _, name in odd})}")
        for each in self.lines("data/unentered.ndjson"):
            self.check(False, f"{each['kind']} {each['id']} was recorded, and is not in the log")

    def check_entries(self):
        """The tree, and of each entry its place, its mark as late and its body."""
        first, frontier, newest = self.log["first"], [bytes.fromhex(each) for each in self.log["frontier"]], None
        roots, late, self.withheld = {first: _root_of(frontier)}, 0, set()
        private = {"consent_event"} if self.log["processing"] else set()
        private |= {"consent_event", "administrative_act"} if self.log["of_one_person"] else set()
        for place, line in enumerate(self.lines("data/entries.ndjson"), first):
            octets, told = line["entry"].encode(), json.loads(line["entry"])
            name, at, marked = f"entry {place} ({told['kind']} {told['id']})", time(told["at"]), "late" in told
            self.check(line["position"] == place, f"there is a gap before {name}")
            top, left = _sha(b"\0", octets), place
            while left & 1:
                top, left = _sha(b"\1", frontier.pop(), top), left >> 1
            frontier.append(top)
            roots[place + 1] = _root_of(frontier)
            behind = newest is not None and newest - at > timedelta(seconds=60)
            self.check(marked == behind or (marked and first), f"{name} is late and not marked, or the other way round")
            newest, late = max(newest or at, at), late + marked
            self.check("withheld" not in line or told["kind"] in private, f"the body of {name} is withheld")
            self.withheld |= {place} if "withheld" in line else set()
            body = json.loads(line["body"]) if "body" in line and "salt" in line else None
            self.check(not body or _opens(line), f"{name}: what the database has is not what was recorded")
            if body and told["kind"] == "presented_text":
                self.check(body["sha256"] == "\\x" + _sha(body["text"].encode()).hex(), f"{name} has another text")
            self.held[place] = Entry(octets, told, body, line.get("people", {}).get("subject_ref"))
        self.check(first + len(self.held) == self.head.size, "it has not as many entries as its checkpoint says")
        for head in heads:
            if head.origin == self.head.origin and head.size in roots:
                self.check(roots[head.size] == head.root, f"its tree of {head.size} entries is not that of {head.file}")
            elif head.origin == self.head.origin and head is not self.end:
                self.check(False, f"whether the log had the {head.size} entries of {head.file}", "NOT CHECKED")
        self.check(not late, f"when {late} entries were recorded that were entered late", "NOT CHECKED")
        self.check(not self.withheld, f"{len(self.withheld)} bodies that were withheld", "NOT CHECKED")

    def check_later(self):
        """What stands behind its end, of which one entry must state this bundle."""
        self.check(self.later, "the log does not state that this bundle was made")
        if not self.later:
            return []
        path = [bytes.fromhex(each) for each in self.later["consistency"]]
        self.check(_continues(self.head, self.end, path), "what came later does not continue this log")
        found = [
            (_place(each, self.end), json.loads(each["entry"]), json.loads(each["body"]))
            for each in self.later["entries"]
        ]
        for place, told, _ in found:
            self.check(place is not None and place >= self.head.size, f"{told['kind']} is not what the log holds")
        stated = [body["body"] for _, told, body in found if told["kind"] == "bundle"]
        good = [each["manifest_sha256"] for each in stated] == [self.digest("manifest-sha256.txt")]
        self.check(good, "it is not the bundle that the log states")
        return [each for each in found if each[0] is not None]

    def check_gone(self, later):
        """Each body that is missing must be past its time by a retention run that was entered after it."""
        excused, missing = set(), {place for place, each in self.held.items() if each.body is None} - self.withheld
        for place, told, run in self.of("retention_run", later):
            periods = [
                re.fullmatch("P(?=[0-9])(?:([0-9]+)Y)?(?:([0-9]+)M)?", each) for each in run["schedule"].values()
            ]
            months = min((int(each[1] or 0) * 12 + int(each[2] or 0) for each in periods if each), default=0)
            self.check(months >= 13 and all(periods), f"entry {place} is no run of retention")
            there = [each for each in run["positions"] if each in self.held and each not in missing]
            self.check(
                not there or place >= self.head.size, f"bodies that are gone by entry {place} are there: {there}"
            )
            at = time(told["at"])
            year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
            newest = at.replace(year=year, month=month + 1, day=min(at.day, 28)) + timedelta(days=4)
            for each in (each for each in run["positions"] if each in missing and each < place and months >= 13):
                told = self.held[each].told
                excused |= {each} if told["kind"] == "consent_event" and time(told["at"]) <= newest else set()
        for place in missing - excused:
            told = self.held[place].told
            self.check(False, f"the body of entry {place} ({told['kind']} {told['id']}) is gone")
        self.check(not excused, f"{len(excused)} bodies that were destroyed when their time was over", "NOT CHECKED")

    def check_decisions(self):
        """Statements follow each other, and name each file of decisions once."""
        stated, until = {}, None
        for _, _, hour in self.of("decision_hour"):
            self.check(until in {None, hour["since"]}, f"nothing is stated from {until} to {hour['since']}")
            until = hour["until"]
            for each in [*hour["segments"], *hour["late"]]:
                self.check(each["id"] not in stated, f"the decisions {each['id']} are stated twice")
                stated[each["id"]] = each
        held = {name.split("/")[2] for name in self.bag.namelist() if name.startswith("data/decisions/")}
        unknown = held - {f"{each}.{kind}" for each in stated for kind in ("ndjson", "people.ndjson")}
        self.check(not unknown, f"no statement of the log names these decisions: {sorted(unknown)}")
        for each, segment in stated.items():
            name, there = f"data/decisions/{each}.ndjson", f"{each}.ndjson" in held
            self.check(there, f"{segment['rows']} decisions of {segment['hour']} that are stated", "NOT CHECKED")
            good = not there or self.digest(name) == segment["open_sha256"]
            self.check(good, f"{name} is not what was stated")


class Receipt:
    """A receipt; reading it checks what can be checked without a bundle, and notes its head."""

    def __init__(self, path, text, keys):
        self.path, parts = path, text.strip().split(".")
        header, claims, signature = [urlsafe_b64decode(f"{each}==") for each in parts]
        head, claims = json.loads(header), json.loads(claims)
        if (head["alg"], head["typ"]) != ("EdDSA", "sceau-consent-receipt+jwt"):
            raise ValueError("this is no receipt")
        known = [key for key in keys if "/receipts+" in key]
        self.check(known, "no key of receipts was given: its own was taken", "NOT CHECKED")
        self.check(head["kid"] in (known or [head["kid"]]), "its key is not trusted")
        _public(head["kid"]).verify(signature, ".".join(parts[:2]).encode())
        self.origin = head["kid"].partition("+")[0].removesuffix("/receipts") + "/ledger"
        self.made, self.told, self.place = time(claims["receipt"]["dct:created"]), claims["log"], None
        (self.record,) = claims["receipt"]["dpv:hasRecordOfActivity"]
        self.check(False, "what the register said, and whether a consent stands", "NOT CHECKED")
        self.check(self.told is not None, "its entry in the log: there was none yet", "NOT CHECKED")
        if self.told is not None:
            entry, body = json.loads(self.told["entry"]), json.loads(self.told["body"])
            self.check(entry["kind"] == "consent_event" and _opens(self.told), "its entry is not of this body")
            self.compare(body, "its entry")
            who = self.record["dpv:hasDataSubject"]["dct:identifier"]
            self.check(who == body["subject_ref"], "it tells of another person than its entry")
            trusted = any(key.startswith(f"{self.origin}+") for key in keys)
            self.check(trusted, "whether its entry stands in the log: give the log's key", "NOT CHECKED")
            self.place = trusted and _place(self.told, _head(self.told["proof"].partition("\n\n")[2], path, keys))
            self.check(self.place is not None, "its entry does not stand in the log")

    def check(self, holds, what, verdict="WRONG"):
        """Say what does not hold."""
        _check(holds, self.path, what, verdict)

    def compare(self, body, where):
        """The record must tell what a body has."""
        status, process = self.record["dpv:hasConsentStatus"][0], self.record.get("dpv:hasProcess", {})
        notice, evidence = self.record.get("dpv:hasNotice"), body["evidence"] or {}
        until = status.get("dpv:hasDuration", {}).get("dct:valid")
        pairs = {
            "id": (self.record["dct:identifier"], body["id"]),
            "processing": (process.get("dct:identifier"), body["processing"]),
            "version": (process.get("dct:hasVersion"), body["version"]),
            "kind": (status["@type"], STATUS.get(body["kind"])),
            "method": (status["dpv:hasIndicationMethod"], evidence.get("method", "unknown")),
            "when": (time(status["dpv:isIndicatedAtTime"]), time(body["collected_at"]).replace(microsecond=0)),
            "until": (until and time(until), body["expires_at"] and time(body["expires_at"]).replace(microsecond=0)),
            "text": ((notice or {}).get("schema:sha256"), evidence.get("presented_text_sha256")),
            "language": ((notice or {}).get("dct:language"), notice and evidence.get("language", "fr")),
        }
        differences = [what for what, (one, other) in pairs.items() if one != other]
        self.check(not differences, f"it tells otherwise than {where}: {differences}")

    def check_beside(self, bundle):
        """What a bundle says of it: which entry stands there, whether a promise was kept, what ended the consent."""
        held, times = bundle.held, [time(each.told["at"]) for each in bundle.held.values()]
        if bundle.log["origin"] != self.origin or not held:
            return
        if self.told is None:
            act = ("consent_event", self.record["dct:identifier"])
            place = next((place for place, each in held.items() if (each.told["kind"], each.told["id"]) == act), None)
            far = max(times) > self.made + timedelta(minutes=2) and (not bundle.log["first"] or times[0] < self.made)
            self.check(place is not None or not far, f"what it tells was never entered in the log of {bundle.path}")
            if place is not None and held[place].body:
                self.compare(held[place].body, bundle.path)
        else:
            place = self.place if self.place in held else None
            good = place is None or held[place].octets == self.told["entry"].encode()
            self.check(good, f"{bundle.path} has another entry at its place")
        mine = held[place] if place is not None else None
        if mine and mine.body and mine.body["kind"] == "granted":
            ends = [each for each in held if each > place and _ends(mine, held[each])]
            self.check(not ends, f"the consent does not stand any more, by entries {ends} of {bundle.path}")


def _ends(mine, later):
    """Whether an entry ends a consent: what the same person said later, or that its version or text was invalidated."""
    kind, body, given = later.told["kind"], later.body, mine.body
    if not body or kind not in {"consent_event", "invalidation"}:
        return False
    if kind == "invalidation":
        text = "\\x" + (given["evidence"] or {}).get("presented_text_sha256", "")
        return body["processing"] == given["processing"] and (
            body["version"] == given["version"] or body["text_sha256"] == text
        )
    ended = body["kind"] in {"granted", "refused", "withdrawn", "closed"} and later.person == mine.person
    return ended and body["processing"] in {None, given["processing"]}


def _check_heads():
    """Of one log, heads of one size have one root, and one that was signed later has no fewer entries."""
    first = {}
    for head in heads:
        other = first.setdefault((head.origin, head.size), head)
        _check(other.root == head.root, head.file, f"the log was forked: {other.file} has another tree of {head.size}")
    for one, other in pairwise(sorted((head for head in heads if head.at), key=lambda it: (it.origin, it.at, it.size))):
        back = one.origin == other.origin and one.size > other.size
        _check(not back, other.file, f"the log was set back: it had {one.size} entries before, by {one.file}")


def main():
    """Read every file first: each is checked with what the others prove."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--key", action="append", default=[], metavar="VKEY")
    parser.add_argument("--against", action="append", default=[], metavar="CHECKPOINT")
    given = parser.parse_intermixed_args()
    keys, bundles, receipts = {key: _public(key) for key in given.key}, [], []
    for path in sorted(
        [*given.files, *given.against], key=lambda it: not zipfile.is_zipfile(it)
    ):  # keys follow bundles
        with _reading(path):
            if zipfile.is_zipfile(path):
                bundles.append(Bundle(path, keys))
            elif "\n\n" in (text := Path(path).read_text()):
                _head(text, path, keys)
            else:
                receipts.append(Receipt(path, text, keys))
    for bundle in bundles:
        with _reading(bundle.path):
            bundle.verify()
    for receipt, bundle in ((receipt, bundle) for receipt in receipts for bundle in bundles):
        with _reading(receipt.path):
            receipt.check_beside(bundle)
    _check_heads()
    sys.exit(next((n for n, each in enumerate(("WRONG", "UNREADABLE", "NOT CHECKED"), 1) if each in said), 0))


if __name__ == "__main__":
    main()
