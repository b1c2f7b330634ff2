"""Checks a bundle: that its files are whole, its entries the log's, and each body what was committed to.

A bundle is a BagIt bag (RFC 8493) in a ZIP. `data/log.json` says whose log it is and where the bundle begins in it,
`data/entries.ndjson` has every entry from there to the checkpoint, with its body where that is there.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.proof.verifier.anchors import NOBODY, Anchors, Trust, anchors_of
from app.proof.verifier.bodies import Bodies, Findings, Run
from app.proof.verifier.notes import Checkpoint, NoteError, VerifierKey, followed, opened
from app.proof.verifier.trees import Frontier, LogProof, leaf_hash

FORMAT = "sceau-bundle/1"
_NAME = re.compile(r"data/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_TAGS = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
_ZIP64 = b"\x01\x00"
"""The one extra field that a file may have, for sizes; others can give it another name."""
_FIELD_HEAD = 4
_SHOWN_NAMES = 20
_CHUNK = 1 << 20


class UnreadableError(Exception):
    """A file is not what it should be, and cannot be checked at all."""


def check_bundle(
    path: Path,
    trusted: list[VerifierKey],
    against: list[str],
    asked: frozenset[str] = frozenset(),
    trust: Trust = NOBODY,
) -> Findings:
    """Check a bundle.

    Args:
        path: the ZIP.
        trusted: keys of the log that are known from elsewhere; without one, the bundle's own are taken, which is told.
        against: checkpoints (notes) that were kept from before: the log must still begin with them.
        asked: ids of consents of which it is to be told whether they ended later.
        trust: whom to believe what they say of the log: time-stamping authorities and witnesses.

    Raises:
        UnreadableError: it is no bundle, and nothing of it is known to be wrong.

    """
    found = Findings(asked=asked)
    try:
        with zipfile.ZipFile(path) as bag:
            _check_manifest(bag, found)
            about = json.loads(bag.read("data/log.json"))
            if about["format"] != FORMAT:
                raise UnreadableError("it is no bundle of a format that this verifier knows")
            _tell_what_is_left_out(about, found)
            keys = _keys(about, trusted, found)
            head = _head(bag.read("data/checkpoint").decode(), keys, found)
            runs = _later_runs(bag, keys, about["size"], found)
            heads = _Heads(head, _olds(against, keys, found), anchors_of(bag, str(path), trust))
            with bag.open("data/entries.ndjson") as lines:
                _check_entries(lines, {**about, "runs": runs}, heads, found)
            _tell_of_replay(bag, found)
            with bag.open("data/unentered.ndjson") as lines:
                found.wrong += [
                    f"{each['kind']} {each['id']}: recorded, and not in the log" for each in _objects(lines)
                ]
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        if not found.wrong:
            raise UnreadableError(f"it cannot be read as a bundle ({type(error).__name__})") from error
        found.wrong.append(f"the rest of it cannot be read ({type(error).__name__})")
        return found
    checked, missing = heads.anchors.told(head.size if head is not None else 0)
    found.checked += checked
    found.missing += missing
    found.wrong += heads.anchors.wrong
    return found


def _tell_what_is_left_out(about: dict[str, Any], found: Findings) -> None:
    """Say what the bundle does not hold by its own account; nothing of this is taken on trust for what it does hold."""
    if about["first"] > 0:
        found.missing.append(f"the {about['first']} entries before this bundle begins")
    if about["waiting"]:
        rows = "1 row waits" if about["waiting"] == 1 else f"{about['waiting']} rows wait"
        found.missing.append(f"{rows} to be entered, the oldest since {about['waiting_since']}")


def _is_plain(extra: bytes) -> bool:
    """Whether the extra fields of a file in a ZIP are none, or the one for sizes."""
    return not extra or (extra[:2] == _ZIP64 and len(extra) == _FIELD_HEAD + int.from_bytes(extra[2:4], "little"))


def _later_runs(bag: zipfile.ZipFile, keys: list[VerifierKey], size: int, found: Findings) -> list[Run]:
    """Runs of retention that stand in the log behind the bundle's end, each with its proof."""
    if "data/later_runs.ndjson" not in bag.namelist():
        return []
    runs, seen = list[Run](), dict[int, str]()
    with bag.open("data/later_runs.ndjson") as lines:
        for said in _objects(lines):
            entry, body, proof = json.loads(said["entry"]), said["body"].encode(), LogProof.parse(said["proof"])
            committed = hashlib.sha256(bytes.fromhex(said["salt"]) + body).hexdigest() == entry["commitment"]
            try:
                holds = proof.index >= size and proof.holds(leaf_hash(said["entry"].encode()), keys)
            except NoteError:
                holds = False
            if committed and holds and entry["kind"] == "retention_run":
                run = json.loads(body)["body"]
                runs.append(Run(proof.index, entry["at"], list(run["schedule"].values()), list(run["positions"])))
                later = opened(proof.checkpoint, keys)
                seen[later.size] = later.root.hex()
            else:
                found.wrong.append("a run of retention behind the bundle's end is not what the log holds")
    found.missing += [
        f"that the checkpoint of {later} entries (root {root}), under which runs of retention stand, continues this "
        "log: ask for a bundle that reaches it"
        for later, root in sorted(seen.items())
    ]
    return runs


def _tell_of_replay(bag: zipfile.ZipFile, found: Findings) -> None:
    """Say what the operator says of the decisions that it decided again: nobody else can, without its database."""
    if "data/replay.json" not in bag.namelist():
        return
    told = json.loads(bag.read("data/replay.json"))
    counts = ", ".join(f"{int(told[name])} {name}" for name in ("decisions", "reproduced", "different", "altered"))
    found.missing.append(f"the replay of {told['since']} to {told['until']}, which is the operator's word: {counts}")
    if told["different"] or told["altered"]:
        found.wrong.append("by the operator's own replay, decisions come out otherwise, or rows were altered")


def _check_manifest(bag: zipfile.ZipFile, found: Findings) -> None:
    """Every file is listed with its SHA-256, and nothing else is there."""
    listed: dict[str, str] = {}
    for line in bag.read("manifest-sha256.txt").decode().splitlines():
        said, _, name = line.partition("  ")
        listed[name] = said
    names = bag.namelist()
    # A name that unpacks to another place, or over another file, would have an auditor's tools see something else.
    odd = [
        each.filename
        for each in bag.infolist()
        if (each.filename not in _TAGS and _NAME.fullmatch(each.filename) is None)
        or each.filename != each.orig_filename
        or not _is_plain(each.extra)
        or any(name.startswith(f"{each.filename}/") for name in names)
    ]
    found.wrong += [f"{name!r}: no file of a bundle has such a name" for name in sorted(odd)[:_SHOWN_NAMES]]
    present = {name for name in names if name.startswith("data/")}
    folded = [name.casefold() for name in names]
    found.wrong += [
        f"{name}: it stands there twice" for name in sorted(set(names)) if folded.count(name.casefold()) > 1
    ]
    found.wrong += [f"{name}: it is listed and missing" for name in sorted(listed.keys() - present)]
    found.wrong += [f"{name}: it is not listed" for name in sorted(present - listed.keys())]
    for name in sorted(present & listed.keys()):
        digest = hashlib.sha256()
        with bag.open(name) as content:
            while part := content.read(_CHUNK):
                digest.update(part)
        if digest.hexdigest() != listed[name]:
            found.wrong.append(f"{name}: it was changed after the bundle was made")
    found.checked.append(f"{len(present)} files against their SHA-256")


def _keys(about: dict[str, Any], trusted: list[VerifierKey], found: Findings) -> list[VerifierKey]:
    own = [VerifierKey.parse(each) for each in about["keys"]]
    if trusted:
        try:
            known = followed(trusted, about.get("rotations", []))
        except NoteError as error:
            found.wrong.append(str(error))
            return [each for each in own if each in trusted]
        found.checked += [
            f"{each} follows a key that is trusted, as both have signed" for each in known[len(trusted) :]
        ]
        good = [each for each in own if each in known]
        if not good:
            found.wrong.append("none of the keys that are trusted is the log's")
        return good
    found.missing.append(
        "no key of a log was given: the keys are those that the bundle names itself (compare: " + str(own[0]) + ")"
    )
    return own


def _head(note: str, keys: list[VerifierKey], found: Findings) -> Checkpoint | None:
    try:
        head = opened(note, keys)
    except NoteError as error:
        found.wrong.append(str(error))
        return None
    found.checked.append(f"the checkpoint of {head.size} entries, signed by {head.origin}")
    return head


def _olds(against: list[str], keys: list[VerifierKey], found: Findings) -> dict[int, list[bytes]]:
    """The roots that the log must have had, by size."""
    olds: dict[int, list[bytes]] = {}
    for note in against:
        try:
            old = opened(note, keys)
        except NoteError as error:
            found.wrong.append(f"a checkpoint from before: {error}")
        else:
            olds.setdefault(old.size, []).append(old.root)
    return olds


def _check_entries(lines: Iterable[bytes], about: dict[str, Any], heads: "_Heads", found: Findings) -> None:
    head, olds = heads.last, heads.olds
    if head is not None and not 0 <= about["first"] < head.size:
        found.wrong.append("the bundle holds no entry of the log")
        return
    tree = Frontier(about["first"], [bytes.fromhex(each) for each in about["frontier"]])
    for size in sorted(size for size in olds if size < tree.size):
        found.missing.append(
            f"the checkpoint of {size} entries is older than this bundle: ask for one that begins before"
        )
    bodies = Bodies(found, about, about["runs"])
    heads.compare(tree, found)
    for said in _objects(lines):
        if said["position"] != tree.size:
            found.wrong.append(f"entry {tree.size}: it is missing, or stands in another place")
            return
        content = said["entry"].encode()
        tree.append(leaf_hash(content))
        bodies.check(said, json.loads(content))
        heads.compare(tree, found)
    bodies.tell()
    found.wrong += [f"the log once had {size} entries, and has fewer now" for size in sorted(olds) if size > tree.size]
    if head is not None and (tree.size, tree.root()) != (head.size, head.root):
        found.wrong.append(
            "the entries are not those that the checkpoint was signed for: one was changed, moved or removed"
        )
    elif head is not None:
        found.checked.append(f"{tree.size - about['first']} entries against the checkpoint")


@dataclass
class _Heads:
    """What the log must have been: at its end, at the checkpoints from before, and at those that others have seen."""

    last: Checkpoint | None
    olds: dict[int, list[bytes]]
    anchors: Anchors

    def compare(self, tree: Frontier, found: Findings) -> None:
        """Compare the tree with what is known of the log at that size."""
        for root in self.olds.get(tree.size, []):
            if root != tree.root():
                found.wrong.append(
                    f"the log does not begin with the checkpoint of {tree.size} entries: it was rewritten"
                )
            else:
                found.checked.append(f"the log begins with the checkpoint of {tree.size} entries")
        self.anchors.compare(tree)


def _objects(lines: Iterable[bytes] | IO[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        said = json.loads(line)
        if not isinstance(said, dict):
            raise UnreadableError("a line of the bundle is no object")
        yield said
