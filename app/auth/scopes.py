"""What a caller may be allowed to do: an alphabetical enum, `resource:action`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """One permission of a caller."""

    AUDIT_READ = "audit:read"
    CONSENTS_IMPORT = "consents:import"
    CONSENTS_READ = "consents:read"
    CONSENTS_WRITE = "consents:write"
    DECISIONS_EVALUATE = "decisions:evaluate"
    DECISIONS_SEARCH = "decisions:search"
    DEPLOYMENT_RECOVER = "deployment:recover"
    EVENTS_ACKNOWLEDGE = "events:acknowledge"
    KEYS_MANAGE = "keys:manage"
    REGISTER_APPROVE = "register:approve"
    REGISTER_READ = "register:read"
    REGISTER_WRITE = "register:write"
    STAFF_WRITE = "staff:write"
    SUBJECTS_ERASE = "subjects:erase"
    SUBJECTS_READ = "subjects:read"
    WEBHOOKS_MANAGE = "webhooks:manage"


SCOPE_TOLD: Final[Mapping[Scope, str]] = {
    Scope.AUDIT_READ: "Read the decision log, explanations, the audit trail, job runs and the dashboard.",
    Scope.CONSENTS_IMPORT: "Import what an older system recorded, each row at its own date.",
    Scope.CONSENTS_READ: "Read consents, their proof, the feed of events, and what is held about a person.",
    Scope.CONSENTS_WRITE: "Record consents, refusals, withdrawals and closures, and make links to the page.",
    Scope.DECISIONS_EVALUATE: "Ask whether a processing may analyse a correspondence: all that mail servers need.",
    Scope.DECISIONS_SEARCH: "List the users that a processing may analyse for, or the processings of a user.",
    Scope.DEPLOYMENT_RECOVER: "Say that a restored database has been dealt with, so that it answers again.",
    Scope.EVENTS_ACKNOWLEDGE: "Acknowledge that an analysis was stopped, or that derived data were erased.",
    Scope.KEYS_MANAGE: "Make, change, rotate and revoke callers and their keys.",
    Scope.REGISTER_APPROVE: "Approve or reject what another person proposed for the register.",
    Scope.REGISTER_READ: "Read the register: processings, their versions, controllers.",
    Scope.REGISTER_WRITE: "Register processings and controllers, add versions, suspend and retire.",
    Scope.STAFF_WRITE: "Publish the staff notice (L32-3, V), and note members and acknowledgements.",
    Scope.SUBJECTS_ERASE: "Erase a person's identifier from the vault.",
    Scope.SUBJECTS_READ: "Have the ids of persons in the list of renewals, to know whom to remind.",
    Scope.WEBHOOKS_MANAGE: "Make, change and remove webhooks, see their deliveries, and send events again.",
}
"""Each scope in one sentence, for the API page and docs/reference/scopes.md."""
