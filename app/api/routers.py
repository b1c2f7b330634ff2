"""Every router of the API, in the order of its parts on the page at /docs."""

from typing import Final

from app.api import (
    access,
    audit_trail,
    consent_links,
    consents,
    decision_tokens,
    decisions,
    docs,
    events,
    explanations,
    health,
    keys,
    processings,
    renewals,
    searches,
    staff,
    webhooks,
)

ROUTERS: Final = tuple(
    part.router
    for part in (
        access,
        searches,
        processings,
        consents,
        consent_links,
        renewals,
        explanations,
        decisions,
        audit_trail,
        events,
        webhooks,
        staff,
        keys,
        decision_tokens,
        health,
        docs,
    )
)
