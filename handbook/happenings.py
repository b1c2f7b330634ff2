"""docs/reference/events.md: what others are told of, and what the ledger holds."""

from collections.abc import Mapping
from typing import Final

from app.core.consent import EventKind
from app.events.outbox import ClosureCause, EventType
from handbook.lists import listing, page

INTRODUCTION: Final = """
Events are CloudEvents 1.0: webhooks get them, and `GET /v1/events` hands them out ([receiving
events](../webhooks.md)). An event carries `"effects": ["stop", "erase_derived_data"]` exactly where what a consent
permitted is permitted no more: stop, and erase what was derived.
"""
TOLD: Final[Mapping[EventType, str]] = {
    EventType.GRANTED: "A grant was recorded: `state` is the consent's then, `in_force` where it counts.",
    EventType.REFUSED: "The person refused; `state` is the refusal's then.",
    EventType.WITHDRAWN: "The person withdrew.",
    EventType.REPLACED: "A refusal came after it, or a grant that permits less or does not count.",
    EventType.RENEWAL_DUE: "A consent will lapse soon: `notice` says how long before, `expires_at` when.",
    EventType.CONFIRMATION_DUE: "A joint consent stands, and its person is a child no more: have them confirm it.",
    EventType.RENEWAL_DECLINED: "A consent stands, and its person does not want to be asked again.",
    EventType.EXPIRED: "It has lapsed.",
    EventType.SUPERSEDED: "A material version of the processing came into force.",
    EventType.CLOSED: "The account or the processing ended; `cause` says which.",
    EventType.INVALIDATED: "Its version or text was invalidated, or a later age or no makes it invalid.",
    EventType.ERASED: "The person's identifier is gone.",
    EventType.NAME_REMOVED: "`subject` is no name of its person any more: stop for it. The consent stands.",
}
_ENDING: Final = {
    EventType.WITHDRAWN,
    EventType.REPLACED,
    EventType.CLOSED,
    EventType.ERASED,
    EventType.EXPIRED,
    EventType.SUPERSEDED,
    EventType.INVALIDATED,
}
CAUSES: Final[Mapping[ClosureCause, str]] = {
    ClosureCause.ACCOUNT_CLOSED: "The user left.",
    ClosureCause.PROCESSING_RETIRED: "The operator gave up the processing; the user did nothing.",
}
HELD: Final[Mapping[EventKind, str]] = {
    EventKind.GRANTED: "The person consented to one processing.",
    EventKind.REFUSED: "The person refused one processing.",
    EventKind.WITHDRAWN: "The person withdrew from one processing, or from all.",
    EventKind.CLOSED: "The account was closed, or the processing was retired.",
    EventKind.EXPIRED: "The sweep noted that a consent lapsed. It decides nothing.",
    EventKind.SUPERSEDED: "The sweep noted that a material version ended a consent. It decides nothing.",
    EventKind.ERASED: "The person's identifier was erased from the vault.",
    EventKind.AGE_STATED: "The operator stated the person's age band.",
    EventKind.RENEWAL_DECLINED: "The person does not want to be asked to renew.",
}
_CAUSES: Final = "## Why a consent was closed (`cause`)\n"
_HELD: Final = "## What the ledger holds\n\nThe kinds of entries about a person. They are only ever appended.\n"


def events_page() -> str:
    """The whole page."""
    types = ((each.value, "end" if each in _ENDING else "", TOLD[each]) for each in EventType)
    causes = ((each.value, "", CAUSES[each]) for each in ClosureCause)
    kinds = ((each.value, "", HELD[each]) for each in EventKind)
    return page(
        "Events",
        INTRODUCTION,
        listing(types),
        _CAUSES,
        listing(causes),
        _HELD,
        listing(kinds),
    )
