"""Decisions as they leave the deployment: the columns of docs/decision-log.md, a line of JSON each.

An auditor gets a merged segment as such lines, in which people and correspondences have names of this segment alone.
The proof log commits to them, so that a decision which was changed, taken out or put in is seen without the database.
"""

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import asdict

from app.audit.segments import REF_BYTES, LoggedDecision, Segment, decisions_in, directory_of

OWN: Final = ("id", "at", "caller", "subject_ref", "correspondence_ref", "decision")
"""The columns that are not of `LogFacts`. Who was looked at besides the subject is sealed, and left out."""
_encode = msgspec.json.Encoder().encode


def row_of(decision: LoggedDecision, named: Callable[[bytes], str]) -> Mapping[str, Any]:
    """The columns of a decision. `named`: what a reference is called there."""
    facts = asdict(decision.facts)
    del facts["relied"]
    refs = (named(decision.subject_ref), named(decision.correspondence_ref))
    own = (str(decision.id), decision.at, str(decision.caller), *refs, facts.pop("permitted"))
    facts["consent"] = None if decision.facts.consent is None else str(decision.facts.consent)
    return {**dict(zip(OWN, own, strict=True)), **facts}


def line_of(row: Mapping[str, Any]) -> bytes:
    """A line of JSON; instants in UTC, as RFC 3339 has them."""
    return _encode(row) + b"\n"


def name_in(segment: UUID, ref: bytes) -> str:
    """What a reference is called in the lines of a segment: it is random, so that nobody finds it by trying."""
    return sha256(segment.bytes + ref).hexdigest()[: 2 * REF_BYTES]


def open_lines(segment: UUID, directory: bytes, data: bytes) -> Iterator[tuple[LoggedDecision, bytes]]:
    """The decisions of a segment, each with its line."""
    known = directory_of(directory)
    for decision in decisions_in(known, known.blocks, data):
        yield decision, line_of(row_of(decision, lambda ref: name_in(segment, ref)))


def open_sha256(segment: Segment) -> str:
    """The SHA-256 of all lines of a segment, as hex: what the proof log commits to for whoever has no database."""
    digest = sha256()
    for _, line in open_lines(segment.id, segment.directory, segment.data):
        digest.update(line)
    return digest.hexdigest()
