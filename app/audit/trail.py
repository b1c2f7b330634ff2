"""The trail of administrative acts: append-only, each entry written in the transaction of the act itself.

The application role may INSERT and SELECT; triggers refuse everything else, even to the owner. Record an act as the
last step of its operation: an entry with `once` waits for other transactions that write the same entry, and must not
hold them up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Self
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.audit.store import administrative_act
from app.db.session import ReadSession, WriteSession, record_of, uuid7
from app.telemetry.spans import current_origin


# Administrative acts: what can be done, on what, and which small details of it are kept. Values only; no SQL. Nothing
# here may hold an identifier of a person, a key, a URL or free text: only our own ids, pseudonyms, words of enums,
# numbers and times. The database itself writes two acts in SQL: a day of the decision log that is dropped, and limits
# that the owner changes.
class ActKind(StrEnum):
    """One kind of administrative act: `thing.what_was_done`. A word never changes its meaning."""

    details: frozenset[str]
    """The details that it may carry; behind its word."""

    def __new__(cls, word: str, *details: str) -> Self:
        """Make a kind whose value is the word alone."""
        kind = str.__new__(cls, word)
        kind._value_ = word
        kind.details = frozenset(details)
        return kind

    AUDIT_TRAIL_SEARCHED = "audit_trail.searched", "filters"
    BUNDLE_MADE = "bundle.made", "since", "until", "processing"
    CALLER_CHANGED = "caller.changed", "changed", "scopes_before", "scopes", "processings_before", "processings"
    CALLER_MADE = "caller.made", "known_by", "kind", "scopes", "processings", "expires_at"
    CALLER_REVOKED = "caller.revoked"
    CONSENT_HISTORY_READ = "consent.history_read", "processing"
    CONSENT_LINKS_MADE = "consent_links.made"
    CONSENTS_IMPORTED = "consents.imported"
    CONSOLE_SIGNED_IN = "console.signed_in"
    CONTROLLER_REGISTERED = "controller.registered", "kind"
    CONTROLLER_VERSIONED = "controller.versioned", "version"
    DECISION_EXPLAINED = "decision.explained", "at", "known_at"
    DECISION_LOG_DROPPED = "decision_log.dropped", "day", "rows", "role"
    DEPLOYMENT_RESTORED = "deployment.restored", "rows", "entries"
    DECISIONS_SEARCHED = "decisions.searched", "filters"
    KEY_REVOKED = "key.revoked", "key"
    KEY_ROTATED = "key.rotated", "key", "overlap_seconds", "expires_at"
    MAILBOX_SHARED = "mailbox.shared", "ended"
    MAILBOX_UNSHARED = "mailbox.unshared"
    OWNER_LIMITS_CHANGED = (
        "owner_limits.changed",
        "log_floor_days_before",
        "log_floor_days",
        "clock_tolerance_before",
        "clock_tolerance",
    )
    PROCESSING_APPROVED = "processing.approved", "version"
    PROCESSING_INVALIDATED = "processing.invalidated", "invalidation", "version"
    PROCESSING_PROPOSED = "processing.proposed", "version"
    PROCESSING_REGISTERED = "processing.registered", "version", "purpose"
    PROCESSING_REJECTED = "processing.rejected", "version"
    PROCESSING_RESUMED = "processing.resumed"
    PROCESSING_RETIRED = "processing.retired"
    PROCESSING_SUSPENDED = "processing.suspended"
    PROCESSING_VERSIONED = "processing.versioned", "version", "material", "effective_from"
    PROPOSAL_APPROVED = "proposal.approved", "kind"
    PROPOSAL_REJECTED = "proposal.rejected", "kind"
    PROJECTION_REPAIRED = "projection.repaired", "consents"
    RENEWAL_SUBJECTS_READ = "renewals.subjects_read", "found"
    REQUEST_REFUSED = "request.refused", "route", "method", "problem"
    RESTORE_ACCEPTED = "restore.accepted", "epoch", "replayed", "by_hand"
    RETENTION_HELD = "retention.held", "hold", "processing", "of_a_person"
    RETENTION_RELEASED = "retention.released", "hold"
    RETENTION_RUN = "retention.run", "consents", "refusals", "events"
    RETENTION_SIGNED = "retention.signed", "kind", "period_before", "period", "signed"
    SCHEMA_MIGRATED = "schema.migrated", "before", "after"
    SIGNING_KEY_ROTATED = "signing_key.rotated", "purpose", "at_once"
    STAFF_ACKNOWLEDGED = "staff.acknowledged", "notice", "language", "way"
    STAFF_MEMBER_CHANGED = "staff_member.changed", "status"
    STAFF_MEMBER_ERASED = "staff_member.erased"
    STAFF_MEMBER_REGISTERED = "staff_member.registered"
    STAFF_NOTICE_PUBLISHED = "staff_notice.published", "languages"
    STAFF_PAGE_SIGNED_IN = "staff_page.signed_in"
    SUBJECT_CLOSED = "subject.closed", "ended"
    SUBJECT_ERASED = "subject.erased", "ended"
    SUBJECT_EXPORTED = "subject.exported"
    SUBJECT_READ = "subject.read"
    SUBJECTS_LINKED = "subjects.linked", "basis", "ended"
    SUBJECTS_SEARCHED = "subjects.searched", "found"
    SUBJECTS_UNLINKED = "subjects.unlinked"
    WEBHOOK_CHANGED = "webhook.changed", "changed", "status", "dropped"
    WEBHOOK_MADE = "webhook.made", "include_subject", "processings"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_REPLAYED = "webhook.replayed", "event", "queued", "since", "until"
    WEBHOOK_SECRET_MADE = "webhook.secret_made", "secret"


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
    """The target of an act: a thing by its id, a subject by its pseudonym (32 bytes), both, or neither."""

    thing: TargetKind | None = None
    id: str | None = None
    subject_ref: bytes | None = None


NOTHING: Final = Target()

Detail = str | int | bool | Sequence[str] | None


class UnknownDetailError(Exception):
    """An act was to be recorded with a detail that it may not carry."""


def checked(act: ActKind, detail: Mapping[str, Detail]) -> dict[str, Detail]:
    """Return the details except those that are None, if the act may carry them.

    Raises:
        UnknownDetailError: the act may not carry one of them.

    """
    if unknown := detail.keys() - act.details:
        raise UnknownDetailError(f"{act.value} carries no {', '.join(sorted(unknown))}")
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in detail.items()
        if value is not None
    }


@dataclass(frozen=True, slots=True)
class Entry:
    """One act as recorded, in the words as stored: a newer version of this code may have stored words unknown here.

    `caller` is None for an operator's command and for the service itself, which are not callers of the API.
    """

    id: UUID
    at: datetime
    act: str
    way: str
    caller: UUID | None
    request_id: str | None
    thing: str | None
    thing_id: str | None
    subject_ref: bytes | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TrailQuery:
    """The filters of a search; None matches every entry. `since` is included, `until` is not.

    `within`: only acts on these processings, and acts by `caller_within`.
    """

    acts: Sequence[ActKind] | None = None
    caller: UUID | None = None
    target: Target = NOTHING
    since: datetime | None = None
    until: datetime | None = None
    within: tuple[str, ...] | None = None
    caller_within: UUID | None = None


async def record_act(
    session: WriteSession,
    act: ActKind,
    by: UUID | None,
    target: Target = NOTHING,
    detail: Mapping[str, Detail] | None = None,
    *,
    once: str | None = None,
) -> None:
    """Record an act in its own transaction: both are committed, or neither.

    Args:
        session: the transaction of the act.
        act: what was done.
        by: the caller's id; None for an operator's command, and for what the service does at its start.
        target: what it was done to.
        detail: what `ActKind.details` allows; None members are left out.
        once: a key, which includes a day or an hour: if an entry with it exists, the act is not recorded again.

    Raises:
        UnknownDetailError: the act may not carry one of the details.

    """
    now = await session.instant()
    origin = current_origin()
    statement = insert(administrative_act).values(
        id=uuid7(now),
        at=now,
        act=act.value,
        way=origin.way.value,
        caller=by,
        request_id=origin.request_id,
        thing=target.thing.value if target.thing is not None else None,
        thing_id=target.id,
        subject_ref=target.subject_ref,
        detail=checked(act, detail or {}),
        once=sha256(f"{act.value} {by} {once}".encode()).digest() if once is not None else None,
    )
    await session.execute(statement.on_conflict_do_nothing() if once is not None else statement)


async def search_trail(session: ReadSession, query: TrailQuery, *, before: UUID | None, limit: int) -> list[Entry]:
    """Return the next entries that match, newest first: ids of version 7 sort by time."""
    table = administrative_act.c
    statement = select(administrative_act).order_by(table.id.desc()).limit(limit)
    if query.acts is not None:
        statement = statement.where(table.act.in_([act.value for act in query.acts]))
    if query.since is not None:
        statement = statement.where(table.at >= query.since)
    if query.until is not None:
        statement = statement.where(table.at < query.until)
    if query.within is not None:
        of_those = and_(table.thing == TargetKind.PROCESSING.value, table.thing_id.in_(query.within))
        statement = statement.where(or_(of_those, table.caller == query.caller_within))
    target = query.target
    equal: dict[Any, object | None] = {
        table.caller: query.caller,
        table.thing: target.thing.value if target.thing is not None else None,
        table.thing_id: target.id,
        table.subject_ref: target.subject_ref,
    }
    statement = statement.where(*(column == value for column, value in equal.items() if value is not None))
    if before is not None:
        statement = statement.where(table.id < before)
    return [record_of(Entry, row) for row in await session.execute(statement)]


_PAGE: Final = 500


async def every_act(session: ReadSession, query: TrailQuery) -> list[Entry]:
    """Return all entries that match, oldest first."""
    acts: list[Entry] = []
    before = None
    while page := await search_trail(session, query, before=before, limit=_PAGE):
        acts += page
        before = page[-1].id
    return acts[::-1]


# A caller that is refused an administrative act is recorded once an hour for each caller, route and problem. Only
# callers with a key in force come this far, so no stranger can write here, and a caller that keeps trying does not fill
# an append-only table. The metrics count every refusal.


async def record_refusal(session: WriteSession, caller: UUID, method: str, route: str, problem: str) -> None:
    """Record a refusal.

    Args:
        session: a separate transaction, because what was refused left none.
        caller: the caller that was refused.
        method: the HTTP method.
        route: the template of the route, never the path that was sent.
        problem: the word of the problem document.

    """
    detail = {"route": route, "method": method, "problem": problem}
    now = await session.now()
    once = f"{now:%Y-%m-%dT%H} {method} {route} {problem}"
    await record_act(session, ActKind.REQUEST_REFUSED, caller, detail=detail, once=once)
