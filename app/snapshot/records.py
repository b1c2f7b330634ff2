"""The records that replicas cache: facts as read.

A record is never changed; another one takes its place. What is decided on it may be remembered with it by identity.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.auth.callers import Authenticated, Caller
from app.auth.uses import Use, Uses
from app.core.consent import ConsentEvent
from app.core.processing import Processing
from app.ledger.store import Person
from app.register.records import ProcessingRecord
from app.snapshot.packed import pack, unpack


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
    """The record of what is known of somebody; None of somebody of whom nothing is."""
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
