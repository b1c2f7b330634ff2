"""The fold of a person's consent events: what they amount to for one processing at one instant.

The latest decision counts, by time of collection, ties by ledger order; a closure wipes all before it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.core.consent import DECISIONS, AgeBand, ConsentEvent, EventKind
from app.core.grant import Grant, grant_of
from app.core.processing import Processing

_AGES: Final = tuple(reversed(AgeBand))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user stands on one processing at an instant, before any question of time or scope.

    `latest` is the decision that counts, if any; `consent` is the latest grant or refusal that counts, which a
    withdrawal may have ended; `grant` is `latest` where that is a grant. `ever_decided` is true also while no decision
    counts yet. A closure wipes all of it: the next holder of the address never decided.
    """

    latest: ConsentEvent | None
    consent: ConsentEvent | None
    ever_decided: bool
    grant: Grant | None


def history(events: Iterable[ConsentEvent], processing: Processing, at: datetime) -> list[ConsentEvent]:
    """What concerns that processing and was collected by that instant, oldest first."""
    concerned = (event for event in events if event.collected_at <= at and event.concerns(processing.id))
    return sorted(concerned, key=lambda event: event.rank)


def since_closure(past: Sequence[ConsentEvent]) -> Sequence[ConsentEvent]:
    """The part of a history after its last closure: the next holder of the address starts with nothing."""
    closures = (index for index, event in enumerate(past) if event.kind is EventKind.CLOSED)
    return past[max(closures, default=-1) + 1 :]


def ages_stated(events: Iterable[ConsentEvent], at: datetime) -> list[ConsentEvent]:
    """The events that state an age of the person, on any processing, since the account was closed, oldest first."""
    known = sorted((event for event in events if event.collected_at <= at), key=lambda event: event.rank)
    closures = (index for index, event in enumerate(known) if event.kind is EventKind.CLOSED and not event.processing)
    return [event for event in known[max(closures, default=-1) + 1 :] if event.collection.age_band is not None]


def age_known(events: Iterable[ConsentEvent], at: datetime) -> AgeBand | None:
    """The age band last stated of a person by an instant; None when nobody stated one."""
    stated = ages_stated(events, at)
    return stated[-1].collection.age_band if stated else None


def makes_younger(band: AgeBand | None, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Whether an age stated at an instant is younger than the one known by then, unknown being adult.

    Consents given before may then not count any more (rule 14).
    """
    return band is not None and _AGES.index(band) < _AGES.index(age_known(events, at) or AgeBand.ADULT)


def makes_older(band: AgeBand | None, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Whether an age stated at an instant is older than the one known by then, or the first and no child's.

    Consents given before may then count that did not (rule 14).
    """
    if band is None or band is AgeBand.UNDER_15:
        return False
    known = age_known(events, at)
    return known is None or _AGES.index(band) > _AGES.index(known)


def stays_as_young(band: AgeBand | None, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Whether an age stated at an instant is a minor's, and nobody younger is known by then."""
    if band is None or band is AgeBand.ADULT:
        return False
    return _AGES.index(band) <= _AGES.index(age_known(events, at) or AgeBand.ADULT)


def counts(event: ConsentEvent, processing: Processing, at: datetime) -> bool:
    """Whether a decision counts yet: a grant only once its version is in force, everything else at once."""
    if event.kind is not EventKind.GRANTED:
        return event.kind in DECISIONS
    version = processing.version(event.version or 0)
    return version is not None and version.in_force_at(at)


def fold(events: Sequence[ConsentEvent], processing: Processing, at: datetime) -> Standing:
    """Fold all of a person's events, those about other processings too, into where they stand on one."""
    past = history(events, processing, at)
    live = since_closure(past)
    counting = [event for event in live if counts(event, processing, at)]
    latest = _latest(counting, processing, at)
    granted = latest is not None and latest.kind is EventKind.GRANTED
    ended = next((event for event in reversed(counting) if event.kind is not EventKind.WITHDRAWN), None)
    return Standing(
        latest=latest,
        consent=latest if granted else ended,
        ever_decided=any(event.kind in DECISIONS for event in live),
        grant=grant_of(latest, live, ages_stated(events, at)) if latest is not None and granted else None,
    )


def _latest(counting: Sequence[ConsentEvent], processing: Processing, at: datetime) -> ConsentEvent | None:
    """The decision that counts: the last one, but a grant to an older version does not displace one still good.

    Among the grants since the last refusal, withdrawal or closure, the latest that is not superseded counts, else the
    latest: renewing the present version does not displace the consent already given to the next one.
    """
    for event in reversed(counting):
        if event.kind is not EventKind.GRANTED:
            break
        if not processing.superseded(event.version or 0, at):
            return event
    return counting[-1] if counting else None
