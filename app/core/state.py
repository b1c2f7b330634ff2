"""The state of one consent at an instant: the same facts and predicates as the decision, told of one grant.

A list, a filter or a count by state agrees with the decision at the same instant because both come from here
and from `app.core.consent`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from app.core.consent import (
    ConsentEvent,
    EventKind,
    State,
    counts,
    defects,
    expiry,
    history,
    since_closure,
    stated_age_band,
)
from app.core.period import PeriodPolicy
from app.core.processing import Processing


def consent_state(
    consent: ConsentEvent,
    events: Iterable[ConsentEvent],
    processing: Processing,
    at: datetime,
    policy: PeriodPolicy,
) -> State:
    """The state of a consent (a granted or refused event among `events`) at an instant.

    What ended it first comes first: a closure, a withdrawal, a later decision; then, for a grant, the rules 14
    to 16 in their order.
    """
    past = history(events, processing, at)
    ended = _ended_by(consent, past, processing, at)
    if ended is not None:
        return _ENDED[ended.kind]
    if consent.kind is EventKind.REFUSED:
        return State.REFUSED
    return _grant_state(consent, past, processing, at, policy)


_ENDED = {
    EventKind.CLOSED: State.CLOSED,
    EventKind.WITHDRAWN: State.WITHDRAWN,
    EventKind.REFUSED: State.REPLACED,
    EventKind.GRANTED: State.REPLACED,
}


def _ended_by(
    consent: ConsentEvent, past: Sequence[ConsentEvent], processing: Processing, at: datetime
) -> ConsentEvent | None:
    later = (event for event in past if event.rank > consent.rank)
    return next((event for event in later if event.kind is EventKind.CLOSED or counts(event, processing, at)), None)


def _grant_state(
    grant: ConsentEvent, past: Sequence[ConsentEvent], processing: Processing, at: datetime, policy: PeriodPolicy
) -> State:
    if not counts(grant, processing, at):
        return State.PENDING
    if defects(grant.collection, stated_age_band(since_closure(past), grant)):
        return State.INVALID
    if processing.superseded(grant.version or 0, at):
        return State.SUPERSEDED
    return State.EXPIRED if at >= expiry(grant, processing, at, policy) else State.IN_FORCE
