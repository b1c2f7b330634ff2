"""Checks what others say of a log: time-stamps of its checkpoints, and cosignatures of witnesses.

A bundle holds each stamped checkpoint as the bytes that were stamped (`data/stamps/SIZE.checkpoint`), the answer of the
authority beside it (`data/stamps/SIZE.tsr`), and each cosigned checkpoint as a note (`data/cosigned/SIZE.checkpoint`).
Each of them is evidence for as many entries as its checkpoint has, if the bundle's entries lead to the same root.
"""

import hashlib
import re
import shlex
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec

from cryptography.x509 import Certificate, ObjectIdentifier

from app.proof.verifier.files import member
from app.proof.verifier.notes import Checkpoint, Note, NoteError, VerifierKey
from app.proof.verifier.trees import Frontier

# The library `rfc3161-client` checks a time-stamp, if it is installed. Without the library, the verifier says only how
# to check the time-stamp with OpenSSL.

_LIBRARY = "rfc3161_client"
_GRANTED = 0
_SHA256 = ObjectIdentifier("2.16.840.1.101.3.4.2.1")


class StampError(Exception):
    """A time-stamp is not what it should be; the message is a key of `STAMP_FAULTS`."""


STAMP_FAULTS = {
    "refused": "the authority has refused it",
    "form": "it is no time-stamp",
    "imprint": "it is of something else",
    "nonce": "it answers another request",
    "signature": "no authority that is trusted has signed it",
}


@dataclass(frozen=True)
class Stamp:
    """When an authority signed a time-stamp, and under which of its policies."""

    at: datetime
    policy: str


def can_check_stamps() -> bool:
    """Whether the library that checks time-stamps is installed."""
    return find_spec(_LIBRARY) is not None


def stamp_of(answer: bytes, content: bytes, roots: Sequence[Certificate], nonce: int | None = None) -> Stamp:
    """Check that an authority has time-stamped a content; return when, and under which policy.

    The certificates must have been in force at that time. Whether one was revoked is not checked.

    Args:
        answer: a TimeStampResp, in DER.
        content: what is stamped, by its SHA-256.
        roots: the trusted roots.
        nonce: the one that it must have; None: any.

    Raises:
        StampError: it is no time-stamp of this content, or none under these roots with this nonce.

    """
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response  # noqa: PLC0415

    try:
        response = decode_timestamp_response(answer)
        if response.status != _GRANTED:
            raise StampError("refused")
        info = response.tst_info
        imprint = info.message_imprint
        if (imprint.hash_algorithm, imprint.message) != (_SHA256, hashlib.sha256(content).digest()):
            raise StampError("imprint")
        if nonce is not None and info.nonce != nonce:
            raise StampError("nonce")
        # The library may append to the list that it gets, so it gets a copy.
        VerifierBuilder(roots=list(roots)).build().verify_message(response, content)
    except VerificationError:
        raise StampError("signature") from None
    except (ValueError, TypeError, OverflowError):
        raise StampError("form") from None
    return Stamp(info.gen_time, info.policy.dotted_string)


_ANCHOR = re.compile(r"data/(stamps|cosigned)/([1-9][0-9]{0,17})\.checkpoint")
_TIME_BYTES = 8


@dataclass(frozen=True)
class Trust:
    """The outside parties that an auditor trusts. `roots`: of time-stamping authorities; None if none were given."""

    witnesses: Sequence[VerifierKey] = ()
    roots: Sequence[Certificate] | None = None


NOBODY = Trust()


@dataclass(frozen=True)
class Seen:
    """The fact that an outside party had a checkpoint. `at`: when; None if that could not be checked."""

    head: Checkpoint
    who: str
    at: datetime | None


@dataclass(frozen=True)
class Cosignature:
    """The signed statement of a witness that it saw a checkpoint at a time. `line`: its signature line in the note."""

    key: VerifierKey
    at: datetime
    line: str


@dataclass
class Anchors:
    """What a bundle holds from outside parties. `waiting`: by size, those not compared yet; `seen`: those that fit."""

    waiting: dict[int, list[Seen]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    newest: datetime | None = None
    """The latest time at which an outside party had a head of the entries so far; None if none had."""
    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def compare(self, tree: Frontier) -> None:
        """Compare the waiting checkpoints of the tree's size with the tree; one with another root is of another log."""
        for seen in self.waiting.pop(tree.size, []):
            if seen.head.root == tree.root():
                self.seen.append(seen)
                if seen.at is not None:
                    self.newest = seen.at if self.newest is None else max(self.newest, seen.at)
            else:
                self.wrong.append(f"{seen.who} of {seen.head.size} entries is of another log: this one was rewritten")

    def summary(self, size: int) -> tuple[list[str], list[str]]:
        """The lines to print for a log of `size` entries: what was checked, and what was not."""
        shown = [seen for seen in self.seen if seen.at is not None]
        by_whom: dict[str, list[Seen]] = {}
        for seen in shown:
            by_whom.setdefault(seen.who, []).append(seen)
        checked = [_line(who, seen) for who, seen in by_whom.items()]
        missing = list(self.missing)
        reached = max((seen.head.size for seen in shown), default=0)
        if not shown and not missing:
            missing.append("not anchored: nothing outside shows since when this log has been as it is")
        elif shown and reached < size:
            missing.append(
                f"since when the last {size - reached} of the entries are there: nobody outside had them yet"
            )
        if self.waiting:
            missing.append("time-stamps or cosignatures of checkpoints that are not among this bundle's entries")
        return checked, missing


def anchors_of(bag: zipfile.ZipFile, path: str, trust: Trust) -> Anchors:
    """What outside parties say in a bundle, checked as far as possible without its entries. `path`: the bundle's."""
    anchors = Anchors()
    unchecked: list[int] = []
    for kind, size in sorted({(match[1], int(match[2])) for match in map(_ANCHOR.fullmatch, bag.namelist()) if match}):
        content = member(bag, f"data/{kind}/{size}.checkpoint")
        try:
            if kind == "cosigned":
                seen = _cosigned(content.decode(), trust.witnesses, anchors)
            elif trust.roots is None or not can_check_stamps():
                seen = [Seen(head_of(content), "the stamped checkpoint", None)]
                unchecked.append(size)
            else:
                stamp = stamp_of(member(bag, f"data/stamps/{size}.tsr"), content, trust.roots)
                seen = [Seen(head_of(content), f"a time-stamp under policy {stamp.policy}", stamp.at)]
        except StampError as error:
            anchors.wrong.append(f"the time-stamp of {size} entries: {STAMP_FAULTS[str(error)]}")
        except NoteError as error:
            anchors.wrong.append(f"the checkpoint of {size} entries in {kind}: {error}")
        else:
            for each in seen:
                anchors.waiting.setdefault(each.head.size, []).append(each)
    if unchecked:
        anchors.missing.append(_how_to_check(unchecked, path, trust))
    anchors.missing = list(dict.fromkeys(anchors.missing))
    return anchors


def head_of(content: bytes) -> Checkpoint:
    """The checkpoint in a note, whose signatures are not checked.

    Raises:
        NoteError: the content is no checkpoint.

    """
    return Checkpoint.parse(Note.parse(content.decode("utf-8", "replace")).text)


def cosignatures_of(content: str, witnesses: Iterable[VerifierKey]) -> list[Cosignature]:
    """The cosignatures that these witnesses made on a checkpoint.

    Raises:
        NoteError: it is no note, or the cosignature of one of them is wrong.

    """
    note = Note.parse(content)
    cosignatures = {}
    for key in note.signed_by(witnesses):
        line = next(each for each in note.signatures if (each.name, each.key_id) == (key.name, key.id))
        cosignatures[key] = Cosignature(key, _time(line.value), str(line))
    return list(cosignatures.values())


def _cosigned(content: str, witnesses: Sequence[VerifierKey], anchors: Anchors) -> list[Seen]:
    head = head_of(content.encode())
    known = {(each.name, each.id) for each in witnesses}
    for signature in Note.parse(content).signatures:
        if signature.name != head.origin and (signature.name, signature.key_id) not in known:
            anchors.missing.append(f"cosignatures of {signature.name}: give its key with --key")
    signed = cosignatures_of(content, witnesses)
    return [Seen(head, f"witness {each.key.name}", each.at) for each in signed] or [
        Seen(head, "the cosigned checkpoint", None)
    ]


def _time(value: bytes) -> datetime:
    try:
        return datetime.fromtimestamp(int.from_bytes(value[:_TIME_BYTES], "big"), UTC)
    except (ValueError, OverflowError, OSError):
        raise NoteError("the time of a cosignature is none") from None


def _line(who: str, seen: Sequence[Seen]) -> str:
    """One line on what a party shows: by when the fewest entries were there, and by when the most."""
    ordered = sorted(seen, key=lambda each: each.head.size)
    if len(ordered) == 1:
        return f"{who}: {_since(ordered[0])}"
    return f"{who}, {len(ordered)} times: {_since(ordered[0])}, {_since(ordered[-1])}"


def _since(seen: Seen) -> str:
    return f"the first {seen.head.size} entries were there at {seen.at:%Y-%m-%dT%H:%M:%SZ}"


def _how_to_check(sizes: Sequence[int], path: str, trust: Trust) -> str:
    """How an auditor can have the time-stamps of checkpoints of these sizes checked, which were not checked here."""
    wanted = [] if trust.roots is not None else ["give --tsa-ca FILE with the roots that you trust"]
    wanted += [] if can_check_stamps() else ["install rfc3161-client"]
    file, name = shlex.quote(path), f"data/stamps/{max(sizes)}"
    command = (
        f"unzip -p {file} {name}.checkpoint > stamped && unzip -p {file} {name}.tsr > stamp && "
        "openssl ts -verify -data stamped -in stamp -CAfile FILE"
    )
    which = "the time-stamp" if len(sizes) == 1 else f"{len(sizes)} time-stamps"
    return f"{which}: {' and '.join(wanted)}; or run, for the one of {max(sizes)} entries: {command}"
