"""The types of domain event, as CloudEvents `type`: reverse domain name, what it is about, what happened."""

from enum import StrEnum


class EventType(StrEnum):
    """What others can be told; a receiver ignores the types that it does not know."""

    GRANTED = "fr.sceau.consent.granted"
    REFUSED = "fr.sceau.consent.refused"
    WITHDRAWN = "fr.sceau.consent.withdrawn"
    RENEWAL_DUE = "fr.sceau.consent.renewal_due"
    CONFIRMATION_DUE = "fr.sceau.consent.confirmation_due"
    RENEWAL_DECLINED = "fr.sceau.consent.renewal_declined"
    EXPIRED = "fr.sceau.consent.expired"
    SUPERSEDED = "fr.sceau.consent.superseded"
    CLOSED = "fr.sceau.consent.closed"
    INVALIDATED = "fr.sceau.consent.invalidated"
    ERASED = "fr.sceau.consent.erased"


class ClosureCause(StrEnum):
    """What `closed` tells of: the user left, or the operator gave up the processing."""

    ACCOUNT_CLOSED = "account_closed"
    PROCESSING_RETIRED = "processing_retired"
