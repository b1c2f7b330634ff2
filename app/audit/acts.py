"""Administrative acts: what can be done, on what, and which small details of it are kept. Values only; no SQL.

Nothing here may hold an identifier of a person, a key, a URL or words that somebody typed: ids of ours, pseudonyms,
words of enums, numbers and times. Two acts are written in SQL by the database itself: a day of the
decision log that is dropped, and limits that the owner changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ActKind(StrEnum):
    """One kind of administrative act: `thing.what_was_done`. A word never changes its meaning."""

    AUDIT_TRAIL_SEARCHED = "audit_trail.searched"
    CALLER_CHANGED = "caller.changed"
    CALLER_MADE = "caller.made"
    CALLER_REVOKED = "caller.revoked"
    CONSENT_HISTORY_READ = "consent.history_read"
    CONSENT_LINKS_MADE = "consent_links.made"
    CONSENTS_IMPORTED = "consents.imported"
    CONTROLLER_REGISTERED = "controller.registered"
    CONTROLLER_VERSIONED = "controller.versioned"
    DASHBOARD_SIGNED_IN = "dashboard.signed_in"
    DECISION_EXPLAINED = "decision.explained"
    DECISION_LOG_DROPPED = "decision_log.dropped"
    DECISIONS_SEARCHED = "decisions.searched"
    IMPORT_APPROVED = "import.approved"
    KEY_REVOKED = "key.revoked"
    KEY_ROTATED = "key.rotated"
    MAILBOX_SHARED = "mailbox.shared"
    MAILBOX_UNSHARED = "mailbox.unshared"
    OWNER_LIMITS_CHANGED = "owner_limits.changed"
    PROCESSING_APPROVED = "processing.approved"
    PROCESSING_INVALIDATED = "processing.invalidated"
    PROCESSING_PROPOSED = "processing.proposed"
    PROCESSING_REGISTERED = "processing.registered"
    PROCESSING_REJECTED = "processing.rejected"
    PROCESSING_RESUMED = "processing.resumed"
    PROCESSING_RETIRED = "processing.retired"
    PROCESSING_SUSPENDED = "processing.suspended"
    PROCESSING_VERSIONED = "processing.versioned"
    PROPOSAL_APPROVED = "proposal.approved"
    PROPOSAL_REJECTED = "proposal.rejected"
    PROJECTION_REPAIRED = "projection.repaired"
    RENEWAL_SUBJECTS_READ = "renewals.subjects_read"
    REQUEST_REFUSED = "request.refused"
    RESTORE_ACCEPTED = "restore.accepted"
    RETENTION_HELD = "retention.held"
    RETENTION_RELEASED = "retention.released"
    RETENTION_RUN = "retention.run"
    RETENTION_SIGNED = "retention.signed"
    SCHEMA_MIGRATED = "schema.migrated"
    SIGNING_KEY_ROTATED = "signing_key.rotated"
    STAFF_ACKNOWLEDGED = "staff.acknowledged"
    STAFF_MEMBER_CHANGED = "staff_member.changed"
    STAFF_MEMBER_ERASED = "staff_member.erased"
    STAFF_MEMBER_REGISTERED = "staff_member.registered"
    STAFF_NOTICE_PUBLISHED = "staff_notice.published"
    STAFF_PAGE_SIGNED_IN = "staff_page.signed_in"
    SUBJECT_CLOSED = "subject.closed"
    SUBJECT_ERASED = "subject.erased"
    SUBJECT_EXPORTED = "subject.exported"
    SUBJECTS_LINKED = "subjects.linked"
    SUBJECTS_SEARCHED = "subjects.searched"
    SUBJECTS_UNLINKED = "subjects.unlinked"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_MADE = "webhook.made"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_REPLAYED = "webhook.replayed"
    WEBHOOK_SECRET_MADE = "webhook.secret_made"  # noqa: S105 - an act, not a secret


class TargetKind(StrEnum):
    """What an act can be done to."""

    CALLER = "caller"
    CONSENT = "consent"
    CONTROLLER = "controller"
    IMPORT = "import"
    PROCESSING = "processing"
    SIGNING_KEY = "signing_key"
    STAFF_MEMBER = "staff_member"
    STAFF_NOTICE = "staff_notice"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Target:
    """What an act was done to: a thing by its id, a subject by its pseudonym (32 bytes), both, or neither."""

    thing: TargetKind | None = None
    id: str | None = None
    subject_ref: bytes | None = None


NOTHING: Final = Target()

Detail = str | int | bool | Sequence[str] | None

DETAILS: Final[Mapping[ActKind, frozenset[str]]] = {
    ActKind.AUDIT_TRAIL_SEARCHED: frozenset({"filters"}),
    ActKind.CALLER_CHANGED: frozenset({"changed", "scopes_before", "scopes", "processings_before", "processings"}),
    ActKind.CALLER_MADE: frozenset({"known_by", "kind", "scopes", "processings", "expires_at"}),
    ActKind.CONSENT_HISTORY_READ: frozenset({"processing"}),
    ActKind.CONTROLLER_REGISTERED: frozenset({"kind"}),
    ActKind.CONTROLLER_VERSIONED: frozenset({"version"}),
    ActKind.DECISION_EXPLAINED: frozenset({"at", "known_at"}),
    ActKind.DECISION_LOG_DROPPED: frozenset({"day", "rows", "is_exact", "role"}),
    ActKind.DECISIONS_SEARCHED: frozenset({"filters"}),
    ActKind.IMPORT_APPROVED: frozenset({"rows"}),
    ActKind.KEY_REVOKED: frozenset({"key"}),
    ActKind.KEY_ROTATED: frozenset({"key", "overlap_seconds", "expires_at"}),
    ActKind.MAILBOX_SHARED: frozenset({"ended"}),
    ActKind.OWNER_LIMITS_CHANGED: frozenset(
        {"log_floor_days_before", "log_floor_days", "clock_tolerance_before", "clock_tolerance"}
    ),
    ActKind.PROCESSING_APPROVED: frozenset({"version"}),
    ActKind.PROCESSING_INVALIDATED: frozenset({"invalidation", "version"}),
    ActKind.PROCESSING_PROPOSED: frozenset({"version"}),
    ActKind.PROCESSING_REGISTERED: frozenset({"version", "purpose"}),
    ActKind.PROCESSING_REJECTED: frozenset({"version"}),
    ActKind.PROCESSING_VERSIONED: frozenset({"version", "material", "effective_from"}),
    ActKind.PROJECTION_REPAIRED: frozenset({"consents"}),
    ActKind.RENEWAL_SUBJECTS_READ: frozenset({"found"}),
    ActKind.REQUEST_REFUSED: frozenset({"route", "method", "problem"}),
    ActKind.PROPOSAL_APPROVED: frozenset({"kind"}),
    ActKind.PROPOSAL_REJECTED: frozenset({"kind"}),
    ActKind.RESTORE_ACCEPTED: frozenset({"epoch", "replayed", "by_hand"}),
    ActKind.RETENTION_HELD: frozenset({"hold", "processing", "of_a_person"}),
    ActKind.RETENTION_RELEASED: frozenset({"hold"}),
    ActKind.RETENTION_RUN: frozenset({"consents", "refusals", "events"}),
    ActKind.RETENTION_SIGNED: frozenset({"kind", "period_before", "period", "signed"}),
    ActKind.SCHEMA_MIGRATED: frozenset({"before", "after"}),
    ActKind.SIGNING_KEY_ROTATED: frozenset({"purpose", "at_once"}),
    ActKind.STAFF_ACKNOWLEDGED: frozenset({"notice", "language", "way"}),
    ActKind.STAFF_MEMBER_CHANGED: frozenset({"status"}),
    ActKind.STAFF_NOTICE_PUBLISHED: frozenset({"languages"}),
    ActKind.SUBJECT_CLOSED: frozenset({"ended"}),
    ActKind.SUBJECT_ERASED: frozenset({"ended"}),
    ActKind.SUBJECTS_LINKED: frozenset({"basis", "ended"}),
    ActKind.SUBJECTS_SEARCHED: frozenset({"found"}),
    ActKind.WEBHOOK_CHANGED: frozenset({"changed", "status", "dropped"}),
    ActKind.WEBHOOK_MADE: frozenset({"include_subject", "processings"}),
    ActKind.WEBHOOK_REPLAYED: frozenset({"event", "queued", "since", "until"}),
    ActKind.WEBHOOK_SECRET_MADE: frozenset({"secret"}),
}
"""Which details an act may carry; one that is not listed carries none."""


class UnknownDetailError(Exception):
    """An act was to be recorded with a detail that it may not carry."""


def checked(act: ActKind, detail: Mapping[str, Detail]) -> dict[str, Detail]:
    """The details that are there (None is left out), if the act may carry them.

    Raises:
        UnknownDetailError: it may not.

    """
    if not detail.keys() <= DETAILS.get(act, frozenset()):
        raise UnknownDetailError(f"{act.value} carries no {', '.join(sorted(detail.keys() - DETAILS.get(act, set())))}")
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in detail.items()
        if value is not None
    }
