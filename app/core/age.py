"""A person's age as far as consent goes (LIL art. 45): what is known at an instant, and what counts for a grant.

Age is a fact of the person, stated on any processing or on none, and each statement has a weight. Who is younger than
was known is believed at once. Who is older is believed only where the statement weighs at least as much as the heaviest
of those that it contradicts. Closing the account forgets all of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.core.article import paris_midnight
from app.core.consent import AgeBand, Collection, ConsentEvent, EventKind

_OLDNESS: Final = {band: place for place, band in enumerate(reversed(AgeBand))}


@dataclass(frozen=True, slots=True)
class AgeAtGrant:
    """The age that counts for a grant; `band` None is unknown. `stated`: whether anybody had stated one by then."""

    band: AgeBand | None
    stated: bool


def ages_stated(events: Iterable[ConsentEvent], at: datetime) -> list[ConsentEvent]:
    """The events that state an age of the person, on any processing, since the account was closed, oldest first."""
    known = sorted((event for event in events if event.collected_at <= at), key=lambda event: event.rank)
    closures = (index for index, event in enumerate(known) if event.kind is EventKind.CLOSED and not event.processing)
    return [event for event in known[max(closures, default=-1) + 1 :] if event.collection.age_band is not None]


def _reading(statement: Collection, at: datetime) -> AgeBand | None:
    """The band that a statement says at an instant."""
    until = statement.under_15_until
    if statement.age_band is AgeBand.UNDER_15 and until is not None and at >= paris_midnight(until):
        return AgeBand.MINOR_15_PLUS
    return statement.age_band


def _known(statements: Iterable[Collection], at: datetime) -> AgeBand | None:
    """The band that statements, oldest first, amount to at an instant; None where there is none."""
    known: AgeBand | None = None
    heaviest = dict.fromkeys(AgeBand, 0)
    for statement in statements:
        band = _reading(statement, at)
        if band is None:
            continue
        older = known is not None and _OLDNESS[band] > _OLDNESS[known]
        if known is None or not older or statement.age_weight >= heaviest[known]:
            known = band
        heaviest[band] = max(heaviest[band], statement.age_weight)
    return known


def age_known(events: Iterable[ConsentEvent], at: datetime) -> AgeBand | None:
    """The age band known of a person at an instant; None when nobody stated one."""
    return _known([event.collection for event in ages_stated(events, at)], at)


def makes_younger(said: Collection, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Whether an age stated at an instant makes a person younger than was known, unknown being adult.

    Consents given before may then not count any more (rule 14).
    """
    known = [event.collection for event in ages_stated(events, at)]
    before, after = _known(known, at) or AgeBand.ADULT, _known([*known, said], at) or AgeBand.ADULT
    return _OLDNESS[after] < _OLDNESS[before]


def makes_older(said: Collection, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Whether an age stated at an instant makes a person older than was known, or is the first and no child's.

    Grants given from then on may count that would not have (rule 14).
    """
    known = [event.collection for event in ages_stated(events, at)]
    before, after = _known(known, at), _known([*known, said], at)
    if before is None:
        return after not in {None, AgeBand.UNDER_15}
    return after is not None and _OLDNESS[after] > _OLDNESS[before]


def age_for(grant: ConsentEvent, ages: Sequence[ConsentEvent]) -> AgeAtGrant:
    """The age that counts for a grant: what stood when it was given, and whatever younger was stated since.

    What is stated later, or recorded after the grant whatever date it bears, never makes the person older at the grant.
    All is read at the instant of the grant: who was said later to be under 15 until a day was under 15 before it.

    Args:
        grant: the granted event, whose own statement counts.
        ages: the events that state an age (`ages_stated`), oldest first.

    """
    at = grant.collected_at
    before = [each for each in ages if each.rank <= grant.rank and each.order <= grant.order]
    stood = _known([each.collection for each in before], at)
    since = (each for each in ages if each.rank > grant.rank or each.order > grant.order)
    bands = [_reading(each.collection, at) for each in since]
    youngest = min((band for band in bands if band is not None), key=_OLDNESS.__getitem__, default=AgeBand.ADULT)
    band = youngest if _OLDNESS[youngest] < _OLDNESS[stood or AgeBand.ADULT] else stood
    return AgeAtGrant(band, stated=stood is not None)
