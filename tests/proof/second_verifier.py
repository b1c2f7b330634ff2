"""A second verifier of bundles, checkpoints and receipts, written from docs/proof-format.md without code of ours.

Time-stamps and witnesses are not checked. Exit status: 0 good, 1 wrong, 2 unreadable, 3 good but not all was checked.
"""

import argparse
import hashlib
import json
import re
import sys
import zipfile
from base64 import b64decode, urlsafe_b64decode
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LIMIT = 1 << 24
TAGS = r"(tag)?manifest-sha256\.txt|bagit\.txt|bag-info\.txt|later\.json"
NAME = re.compile(rf"data(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+|{TAGS}")
PERIOD = re.compile("P(?=[0-9])(?:([0-9]+)Y)?(?:([0-9]+)M)?")
GIVEN, REFUSED = ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"], ["dpv:ConsentRefused"]
STATUS = {"granted": GIVEN, "refused": REFUSED, "withdrawn": ["dpv:ConsentWithdrawn"]}
time = datetime.fromisoformat
said: set[str] = set()
heads: list[Any] = []


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
    except Exception as error:  # noqa: BLE001 - files may hold anything
        _check(False, file, f"it cannot be read: {error!r}", "UNREADABLE")


def _sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def _root(frontier):
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
    start, *path = [old.root, *path] if index == 0 else path or [b""]
    return _climbed(index, last, [start, start], path) == [old.root, new.root]


def _public(key):
    """The public key in a verifier key; None if it signs no notes."""
    name, identifier, encoded = key.split("+", 2)
    octets = b64decode(encoded, validate=True)
    if _sha(name.encode(), b"\n", octets)[:4].hex() != identifier:
        raise ValueError("this is no verifier key")
    return Ed25519PublicKey.from_public_bytes(octets[1:]) if octets[0] == 1 else None


def _opened(note, keys):
    """The lines of a note, and those keys that signed it; a signature of one of them that is wrong is an error."""
    text, _, signatures = note.rpartition("\n\n")
    signers = set()
    for _, name, signature in (line.split(" ") for line in signatures.splitlines()):
        octets = b64decode(signature, validate=True)
        for key in (each for each in keys if keys[each] and each.startswith(f"{name}+{octets[:4].hex()}+")):
            keys[key].verify(octets[4:], f"{text}\n".encode())
            signers.add(key)
    return text.split("\n"), signers


def _head(note, file, keys, *, signed=True):
    """A checkpoint; one that must be signed by a trusted key is remembered as a head of its log."""
    (origin, size, root, *more), signers = _opened(note, keys if signed else {})
    at = next((time(line[7:]) for line in more if line.startswith("signed ")), None)
    head = SimpleNamespace(origin=origin, size=int(size), root=b64decode(root, validate=True), at=at, file=file)
    if str(head.size) != size or len(head.root) != len(_sha()):
        raise InvalidSignature("this is no checkpoint")
    if signed and not any(key.startswith(f"{origin}+") for key in signers):
        raise InvalidSignature(f"no key that is trusted has signed the checkpoint of {size} entries")
    heads.extend([head] if signed else [])
    return head


def _opens(told):
    return _sha(bytes.fromhex(told["salt"]), told["body"].encode()).hex() == json.loads(told["entry"])["commitment"]


def _place(told, head):
    """Where an entry with its proof stands in the tree of a head; None if it does not, or if it has another body."""
    lines = [line for line in told["proof"].partition("\n\n")[0].split("\n") if not line.startswith("extra ")]
    place, leaf = int(lines[1].removeprefix("index ")), _sha(b"\0", told["entry"].encode())
    good = lines[0] == "c2sp.org/tlog-proof@v1" and place < head.size and _opens(told)
    return place if good and _climbed(place, head.size - 1, [leaf], map(b64decode, lines[2:])) == [head.root] else None


class Bundle:
    """A bundle: opening it notes its heads and follows its rotations of keys, which goes for all files."""

    def __init__(self, path, keys):
        self.bag: Any = zipfile.ZipFile(path)
        self.path, self.held, self.names = path, {}, self.bag.namelist()
        self.log = json.loads(self._read("data/log.json"))
        if self.log["format"] != "sceau-bundle/1":
            raise ValueError("no format of a bundle that is known")
        for note in self.log["rotations"]:
            pair = {key: _public(key) for key in note.split("\n")[2:4]}
            lines, signers = _opened(note, pair)
            self.check(lines == [self.log["origin"], "rotated", *pair] and signers == set(pair), "a rotation is wrong")
            keys.update(pair if signers == set(pair) and lines[2] in keys else {})
        named = {key: _public(key) for key in self.log["keys"]}
        given = any("/ledger+" in key for key in keys)
        self.check(given, "no key of the log was given: its own were taken", "NOT CHECKED")
        keys = {key: public for key, public in named.items() if key in keys or not given}
        self.head = _head(self._read("data/checkpoint"), path, keys)
        self.later = json.loads(self._read("later.json")) if "later.json" in self.names else None
        self.end = self.later and _head(self.later["checkpoint"], path, keys)

    def check(self, holds, what, verdict="WRONG"):
        """Say what does not hold."""
        _check(holds, self.path, what, verdict)

    def _read(self, name):
        return self.bag.open(name).read(LIMIT).decode()

    def _lines(self, name):
        file = self.bag.open(name)
        return map(json.loads, iter(lambda: file.readline(LIMIT), b""))

    def _digest(self, name):
        return hashlib.file_digest(self.bag.open(name), "sha256").hexdigest()

    def _statements(self, kind):
        return [(place, it.at, it.body["body"]) for place, it in self.held.items() if it.kind == kind and it.body]

    def verify(self):
        """Check everything; the heads of all files are known by now."""
        self.check((self.head.origin, self.head.size) == (self.log["origin"], self.log["size"]), "it is of another log")
        self._check_files()
        self._check_entries(self.log["first"])
        self._check_heads()
        self._check_gone([*self._statements("retention_run"), *self._check_later()])
        self._check_decisions()
        self.check(False, "since when the log is as it is: time-stamps and witnesses", "NOT CHECKED")

    def _check_files(self):
        good = all(map(NAME.fullmatch, self.names)) and len({each.lower() for each in self.names}) == len(self.names)
        good = good and all(each.extra[:2] in {b"", b"\1\0"} for each in self.bag.infolist())
        self.check(good, "its names are not those of a bundle")
        listed = {tuple(line.split("  ", 1)) for line in self._read("manifest-sha256.txt").splitlines()}
        odd = listed ^ {(self._digest(each), each) for each in self.names if each.startswith("data/")}
        self.check(not odd, f"files are not as they were listed: {sorted({name for _, name in odd})}")
        for each in self._lines("data/unentered.ndjson"):
            self.check(False, f"{each['kind']} {each['id']} was recorded, and is not in the log")
        replay = json.loads(self._read("data/replay.json")) if "data/replay.json" in self.names else {}
        self.check(not replay.get("different") and not replay.get("altered"), "decisions come out otherwise")

    def _check_entries(self, first):
        """The tree, and of each entry its place, its mark as late and its body."""
        frontier, newest = [bytes.fromhex(each) for each in self.log["frontier"]], None
        self.roots, private = {first: _root(frontier)}, {"consent_event"} if self.log["processing"] else set()
        private |= {"consent_event", "administrative_act"} if self.log["of_one_person"] else set()
        for place, line in enumerate(self._lines("data/entries.ndjson"), first):
            octets, told = line["entry"].encode(), json.loads(line["entry"])
            name, at, late = f"entry {place} ({told['kind']} {told['id']})", time(told["at"]), "late" in told
            self.check(line["position"] == place, f"there is a gap before {name}")
            top, left = _sha(b"\0", octets), place
            while left & 1:
                top, left = _sha(b"\1", frontier.pop(), top), left >> 1
            frontier.append(top)
            self.roots[place + 1] = _root(frontier)
            newest = max(newest or at, at)
            behind = newest - at > timedelta(seconds=60)
            self.check(late == behind or (late and first), f"{name} is late and not marked, or marked and not late")
            body = json.loads(line["body"]) if "body" in line and "salt" in line else None
            self.check(body is None or _opens(line), f"{name}: what the database has is not what was recorded")
            if told["kind"] == "presented_text" and body:
                self.check(body["sha256"] == "\\x" + _sha(body["text"].encode()).hex(), f"{name} has another text")
            self.check("withheld" not in line or told["kind"] in private, f"the body of {name} is withheld")
            it = SimpleNamespace(kind=told["kind"], id=told["id"], name=name, place=place, at=at, late=late)
            it.octets, it.body, it.person = octets, body, line.get("people", {}).get("subject_ref")
            it.withheld, self.held[place] = "withheld" in line, it
        self.check(self.held and first + len(self.held) == self.head.size, "it has not the entries of its checkpoint")
        late, others = [sum(each) for each in zip(*((it.late, it.withheld) for it in self.held.values()), strict=True)]
        self.check(not late, f"when {late} entries were recorded that were entered late", "NOT CHECKED")
        self.check(not others, f"{others} bodies that are about others", "NOT CHECKED")

    def _check_heads(self):
        names = [each for each in self.names if re.fullmatch(r"data/(stamps|cosigned)/[^/]+\.checkpoint", each)]
        kept = [_head(self._read(each), each, {}, signed=False) for each in names]
        for head in [*kept, *(each for each in heads if each.origin == self.head.origin and each is not self.end)]:
            there = head.size in self.roots
            self.check(there, f"whether the log had the {head.size} entries of {head.file}", "NOT CHECKED")
            good = not there or self.roots[head.size] == head.root
            self.check(good, f"the log has not the {head.size} entries of {head.file}: it was rewritten")

    def _check_later(self):
        """What stands behind its end, of which one entry must state this bundle; the runs of retention there."""
        self.check(self.later, "the log does not state that this bundle was made")
        if not self.later:
            return []
        path = [bytes.fromhex(each) for each in self.later["consistency"]]
        self.check(_continues(self.head, self.end, path), "what came later does not continue this log")
        stated, runs = [], []
        for each in self.later["entries"]:
            told, body, place = json.loads(each["entry"]), json.loads(each["body"]).get("body"), _place(each, self.end)
            good = place is not None and place >= self.head.size
            self.check(good, f"{told['kind']} is not what the log holds")
            stated += [body["manifest_sha256"]] if told["kind"] == "bundle" else []
            runs += [(place, time(told["at"]), body)] if told["kind"] == "retention_run" and good else []
        good = stated == [self._digest("manifest-sha256.txt")]
        self.check(good, "it is not the bundle that the log states")
        return runs

    def _check_gone(self, runs):
        """Each body that is missing must be past its time by a retention run that was entered after it."""
        excused = set()
        for place, at, run in runs:
            positions, schedule = run.get("positions"), run.get("schedule")
            good = isinstance(schedule, dict) and isinstance(positions, list) and set(map(type, positions)) <= {int}
            self.check(good, f"what entry {place} states is no run of retention")
            periods = [PERIOD.fullmatch(str(each)) for each in schedule.values()] if good else []
            months = [int(each[1] or 0) * 12 + int(each[2] or 0) for each in periods if each]
            shortest = min((each for each in months if each >= 13), default=9999)
            year, month = divmod(at.year * 12 + at.month - 1 - shortest, 12)
            newest = at.replace(year=year, month=month + 1, day=min(at.day, 28)) + timedelta(days=4)
            named = [self.held[each] for each in (positions if good else []) if each in self.held]
            there = sum(it.body is not None for it in named)
            self.check(not there or place >= self.head.size, f"entry {place}: {there} bodies are gone that are there")
            past = (it for it in named if it.kind == "consent_event" and it.at <= newest and it.place < place)
            excused |= {it.place for it in past if it.body is None}
        for it in (it for it in self.held.values() if it.body is None and not it.withheld):
            self.check(it.place in excused, f"{it.name}: its body is gone")
        self.check(not excused, f"{len(excused)} bodies that were destroyed when their time was over", "NOT CHECKED")

    def _check_decisions(self):
        """Statements follow each other, name each file of decisions once, and commit to it."""
        stated, until = {}, None
        for place, _, hour in self._statements("decision_hour"):
            self.check(until in {None, hour["since"]}, f"entry {place}: nothing is stated since {until}, or twice")
            until = hour["until"]
            for each in [*hour["segments"], *hour["late"]]:
                self.check(each["id"] not in stated, f"entry {place}: the decisions {each['id']} were stated before")
                stated[each["id"]] = each
        there = {each.split("/")[2].partition(".")[0] for each in self.names if each.startswith("data/decisions/")}
        self.check(there <= stated.keys(), f"no statement names these decisions: {sorted(there - stated.keys())}")
        for each in stated.values():
            name, told = f"data/decisions/{each['id']}.ndjson", Counter[tuple[str, bool, str]]()
            if name not in self.names:
                self.check(False, f"{each['rows']} decisions of {each['hour']} that are stated", "NOT CHECKED")
                continue
            for line in self._lines(name):
                known = "" if line["reason"] == "unknown_processing" else line["processing"]
                told[known, line["decision"], line["reason"]] += 1
            counts = {(processing, permitted, reason): rows for processing, permitted, reason, rows in each["counts"]}
            good = (told, told.total(), self._digest(name)) == (counts, each["rows"], each["open_sha256"])
            self.check(good, f"{name}: these are not the decisions that were stated")


class Receipt:
    """A receipt: reading it checks what can be checked without a bundle, and notes its head."""

    def __init__(self, path, text, keys):
        self.path, parts = path, text.strip().split(".")
        header, claims, signature = [urlsafe_b64decode(f"{each}==") for each in parts]
        header, claims = json.loads(header), json.loads(claims)
        if (header["alg"], header["typ"]) != ("EdDSA", "sceau-consent-receipt+jwt"):
            raise ValueError("this is no receipt")
        known, host = [key for key in keys if "/receipts+" in key], header["kid"].partition("/receipts+")[0]
        self.check(known, "no key of receipts was given: its own was taken", "NOT CHECKED")
        good = header["kid"] in known or (not known and host != header["kid"])
        self.check(good, "it is signed by a key that is not trusted")
        _public(header["kid"]).verify(signature, ".".join(parts[:2]).encode())
        self.origin, (self.record,) = f"{host}/ledger", claims["receipt"]["dpv:hasRecordOfActivity"]
        self.made, self.told, self.place = time(self.record["dct:created"]), claims["log"], None
        self.check(False, "what the register said, and whether a consent stands", "NOT CHECKED")
        self.check(self.told is not None, "its entry in the log: there was none yet", "NOT CHECKED")
        if self.told is not None:
            body, kind = json.loads(self.told["body"]), json.loads(self.told["entry"])["kind"]
            self.check(_opens(self.told) and kind == "consent_event", "it is not what its entry commits to")
            self._compare(body, "its entry", body["subject_ref"])
            trusted = any(key.startswith(f"{self.origin}+") for key in keys)
            self.check(trusted, "whether its entry stands in the log: give the log's key", "NOT CHECKED")
            head = trusted and _head(self.told["proof"].partition("\n\n")[2], path, keys)
            self.place = int(self.told["proof"].partition("\nindex ")[2].partition("\n")[0])
            good = not head or (head.origin == self.origin and _place(self.told, head) == self.place)
            self.check(good, "its entry does not stand in the log")

    def check(self, holds, what, verdict="WRONG"):
        """Say what does not hold."""
        _check(holds, self.path, what, verdict)

    def _compare(self, body, where, person):
        """The record must tell what a body has; `person` is its pseudonym there."""
        status, process = self.record["dpv:hasConsentStatus"][0], self.record.get("dpv:hasProcess", {})
        notice, evidence = self.record.get("dpv:hasNotice", {}), body["evidence"] or {}
        until = status.get("dpv:hasDuration", {}).get("dct:valid")
        pairs = {
            "id": (self.record["dct:identifier"], body["id"]),
            "person": (self.record["dpv:hasDataSubject"]["dct:identifier"], person),
            "processing": (process.get("dct:identifier"), body["processing"]),
            "version": (process.get("dct:hasVersion"), body["version"]),
            "kind": (status["@type"], STATUS.get(body["kind"])),
            "method": (status["dpv:hasIndicationMethod"], evidence.get("method", "unknown")),
            "when": (time(status["dpv:isIndicatedAtTime"]), time(body["collected_at"]).replace(microsecond=0)),
            "until": (until and time(until), body["expires_at"] and time(body["expires_at"]).replace(microsecond=0)),
            "text": (notice.get("schema:sha256"), evidence.get("presented_text_sha256")),
            "language": (notice.get("dct:language", "fr"), evidence.get("language", "fr")),
        }
        odd = [what for what, (one, other) in pairs.items() if one != other]
        self.check(not odd, f"it tells otherwise than {where}: {odd}")

    def check_beside(self, bundle):
        """What a bundle says of it: which entry stands there, whether a promise was kept, what ended the consent."""
        held = list(bundle.held.values())
        if bundle.log["origin"] != self.origin or not held:
            return
        if self.told is not None:
            mine = bundle.held.get(self.place)
            good = not mine or mine.octets == self.told["entry"].encode()
            self.check(good, f"{bundle.path} has another entry at its place")
        else:
            act = ("consent_event", self.record["dct:identifier"])
            mine = next((it for it in held if (it.kind, it.id) == act), None)
            begins = held[0].place == 0 or (held[0].at <= self.made - timedelta(seconds=60) and not held[0].late)
            missed = begins and max(it.at for it in held) > self.made + timedelta(minutes=2)
            self.check(mine or not missed, f"its act was never entered in the log of {bundle.path}")
            if mine and mine.body:
                self._compare(mine.body, bundle.path, self.record["dpv:hasDataSubject"]["dct:identifier"])
        if mine and mine.body and mine.body["kind"] == "granted":
            ends = [it.name for it in held if it.place > mine.place and it.body and _ends(mine, it)]
            self.check(not ends, f"the consent does not stand any more by {bundle.path}: {ends}")


def _ends(mine, it):
    """Whether an entry ends a consent: what the same person said later, or that its version or text was invalidated."""
    given, body = mine.body, it.body
    if it.kind not in {"consent_event", "invalidation"} or body["processing"] not in {None, given["processing"]}:
        return False
    if it.kind == "invalidation":
        text = "\\x" + (given["evidence"] or {}).get("presented_text_sha256", "")
        return given["version"] == body["version"] or text == body["text_sha256"]
    sides = [(each.get("capacity") or {}).get("given_by") for each in (given, body)]
    completes = body["kind"] == "granted" and sides[0] != sides[1] and not {None, "both"} & set(sides)
    ends = body["kind"] in {"granted", "refused", "withdrawn", "closed", "erased"} and it.person == mine.person
    return ends and not completes


def _check_contradictions():
    """Of one log, heads of one size have one root, and one that was signed later has no fewer entries."""
    known: dict[tuple[str, int], Any] = {}
    for head in heads:
        other = known.setdefault((head.origin, head.size), head)
        _check(other.root == head.root, head.file, f"the log was forked: {other.file} has another tree of {head.size}")
    timed = sorted((head for head in heads if head.at), key=lambda head: (head.origin, head.at, head.size))
    for one, other in pairwise(timed):
        good = one.origin != other.origin or one.size <= other.size
        _check(good, other.file, f"the log was set back: it had {one.size} entries before, by {one.file}")


def main():
    """Read every file first: each is checked with what the others prove."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    for option, value in (("--key", "VKEY"), ("--against", "CHECKPOINT")):
        parser.add_argument(option, action="append", default=[], metavar=value)
    given, bundles, receipts = parser.parse_intermixed_args(), [], []
    keys: dict[str, Ed25519PublicKey | None] = {}
    with _reading("--key"):
        keys.update((key, _public(key)) for key in given.key)
    zipped = [path for path in given.files if zipfile.is_zipfile(path)]
    for path in zipped:
        with _reading(path):
            bundles.append(Bundle(path, keys))
    for path in [*(each for each in given.files if each not in zipped), *given.against]:
        with _reading(path):
            text = Path(path).read_text()
            if "\n\n" in text and not any("/ledger+" in key for key in keys):
                raise ValueError("a checkpoint is checked with the log's key: give it")
            if "\n\n" in text or path in given.against:
                _head(text, path, keys)
            else:
                receipts.append(Receipt(path, text, keys))
    for bundle in bundles:
        with _reading(bundle.path):
            bundle.verify()
    for receipt, bundle in product(receipts, bundles):
        with _reading(receipt.path):
            receipt.check_beside(bundle)
    _check_contradictions()
    sys.exit(next((n for n, each in enumerate(("WRONG", "UNREADABLE", "NOT CHECKED"), 1) if each in said), 0))


if __name__ == "__main__":
    main()
