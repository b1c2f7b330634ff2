"""List consents by subject, processing, state and expiry, each with its state as a decision would see it now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.consent import EventKind, State
from app.core.errors import NotFoundError
from app.core.fold import CONSENTS
from app.core.period import PeriodPolicy
from app.db.session import ReadSession, WriteSession
from app.ledger.identifiers import names_of
from app.ledger.locators import find_ref
from app.ledger.projection import LedgerEntry, list_consents
from app.ledger.store import find_entry, load_entries, load_events
from app.operations.consents.recorder import ConsentView, is_known, view_of
from app.operations.service.deployment import Deployment, SubjectName, ref_of
from app.register.records import standing_now
from app.register.store import load_processings


async def whose_consent(
    session: WriteSession, deployment: Deployment, caller: Caller, identifier: UUID
) -> tuple[SubjectName, tuple[str, ...]]:
    """Return the user of a consent and its processing, for use in this process alone: no answer names the user.

    Raises:
        NotFoundError: there is no such consent, the caller may not name its processing, or its user left.

    """
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in CONSENTS:
        raise NotFoundError("No such consent.", field="consent")
    processing = entry.event.processing or ""
    names = await names_of(session, entry.subject_ref)
    if not names or not caller.may_ask_about(processing):
        raise NotFoundError("No such consent.", field="consent")
    name = SubjectName(names[0].type, deployment.vault.open(names[0].sealed))
    # The holder of the address since the account was closed is another person.
    if await find_ref(session, deployment.pseudonyms.found_by(name.type, name.id)) != entry.subject_ref:
        raise NotFoundError("No such consent.", field="consent")
    return name, (processing,)


_SCANNED_AT_MOST = 2_000
_BATCH = 500


@dataclass(frozen=True, slots=True)
class ConsentQuery:
    """What is searched for; None does not filter."""

    subject: SubjectName | None = None
    processings: tuple[str, ...] | None = None
    state: State | None = None
    expires_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """Some consents, and where the next page begins; None when there is none.

    `known`: whether anything is recorded of the searched subject about those processings; None without a subject.
    """

    items: Sequence[ConsentView]
    next_after: UUID | None
    known: bool | None = None


async def search_consents(
    session: ReadSession, deployment: Deployment, query: ConsentQuery, *, after: UUID | None, limit: int
) -> ConsentPage:
    """Return the next consents that match, oldest recorded first.

    A state is computed, never stored: candidates are read in batches until the page is full or `_SCANNED_AT_MOST` were
    read, so a page may hold fewer than `limit` and still have a next one.
    """
    ref = await ref_of(session, deployment, query.subject) if query.subject is not None else None
    page = await _list(session, deployment, query, ref, after=after, limit=limit)
    if ref is None:
        return page
    events = (await load_events(session, {ref})).get(ref, ())
    return replace(page, known=is_known(events, query.processings))


async def _list(
    session: ReadSession,
    deployment: Deployment,
    query: ConsentQuery,
    ref: bytes | None,
    *,
    after: UUID | None,
    limit: int,
) -> ConsentPage:
    """Return the next page, without `known`."""
    items: list[ConsentView] = []
    scanned, before = 0, query.expires_before
    decision = EventKind.REFUSED if query.state is State.REFUSED else None
    while scanned < _SCANNED_AT_MOST:
        batch = min(_BATCH, limit + 1) if query.state is None and query.expires_before is None else _BATCH
        candidates = await list_consents(session, ref, query.processings, decision, after=after, limit=batch)
        views = await view_consents(session, deployment.policy, [(whose, row.id) for whose, row in candidates])
        for view in views:
            if len(items) == limit:
                return ConsentPage(items, items[-1].event.id if items else after)
            ends_in_time = before is None or (view.expires_at is not None and view.expires_at < before)
            if ends_in_time and query.state in {None, view.state}:
                items.append(view)
            after = view.event.id
        if len(candidates) < batch:
            return ConsentPage(items, None)
        scanned += len(candidates)
    return ConsentPage(items, after)


async def find_consent(session: ReadSession, deployment: Deployment, identifier: UUID) -> ConsentView | None:
    """Return one consent by id; None when no grant or refusal has it."""
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in CONSENTS:
        return None
    return (await view_consents(session, deployment.policy, [(entry.subject_ref, identifier)]))[0]


async def view_consents(
    session: ReadSession, policy: PeriodPolicy, ids: Sequence[tuple[bytes, UUID]]
) -> list[ConsentView]:
    """Return the consents of those ids, in that order, as they stand now: read in two statements."""
    events = await load_events(session, {ref for ref, _ in ids}) if ids else {}
    named = {event.processing for of_one in events.values() for event in of_one if event.processing is not None}
    records = await load_processings(session, named)
    now = await session.now()
    by_id = {(ref, event.id): event for ref, of_one in events.items() for event in of_one}
    shown = [(ref, by_id[ref, identifier]) for ref, identifier in ids]
    standings = {
        (ref, named): standing_now(events[ref], records[named], now, policy)
        for ref, named in {(ref, event.processing or "") for ref, event in shown}
    }
    return [view_of(ref, event, standings[ref, event.processing or ""]) for ref, event in shown]


async def consent_history(session: WriteSession, caller: Caller, identifier: UUID) -> list[LedgerEntry] | None:
    """Return the entries about a consent's subject and processing, in ledger order, and record who looked at them.

    None when there is no such consent, or the caller may not see it.
    """
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in CONSENTS or await read_event(session, caller, identifier) is None:
        return None
    entries = await load_entries(session, entry.subject_ref)
    return [each for each in entries if each.event.concerns(entry.event.processing or "")]


async def read_event(session: WriteSession, caller: Caller, identifier: UUID) -> LedgerEntry | None:
    """Return the entry with that id, and record who looked at it.

    None when there is none, or the caller may not see it: an entry about every processing is shown only to a caller
    that is not limited to some.
    """
    entry = await find_entry(session, identifier)
    if entry is None:
        return None
    processing = entry.event.processing
    if not (caller.processings is None if processing is None else caller.may_ask_about(processing)):
        return None
    target = Target(TargetKind.CONSENT, str(identifier), entry.subject_ref)
    details = {"processing": processing} if processing is not None else {}
    await record_act(session, ActKind.CONSENT_HISTORY_READ, caller.id, target, details)
    return entry
