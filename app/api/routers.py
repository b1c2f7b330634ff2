"""Every router of the API, in the order of its parts on the page at /docs."""

from typing import Final

from app.api import (
    audit_trail,
    consent_links,
    consents,
    decision_log,
    decision_tokens,
    docs,
    events,
    health,
    keys,
    processings,
    renewals,
    staff,
    webhooks,
)
from app.api.decisions import explanations, routes, searches

ROUTERS: Final = tuple(
    part.router
    for part in (
        routes,
        searches,
        processings,
        consents,
        consent_links,
        renewals,
        explanations,
        decision_log,
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
