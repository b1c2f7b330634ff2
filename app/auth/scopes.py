"""What a caller may be allowed to do: an alphabetical enum, `resource:action`."""

from enum import StrEnum


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
