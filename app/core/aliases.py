"""What a decision under one name of a person means for the others: a refusal or a withdrawal follows, a grant never.

The operator states which names are one person's (`provider_account`, `user_proved`); likeness of names says nothing.
Nor does it say which name is a mailbox that several people share: the operator states who these holders are, and rule
18 wants the consent of each, under a name of their own, besides that under the mailbox's.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.core.age import age_known, ages_stated, makes_younger
from app.core.consent import AgeBand, ConsentEvent, EventKind
from app.core.errors import DomainError
from app.core.fold import since_closure

FOLLOWED: Final = frozenset({EventKind.WITHDRAWN, EventKind.REFUSED, EventKind.CLOSED})
"""What is recorded under every name of a person once it is recorded under one."""
MOST_NAMES: Final = 50
"""How many names one person may have: each is written to, in one transaction, when one of them withdraws."""


class AliasBasis(StrEnum):
    """How the operator knows that two names are one person's."""

    PROVIDER_ACCOUNT = "provider_account"
    USER_PROVED = "user_proved"


class SameSubjectError(DomainError):
    """Both names lead to one account already."""

    slug = "same-subject"


class TooManyNamesError(DomainError):
    """A person may have fifty names; the operator may mean a mailbox that several people share."""

    slug = "too-many-names"


MOST_HOLDERS: Final = 50
"""How many holders a shared mailbox may have: what each has said is read with it."""


class HolderIsMailboxError(DomainError):
    """A holder is a person: a shared mailbox cannot be a holder, nor can a holder's own name be said to be shared."""

    slug = "holder-is-mailbox"


class HoldersDifferError(DomainError):
    """One of these names is a mailbox that several people share; first state the same holders under the other name."""

    slug = "holders-differ"


_REFUSALS: Final = frozenset({EventKind.REFUSED, EventKind.WITHDRAWN})


def refusals_to_carry(
    mine: Sequence[ConsentEvent], theirs: Sequence[ConsentEvent]
) -> list[tuple[str | None, datetime]]:
    """The refusals and withdrawals under one name that must be recorded under the other too, each at its own date.

    Of each processing, and of all of them at once (None), the latest: it ends every yes that an earlier one ends. One
    is left out where a no that is as late, and covers as much, stands already. Recorded at its own date, it ends under
    the other name what it would have ended if it had been said there: each yes collected by then, whether that is
    recorded already or arrives later.

    Args:
        mine: the events of the name under which they stand, in any order.
        theirs: those of the other name.

    """
    said, there = _latest_refusals(mine), _latest_refusals(theirs)
    of_all, granted = said.get(None), {event.collected_at for event in theirs if event.kind is EventKind.GRANTED}
    return [
        (processing, at)
        for processing, at in sorted(said.items(), key=lambda each: each[0] or "")
        if not any(
            scope in there and (at < there[scope] or (at == there[scope] and at not in granted))
            for scope in (processing, None)
        )
        and (processing is None or of_all is None or of_all < at)
    ]


def stays_as_young(band: AgeBand | None, events: Sequence[ConsentEvent], at: datetime) -> bool:
    """Whether an age is a minor's, and nobody younger is known by an instant."""
    ages = list(AgeBand)
    known = age_known(events, at) or AgeBand.ADULT
    return band is not None and band is not AgeBand.ADULT and ages.index(band) >= ages.index(known)


def _latest_refusals(events: Sequence[ConsentEvent]) -> dict[str | None, datetime]:
    """When somebody last said no to each processing, and to all at once (None), since their account was closed."""
    # A closure about one processing is the sweep's, of one that is retired, and concerns no other (ADR 15).
    whole = [event for event in events if event.kind is not EventKind.CLOSED or event.processing is None]
    live = since_closure(sorted(whole, key=lambda event: event.rank))
    return {event.processing: event.collected_at for event in live if event.kind in _REFUSALS}


def ages_to_carry(
    mine: Sequence[ConsentEvent], theirs: Sequence[ConsentEvent], at: datetime
) -> list[tuple[AgeBand, datetime]]:
    """The ages known under one name that must be recorded under the other too: age is the person's (LIL art. 45).

    Each at its own date, where the person is younger by it than was known there then; and, at `at`, the age known now
    if it is a minor's and nobody younger is known there: what was made there for an adult must not be used any more.
    """
    known, carried = list(theirs), []
    for event in ages_stated(mine, at):
        band = event.collection.age_band
        if band is not None and makes_younger(event.collection, known, event.collected_at):
            known.append(replace(event, order=1 + max((each.order for each in known), default=0)))
            carried.append((band, event.collected_at))
    now = age_known(mine, at)
    said_now = any(event.collected_at == at and event.collection.age_band is now for event in known)
    if now is not None and stays_as_young(now, known, at) and not said_now:
        carried.append((now, at))
    return carried
