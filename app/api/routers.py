"""Every router of the API, in the order of its parts on the page at /docs."""

from typing import Final

from app.api import audit, callers, openapi, proof, staff
from app.api.consents import batches, imports, renewals, subjects
from app.api.consents import links as consent_links
from app.api.consents import routes as consents
from app.api.decisions import explanations, routes, searches
from app.api.decisions import tokens as decision_tokens
from app.api.register import controllers, invalidations, proposals
from app.api.register import routes as register
from app.api.service import health, restores
from app.api.webhooks import routes as webhooks

ROUTERS: Final = tuple(
    part.router
    for part in (
        routes,
        searches,
        register,
        invalidations,
        controllers,
        proposals,
        consents,
        batches,
        imports,
        subjects,
        consent_links,
        renewals,
        proof,
        explanations,
        audit,
        webhooks,
        staff,
        callers,
        decision_tokens,
        restores,
        health,
        openapi,
    )
)
