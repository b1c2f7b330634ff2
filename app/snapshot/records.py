"""The records that replicas cache: the facts as read, packed so that hundreds of thousands take a few bytes each.

A record is never changed, only replaced. So what is decided on a record may be remembered under the record's identity.
"""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final, Generic, TypeVar
from uuid import UUID

from app.auth.callers import Authenticated, Caller
from app.auth.sessions import Use, Uses
from app.core.article import Element
from app.core.consent import Collection, ConsentEvent, EventKind
from app.core.processing import Processing
from app.ledger.store import Person
from app.register.records import ProcessingRecord

# A replica holds the consent events of hundreds of thousands of subjects, packed into a few bytes each. As objects, an
# event and its parts take ten times as much. An unpacked event equals the packed one, to the microsecond. The packed
# form is never stored or sent, so it may change from one version to the next.

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = -(2**31)
_NEVER: Final = -(2**63)
_KINDS: Final = tuple(EventKind)
_KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}
_EVENT: Final = Struct("<16sBiqqiiiq2s")
"""Packed fields: id, kind, processing, collected_at, order, version, elements, collection, expires_at, territory."""

_Word = TypeVar("_Word", bound=Hashable)


class _Words(Generic[_Word]):
    """Numbers for the values of a small set: names of processings, sets of elements, ways of collection."""

    def __init__(self) -> None:
        self.numbers: dict[_Word, int] = {}
        self.words: list[_Word] = []

    def number(self, word: _Word | None) -> int:
        """Return the number of a value, the same at each call; None has a number too."""
        if word is None:
            return _NOTHING
        index = self.numbers.get(word)
        if index is None:
            index = self.numbers[word] = len(self.words)
            self.words.append(word)
        return index

    def word(self, number: int) -> _Word | None:
        """Return the value that has this number."""
        return None if number == _NOTHING else self.words[number]


_processings: Final = _Words[str]()
_elements: Final = _Words[frozenset[Element]]()
_collections: Final = _Words[Collection]()


def pack(events: Iterable[ConsentEvent]) -> bytes:
    """Pack events into 59 bytes each, in their order."""
    return b"".join(map(_packed, events))


def unpack(packed: bytes) -> tuple[ConsentEvent, ...]:
    """Return the events that were packed, equal to the originals; their times are in UTC."""
    return tuple(map(_unpacked, _EVENT.iter_unpack(packed)))


def _packed(event: ConsentEvent) -> bytes:
    return _EVENT.pack(
        event.id.bytes,
        _KIND_NUMBERS[event.kind],
        _processings.number(event.processing),
        (event.collected_at - _EPOCH) // _MICROSECOND,
        event.order,
        _NOTHING if event.version is None else event.version,
        _elements.number(event.elements),
        _collections.number(event.collection),
        _NEVER if event.expires_at is None else (event.expires_at - _EPOCH) // _MICROSECOND,
        event.territory.encode(),
    )


def _unpacked(fields: tuple[bytes, int, int, int, int, int, int, int, int, bytes]) -> ConsentEvent:
    identifier, kind, processing, collected, order, version, elements, collection, expires, territory = fields
    return ConsentEvent(
        UUID(bytes=identifier),
        _KINDS[kind],
        _processings.word(processing),
        _EPOCH + timedelta(microseconds=collected),
        order,
        None if version == _NOTHING else version,
        _elements.word(elements),
        _collections.words[collection],
        None if expires == _NEVER else _EPOCH + timedelta(microseconds=expires),
        territory.decode(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class SubjectRecord:
    """A subject's consent events, packed; empty for a subject who never decided on anything.

    `ref` is the subject_ref, or None when nothing is recorded of the person whom the locator names. `shared` says that
    the subject is a shared mailbox.
    """

    packed: bytes
    ref: bytes | None = None
    shared: bool = False

    def events(self) -> tuple[ConsentEvent, ...]:
        """Return the events, unpacked anew by each call: for a decision that is not remembered."""
        return unpack(self.packed)


NOTHING_RECORDED: Final = SubjectRecord(b"")
"""The record of everybody of whom nothing is recorded: most people, so they share it and what is decided on it."""


@dataclass(frozen=True, slots=True, eq=False)
class RegisterRecord:
    """A register entry; `processing` is None when the register holds none under that id.

    `latest` is the latest instant of its recorded changes and of its versions recorded as in force. `asks_others` says
    that some version asks for the consent of other parties.
    """

    processing: Processing | None
    latest: datetime | None
    rests_on_consent: bool = False
    asks_others: bool = False


_NOBODYS: Final = Use()


@dataclass(frozen=True, slots=True, eq=False)
class CallerRecord:
    """The caller that a credential belongs to; None when the credential is not in force. Such records are never kept.

    `until` is the epoch time at which the credential stops being valid, `use` is where its use is noted, and
    `signed_by` is the issuer's key that a token rests on.
    """

    caller: Caller | None
    until: float = math.inf
    use: Use = _NOBODYS
    signed_by: str | None = None


def caller_record(holder: Authenticated | None, uses: Uses) -> CallerRecord:
    """Return the record of a credential's holder, or of a credential that is not in force (None)."""
    if holder is None:
        return CallerRecord(None)
    until = holder.until.timestamp() if holder.until is not None else math.inf
    return CallerRecord(holder.caller, until, uses.of(holder.credential), holder.signed_by)


def subject_record(person: Person | None) -> SubjectRecord:
    """Return the cache record of a person's consents; None is a person of whom the ledger holds nothing."""
    if person is None:
        return NOTHING_RECORDED
    return SubjectRecord(pack(person.events), person.ref, person.shared)


def register_record(record: ProcessingRecord | None) -> RegisterRecord:
    """Return the record of a register entry, or of its absence."""
    if record is None:
        return RegisterRecord(None, None)
    done = [change.at for change in record.changes]
    done += [version.recorded_at for version in record.versions if version.facts.in_force_at(version.recorded_at)]
    facts = record.facts
    return RegisterRecord(facts, max(done, default=None), facts.rests_on_consent, facts.asks_others)
