"""The records that replicas cache: facts as read, and how hundreds of thousands of them are held in a few bytes each.

A record is never changed; another one takes its place. What is decided on it may be remembered with it by identity.
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

# Consent events in a few bytes each: how a replica holds the facts of hundreds of thousands of subjects.
# As objects, an event and what belongs to it take ten times as much. What is unpacked is equal to what was packed, to
# the microsecond; nothing here is stored or sent anywhere, so the form may change from one version to the next.

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = -(2**31)
_NEVER: Final = -(2**63)
_KINDS: Final = tuple(EventKind)
_KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(_KINDS)}
_EVENT: Final = Struct("<16sBiqqiiiq2s")
"""Id, kind, processing, collected_at, order, version, elements, collection, expires_at, territory."""

_Word = TypeVar("_Word", bound=Hashable)


class _Words(Generic[_Word]):
    """Numbers for values of which there are few: names of processings, sets of elements, ways of collection."""

    def __init__(self) -> None:
        self.numbers: dict[_Word, int] = {}
        self.words: list[_Word] = []

    def number(self, word: _Word | None) -> int:
        """The number of a value, the same each time; None has one too."""
        if word is None:
            return _NOTHING
        known = self.numbers.get(word)
        if known is None:
            known = self.numbers[word] = len(self.words)
            self.words.append(word)
        return known

    def word(self, number: int) -> _Word | None:
        """The value that has that number."""
        return None if number == _NOTHING else self.words[number]


_processings: Final = _Words[str]()
_elements: Final = _Words[frozenset[Element]]()
_collections: Final = _Words[Collection]()


def pack(events: Iterable[ConsentEvent]) -> bytes:
    """Events in 59 bytes each, in their order."""
    return b"".join(map(_packed, events))


def unpack(packed: bytes) -> tuple[ConsentEvent, ...]:
    """The events that were packed, equal to what they were; their times are UTC."""
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
    """A subject's consent events, packed; none for one that never decided on anything.

    `ref` is its subject_ref; None when nothing is recorded of whoever the locator names. `shared`: it is a mailbox of
    several people.
    """

    packed: bytes
    ref: bytes | None = None
    shared: bool = False

    def events(self) -> tuple[ConsentEvent, ...]:
        """The events, made anew by each call: for a decision that is not remembered."""
        return unpack(self.packed)


@dataclass(frozen=True, slots=True, eq=False)
class RegisterRecord:
    """A register entry; `processing` None when the register holds none under that id.

    `latest`: the last instant that it records as done. `asks_others`: some version of it wants other parties' consents.
    """

    processing: Processing | None
    latest: datetime | None
    rests_on_consent: bool = False
    asks_others: bool = False


_NOBODYS: Final = Use()


@dataclass(frozen=True, slots=True, eq=False)
class CallerRecord:
    """The caller that a credential belongs to; None when it is not in force. Those are never kept.

    `until` is the epoch time from which on the credential is good for nothing; `use` is where its use is noted;
    `signed_by` tells the issuer's key that a token rests on.
    """

    caller: Caller | None
    until: float = math.inf
    use: Use = _NOBODYS
    signed_by: str | None = None


def caller_record(found: Authenticated | None, uses: Uses) -> CallerRecord:
    """The record of what a credential was found to be."""
    if found is None:
        return CallerRecord(None)
    until = found.until.timestamp() if found.until is not None else math.inf
    return CallerRecord(found.caller, until, uses.of(found.credential), found.signed_by)


def subject_record(person: Person | None) -> SubjectRecord:
    """The record of one person's consents, for the cache; None where the ledger holds nothing about that person."""
    if person is None:
        return SubjectRecord(b"")
    return SubjectRecord(pack(person.events), person.ref, person.shared)


def register_record(found: ProcessingRecord | None) -> RegisterRecord:
    """The record of a register entry, or of its absence."""
    if found is None:
        return RegisterRecord(None, None)
    done = [change.at for change in found.changes]
    done += [each.recorded_at for each in found.versions if each.facts.in_force_at(each.recorded_at)]
    facts = found.facts
    return RegisterRecord(facts, max(done, default=None), facts.rests_on_consent, facts.asks_others)
