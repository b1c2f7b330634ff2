"""What a decision under one name of a person means for the others: a refusal or a withdrawal follows, a grant never.

The operator states which names are one person's (`provider_account`, `user_proved`); likeness of names says nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.core.consent import DECISIONS, AgeBand, ConsentEvent, EventKind
from app.core.errors import DomainError
from app.core.fold import age_known, makes_younger, since_closure

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


def processings_ended(mine: Sequence[ConsentEvent], theirs: Sequence[ConsentEvent]) -> list[str]:
    """The processings on which a no under one name is later than the yes under the other, which it then ends.

    Args:
        mine: the events of the name under which the no may stand, in ledger order.
        theirs: those of the other name, in ledger order.

    """
    consented = {event.processing for event in theirs if event.kind is EventKind.GRANTED and event.processing}
    return sorted(each for each in consented if _no_is_later(_last_word(mine, each), _last_word(theirs, each)))


def noes_to_carry(mine: Sequence[ConsentEvent], theirs: Sequence[ConsentEvent]) -> list[tuple[str | None, datetime]]:
    """The refusals and withdrawals under one name that must stand under the other too, each with its own date.

    There they end nothing that is recorded (`processings_ended` has that); but a consent that was collected before one
    of them, and arrives later, must not outlive it. A name of None is every processing.
    """
    live = since_closure(sorted(mine, key=lambda event: event.rank))
    carried: list[tuple[str | None, datetime]] = []
    for processing in sorted({event.processing for event in live if event.processing is not None}):
        no, their = _last_word(mine, processing), _last_word(theirs, processing)
        if no is None or no.kind is EventKind.GRANTED:
            continue
        if their is None or (their.kind is not EventKind.GRANTED and their.collected_at < no.collected_at):
            carried.append((processing, no.collected_at))
    of_all = _withdrawn_from_all(live)
    if of_all is not None and not any(event.collected_at <= of_all for event in theirs if event.kind in _SAID):
        carried.append((None, of_all))
    return carried


_SAID: Final = frozenset({EventKind.GRANTED, EventKind.CLOSED})
"""What a withdrawal from everything would end if it stood before it, or what begins the account anew."""


def _withdrawn_from_all(events: Sequence[ConsentEvent]) -> datetime | None:
    """When somebody last withdrew from every processing at once."""
    found = [each.collected_at for each in events if each.processing is None and each.kind is EventKind.WITHDRAWN]
    return max(found, default=None)


def age_to_carry(mine: Sequence[ConsentEvent], theirs: Sequence[ConsentEvent], at: datetime) -> AgeBand | None:
    """The age known under one name, if the person is younger by it than under the other: age is the person's."""
    band = age_known(mine, at)
    return band if makes_younger(band, theirs, at) else None


def _last_word(events: Sequence[ConsentEvent], processing: str) -> ConsentEvent | None:
    about = sorted((event for event in events if event.concerns(processing)), key=lambda event: event.rank)
    decisions = [event for event in since_closure(about) if event.kind in DECISIONS]
    return decisions[-1] if decisions else None


def _no_is_later(no: ConsentEvent | None, yes: ConsentEvent | None) -> bool:
    if no is None or yes is None or no.kind is EventKind.GRANTED or yes.kind is not EventKind.GRANTED:
        return False
    return yes.collected_at <= no.collected_at
