"""The names of one person: several ids that the operator states to be one person's; Sceau never guesses this.

All of them lead to one ledger. Events recorded under a name before that statement stand in another ledger, which is
closed; its refusals and withdrawals are carried over, and its grants are not.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from app.core.consent import BY_RANK, ConsentEvent, EventKind
from app.core.errors import ConflictError, DomainError

MOST_NAMES: Final = 50
"""How many names one person may have: an id with more is more likely a shared mailbox."""


class NameBasis(StrEnum):
    """How the operator knows that a name is a person's."""

    PROVIDER_ACCOUNT = "provider_account"
    USER_PROVED = "user_proved"


class SameNameError(DomainError):
    """Both are one name: they are written differently, and compared alike."""

    slug = "same-subject"


class TooManyNamesError(ConflictError):
    """A person may have fifty names; the operator may mean a mailbox that several people share."""

    slug = "too-many-names"


class MailboxSharedError(ConflictError):
    """Several people share this mailbox: it has no user who could consent for it, and is no person's name."""

    slug = "mailbox-shared"


NOES: Final = frozenset({EventKind.REFUSED, EventKind.WITHDRAWN})


def carried_over(events: Sequence[ConsentEvent]) -> list[ConsentEvent]:
    """Return the events recorded under a name that stay true of the person: every no and every age, in order.

    The sweep's closure of a single processing takes none of them back.
    """
    ordered = sorted((event for event in events if not event.is_derived), key=BY_RANK)
    closures = (place for place, event in enumerate(ordered, 1) if event.kind is EventKind.CLOSED)
    live = ordered[max(closures, default=0) :]
    return [event for event in live if event.kind in NOES or event.collection.age_band is not None]
