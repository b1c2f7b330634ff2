"""The state of one consent at an instant: the same facts and predicates as the decision, told of one grant.

A list, a filter or a count by state agrees with the decision at the same instant because both come from here
and from `app.core.fold`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from app.core.age import ages_stated
from app.core.consent import ConsentEvent, Defect, EventKind, State
from app.core.fold import counts, halves_said, history, since_closure
from app.core.grant import Grant, awaits_other_side, defects, expiry, grant_of, invalidated
from app.core.period import PeriodPolicy
from app.core.processing import Processing


def consent_state(
    consent: ConsentEvent,
    events: Sequence[ConsentEvent],
    processing: Processing,
    at: datetime,
    policy: PeriodPolicy,
) -> State:
    """The state of a consent (a granted or refused event) at an instant.

    What ended it first comes first: a closure, a withdrawal, a later decision; then, for a grant, the invalidation of
    what it rests on, and the rules 14 to 16 in their order.

    Args:
        consent: the consent, one of `events`.
        events: all of the person's events, those about other processings too.
        processing: the register's entry for the consent's processing.
        at: the instant judged.
        policy: how this deployment counts periods.

    """
    past = history(events, processing, at)
    halves = halves_said(events, processing.id, at)
    later = (event for event in past if event.rank > consent.rank)
    ended = next((event for event in later if ends(event, consent, processing, at, halves)), None)
    if ended is not None:
        return _ENDED[ended.kind]
    if consent.kind is EventKind.REFUSED:
        return State.REFUSED
    grant = grant_of(consent, since_closure(past), ages_stated(events, at))
    if invalidated(grant, processing, at):
        return State.INVALIDATED
    if not counts(consent, processing, at):
        return State.PENDING
    return _grant_state(grant, processing, at, policy)


def consent_expiry(
    consent: ConsentEvent,
    events: Sequence[ConsentEvent],
    processing: Processing,
    at: datetime,
    policy: PeriodPolicy,
) -> datetime:
    """The first instant at which a granted event among a person's events is no longer in force, as judged at `at`."""
    return expiry(grant_among(consent, events, processing, at), processing, at, policy)


def grant_among(consent: ConsentEvent, events: Sequence[ConsentEvent], processing: Processing, at: datetime) -> Grant:
    """A granted event, with what the person's other events say about it by an instant."""
    return grant_of(consent, since_closure(history(events, processing, at)), ages_stated(events, at))


def ends(
    event: ConsentEvent, consent: ConsentEvent, processing: Processing, at: datetime, halves: frozenset[int]
) -> bool:
    """Whether a later event ends a consent, as known at an instant.

    A closure, a refusal and a withdrawal end all before them. A grant ends a refusal, and a grant that counts already,
    unless it is itself superseded and the earlier one is not (law.md, "Latest decision"). Half of a joint consent does
    not end a whole grant.

    Args:
        event: the later event.
        consent: a granted or refused event.
        processing: the register's entry for the consent's processing.
        at: the instant judged.
        halves: the ledger orders of the person's halves (`app.core.fold.halves_said`).

    """
    if event.kind is EventKind.CLOSED or not counts(event, processing, at):
        return event.kind is EventKind.CLOSED
    if event.kind is not EventKind.GRANTED or consent.kind is not EventKind.GRANTED:
        return True
    if event.order in halves and consent.order not in halves:
        return False
    displaced = processing.superseded(event.version or 0, at) and not processing.superseded(consent.version or 0, at)
    return counts(consent, processing, at) and not displaced


_ENDED: Final = {
    EventKind.CLOSED: State.CLOSED,
    EventKind.WITHDRAWN: State.WITHDRAWN,
    EventKind.REFUSED: State.REPLACED,
    EventKind.GRANTED: State.REPLACED,
}


def _grant_state(grant: Grant, processing: Processing, at: datetime, policy: PeriodPolicy) -> State:
    found = defects(grant, processing, at)
    if found == (Defect.JOINT_CONSENT_MISSING,) and awaits_other_side(grant, at):
        return State.AWAITING_OTHER
    if found:
        return State.INVALID
    if processing.superseded(grant.event.version or 0, at):
        return State.SUPERSEDED
    return State.EXPIRED if at >= expiry(grant, processing, at, policy) else State.IN_FORCE
