"""Read the facts that some requests need, in three statements whatever their number, and apply the rules to each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.core.consent import ConsentEvent
from app.core.decision import Decision, DecisionRequest
from app.core.evaluate import evaluate
from app.core.period import PeriodPolicy
from app.core.processing import Processing
from app.db.session import ReadSession
from app.ledger.store import Person, load_people
from app.operations.decisions.judging import Facts
from app.register.records import ProcessingRecord
from app.register.store import load_processings
from app.snapshot.leases import boot_seconds

_PARTIES_AT_MOST: Final = 20_000
"""Users and other parties whose consents one search looks at for a page."""


@dataclass(frozen=True, slots=True)
class FactsRead:
    """The facts of each request, in their order, and the database's time then.

    `asked` is when it was asked for that time, by CLOCK_BOOTTIME in seconds.
    """

    of_each: Sequence[Facts]
    now: datetime
    asked: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Decisions in the order of the requests, and the database's time then."""

    decisions: Sequence[Decision]
    at: datetime


async def evaluate_requests(
    session: ReadSession, policy: PeriodPolicy, requests: Sequence[DecisionRequest]
) -> Evaluated:
    """Answer requests in their order, each as if it had been asked alone, at the present instant."""
    records = await load_processings(session, {request.processing for request in requests})
    read = await read_facts(session, requests, records)
    decisions = [
        evaluate(request, facts.processing, facts.consents, facts.at, policy, facts.shared)
        for request, facts in zip(requests, read.of_each, strict=True)
    ]
    return Evaluated(decisions, read.now)


async def read_facts(
    session: ReadSession, requests: Sequence[DecisionRequest], records: Mapping[str, ProcessingRecord]
) -> FactsRead:
    """Read the events that requests need, on register entries that were read before.

    The clock is read after the facts, and never behind what was recorded: an instant at which a withdrawal that is
    in the ledger has not happened yet is never judged.
    """
    entries = [records.get(request.processing) for request in requests]
    needed = [
        subjects_needed(request, record.facts if record is not None else None)
        for request, record in zip(requests, entries, strict=True)
    ]
    locators = set[bytes]().union(*needed)
    people = await load_people(session, locators) if locators else {}
    asked = boot_seconds()
    now = await session.now()
    of_each = []
    for request, record, mine in zip(requests, entries, needed, strict=True):
        known = {locator: people[locator] for locator in mine if locator in people}
        own = {locator: person.events for locator, person in known.items()}
        processing = record.facts if record is not None else None
        ref = people[request.subject].ref if request.subject in own else None
        of_each.append(Facts(processing, own, present(now, own, record), shared_among(known), ref))
    return FactsRead(of_each, now, asked)


def subjects_needed(request: DecisionRequest, processing: Processing | None) -> set[bytes]:
    """The locators of those whose consents count: nobody under III, participants only in a mode that asks for them."""
    if processing is None or not processing.rests_on_consent:
        return set()
    needed = {request.subject}
    if processing.asks_others:
        needed |= {participant.ref for participant in request.participants or () if participant.local}
    return needed


def affordable(request: DecisionRequest, most: int) -> int:
    """How many questions with these participants may be judged in one go: at most so many, few if they are many."""
    return max(1, min(most, _PARTIES_AT_MOST // (1 + len(request.participants or ()))))


def shared_among(people: Mapping[bytes, Person]) -> frozenset[bytes]:
    """The locators of those that are mailboxes of several people."""
    return frozenset(locator for locator, person in people.items() if person.shared)


def present(
    now: datetime, consents: Mapping[bytes, Sequence[ConsentEvent]], record: ProcessingRecord | None = None
) -> datetime:
    """The instant to judge a live request at: now, or the latest thing recorded as done if a clock was set back."""
    done = [event.collected_at for events in consents.values() for event in events]
    if record is not None:
        done += [change.at for change in record.changes]
        done += [each.recorded_at for each in record.versions if each.facts.in_force_at(each.recorded_at)]
    return max([now, *done])
