"""The sweep: record of each consent, once, that it is due for renewal, has lapsed, was superseded or closed.

A batch is one transaction. It holds the subjects as every writer of their consents does, reads the clock and their
ledgers under that lock, asks `app.core.renewal` what there is to record, and writes the flag, the ledger event, the
outbox row and its progress. Killed at any point, it has written all of a batch or nothing of it. It skips subjects
that another transaction holds: the next sweep finds them. Decisions do not depend on any of this, and nothing that is
written changes one, so replicas need not be notified.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.trail import NOTHING, ActKind, record_act
from app.auth.callers import Caller, Scope
from app.core.consent import ConsentEvent, EventKind, State
from app.core.consent_link import Situation, latest_decision, situation
from app.core.errors import ConsentNotApplicableError, NothingToRenewError
from app.core.fold import Standing
from app.core.period import PeriodPolicy
from app.core.processing import Status
from app.core.renewal import FlagKind, Renewal, collected_before, examine
from app.db.database import Database
from app.db.session import ReadSession, WriteSession, uuid7
from app.events.outbox import ClosureCause, DomainEvent, put_in_outbox
from app.ledger.identifiers import load_names
from app.ledger.projection import LedgerEntry
from app.ledger.sweep import (
    FlagRecord,
    Held,
    Said,
    StageGroup,
    advance,
    append_said,
    count_due,
    hold_due,
    last_orders,
    list_flags,
    list_groups,
    load_events_about,
    put_flags,
    with_any_due,
)
from app.operations.consents.ledgers import append, open_ledger
from app.operations.consents.search_consents import view_consents
from app.operations.service.deployment import Deployment, SubjectName
from app.register.records import (
    ProcessingRecord,
    present,
    standing_now,
)
from app.register.store import hold_processing, load_processings


async def decline_renewal(
    session: WriteSession,
    deployment: Deployment,
    caller: Caller,
    subject: SubjectName,
    processing: str,
    *,
    evidence: Mapping[str, Any],
) -> tuple[LedgerEntry, UUID]:
    """Append the wish not to renew. It decides nothing: the consent permits until it ends, is withdrawn or refused.

    Args:
        session: the transaction.
        deployment: whose keys find the person.
        caller: who states it.
        subject: the person.
        processing: the processing whose consent is not to be renewed.
        evidence: how that was said (`method`, `link`).

    Returns:
        The entry of the ledger, and the consent that it is about.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        NothingToRenewError: no consent to it holds.

    """
    ledger = await open_ledger(session, deployment, subject, [processing])
    record = ledger.registered(processing)
    if not record.facts.rests_on_consent:
        raise ConsentNotApplicableError(field="processing")
    standing = standing_now(ledger.events, record, ledger.after_everything, deployment.policy)
    at, consent = standing.at, latest_decision(standing)
    if consent is None or situation(consent, standing) is not Situation.HOLDS:
        raise NothingToRenewError(field="processing")
    event = ConsentEvent(
        id=uuid7(at),
        kind=EventKind.RENEWAL_DECLINED,
        processing=processing,
        collected_at=at,
        order=ledger.next_order,
        version=consent.version,
    )
    entry = LedgerEntry(
        subject_ref=ledger.ref,
        event=event,
        recorded_at=at,
        recorded_by=caller.id,
        evidence={**evidence, "consent": str(consent.id)},
    )
    await append(session, ledger, entry)
    data = {"consent": str(consent.id), "processing": processing}
    await put_in_outbox(session, DomainEvent(ledger.ref, EventKind.RENEWAL_DECLINED, at, data))
    return entry, consent.id


# List what the sweep flagged, each with the state of its consent now.


@dataclass(frozen=True, slots=True)
class ListedRenewal:
    """A flag, and the state that a decision would see its consent in now.

    `subject`: the user to be reminded, where that was asked for and the id is still kept.
    """

    flag: FlagRecord
    state: State
    subject: SubjectName | None = None


@dataclass(frozen=True, slots=True)
class RenewalPage:
    """Some flags, and where the next page begins; None when there is none."""

    items: Sequence[ListedRenewal]
    next_after: UUID | None


async def list_renewals(
    session: ReadSession,
    policy: PeriodPolicy,
    *,
    processings: Collection[str] | None,
    kinds: Collection[FlagKind],
    after: UUID | None,
    limit: int,
) -> RenewalPage:
    """Return the next flags on those processings (None: every one), of those kinds, oldest first."""
    named = sorted(await load_processings(session)) if processings is None else sorted(processings)
    flags = await list_flags(session, named, sorted(kinds), after=after, limit=limit + 1)
    shown = flags[:limit]
    views = await view_consents(session, policy, [(flag.subject_ref, flag.consent) for flag in shown])
    items = [ListedRenewal(flag, view.state) for flag, view in zip(shown, views, strict=True)]
    return RenewalPage(items, shown[-1].id if len(flags) > limit else None)


async def name_subjects(
    session: WriteSession, deployment: Deployment, caller: Caller, page: RenewalPage
) -> RenewalPage:
    """Return the same page with the first name that is kept of each user; the audit trail records the reading.

    Raises:
        ScopeMissingError: the caller may not read who users are.

    """
    caller.require(Scope.SUBJECTS_READ)
    refs = {each.flag.subject_ref for each in page.items}
    names = await load_names(session, refs)
    named = [
        replace(listed, subject=SubjectName(kept[0].type, deployment.vault.open(kept[0].sealed)))
        if (kept := names.get(listed.flag.subject_ref)) is not None
        else listed
        for listed in page.items
    ]
    await record_act(session, ActKind.RENEWAL_SUBJECTS_READ, caller.id, NOTHING, {"found": len(names)})
    return replace(page, items=named)


BATCH: Final = 1_000
RUN: Final = timedelta(seconds=50)
_COUNTED_AT_MOST: Final = 1_000_000
_TYPES: Final = {FlagKind.DUE: "renewal_due"}
_EVENTS: Final = {
    FlagKind.EXPIRED: EventKind.EXPIRED,
    FlagKind.SUPERSEDED: EventKind.SUPERSEDED,
    FlagKind.CLOSED: EventKind.CLOSED,
}


@dataclass(slots=True)
class Sweep:
    """What a sweep recorded, by kind, and how many consents may wait for the next one."""

    flagged: Counter[FlagKind] = field(default_factory=Counter)
    backlog: int = 0


async def sweep_renewals(database: Database, renewal: Renewal, *, batch: int = BATCH, run: timedelta = RUN) -> Sweep:
    """Flag what is due now, batch by batch, until there is nothing left or the run is over.

    Args:
        database: each batch is a transaction in it.
        renewal: how this deployment announces renewals.
        batch: consents in a transaction.
        run: for how long new batches begin; what is left then is the backlog.

    Raises:
        DatabaseUnavailableError: the batch under way was not written; those before it were.

    """
    sweep, until = Sweep(), time.monotonic() + run.total_seconds()
    due = await _due(database, renewal)
    for group, _ in due:
        after: Held | None = None
        while time.monotonic() < until:
            async with database.write() as session:
                held = await _batch(session, renewal, group, after, batch, sweep)
            if len(held) < batch:
                break
            after = held[-1]
    if due and time.monotonic() >= until:
        async with database.read() as session:
            sweep.backlog = await count_due(session, due, most=_COUNTED_AT_MOST)
    return sweep


async def _due(database: Database, renewal: Renewal) -> list[tuple[StageGroup, datetime]]:
    """Return the groups in which something may be due, each with the time before which it was collected."""
    async with database.read() as session:
        groups = await list_groups(session)
        records = await load_processings(session, {group.processing for group in groups})
        now = await session.now()
        possible = [
            (group, before)
            for group in groups
            if (record := records.get(group.processing)) is not None
            and (before := _before(record, group, renewal, now)) is not None
        ]
        return await with_any_due(session, possible)


def _before(record: ProcessingRecord, group: StageGroup, renewal: Renewal, now: datetime) -> datetime | None:
    return collected_before(record.facts, group.version, group.stage, renewal, present(now, {}, record))


async def _batch(  # noqa: PLR0917 - one step of a sweep
    session: WriteSession, renewal: Renewal, group: StageGroup, after: Held | None, batch: int, sweep: Sweep
) -> Sequence[Held]:
    """Hold, examine and write the next consents of a group; return those held."""
    record = await hold_processing(session, group.processing)
    before = _before(record, group, renewal, await session.now()) if record is not None else None
    held = await hold_due(session, group, before, after=after, limit=batch) if before is not None else ()
    if record is None or not held:
        return held
    events = await load_events_about(session, {each.subject_ref for each in held}, group.processing)
    now = await session.now()
    standings = {ref: standing_now(of_one, record, now, renewal.policy) for ref, of_one in events.items()}
    at = {ref: standing.at for ref, standing in standings.items()}
    candidates = [*held, *_beside(record, min(at.values()), held, events)]
    flagged, moved = _look(renewal, group.stage, candidates, events, standings)
    flagged = await put_flags(session, group.processing, flagged, now)
    orders = await last_orders(session, {each.consent.subject_ref for each in flagged}) if flagged else {}
    flagged = _with_events(flagged, orders, at, group.processing)
    await append_said(session, group.processing, flagged)
    await put_in_outbox(session, *(_message(group.processing, each, at[each.consent.subject_ref]) for each in flagged))
    await advance(session, moved)
    sweep.flagged.update(each.flag.kind for each in flagged)
    return held


def _look(
    renewal: Renewal,
    stage: int,
    candidates: Sequence[Held],
    events: Mapping[bytes, Sequence[ConsentEvent]],
    standings: Mapping[bytes, Standing],
) -> tuple[list[Said], list[tuple[Held, int]]]:
    """Return what there is to record of each consent as its ledger stands now, and the stage that it moves to."""
    by_id = {(ref, event.id): event for ref, of_one in events.items() for event in of_one}
    flagged: list[Said] = []
    moved: list[tuple[Held, int]] = []
    for candidate in candidates:
        standing, consent = standings[candidate.subject_ref], by_id[candidate.subject_ref, candidate.id]
        examined = examine(consent, standing, stage, renewal)
        if examined.stage is not None:
            moved.append((candidate, examined.stage))
        if examined.flag is not None:
            ends = examined.flag.kind is not FlagKind.DUE and standing.has_permitted(consent)
            flagged.append(Said(candidate, examined.flag, uuid7(standing.at), standing.expiry_of(consent), ends))
    return flagged, moved


def _beside(
    record: ProcessingRecord, at: datetime, held: Sequence[Held], events: Mapping[bytes, Sequence[ConsentEvent]]
) -> list[Held]:
    """Return the subjects' other grants if the processing is retired: a closure ends those too, in this batch.

    A grant ahead of its version stands beside the one in force. The flags have a key, so what was recorded of these
    grants before is not recorded again.
    """
    if record.facts.status_at(at) is not Status.RETIRED:
        return []
    known = {each.id for each in held}
    return [
        Held(ref, event.id, event.collected_at, event.version or 0)
        for ref, of_one in events.items()
        for event in of_one
        if event.kind is EventKind.GRANTED and event.processing == record.id and event.id not in known
    ]


def _with_events(
    flagged: Sequence[Said], orders: Mapping[bytes, int], at: Mapping[bytes, datetime], processing: str
) -> list[Said]:
    """Return the flags, each but a notice with its ledger event, in the next places of its subject's ledger."""
    following = dict(orders)
    complete = []
    for item in flagged:
        kind = _EVENTS.get(item.flag.kind)
        if kind is None:
            complete.append(item)
            continue
        ref = item.consent.subject_ref
        following[ref] += 1
        event = ConsentEvent(item.id, kind, processing, at[ref], following[ref], version=item.consent.version)
        complete.append(replace(item, event=event))
    return complete


def _message(processing: str, item: Said, at: datetime) -> DomainEvent:
    data: dict[str, object] = {"consent": str(item.consent.id), "processing": processing}
    if item.flag.kind is FlagKind.DUE:
        data |= {"notice": f"P{item.flag.notice}D", "expires_at": item.expires_at.isoformat()}
    if item.flag.kind is FlagKind.CLOSED:
        data["cause"] = ClosureCause.PROCESSING_RETIRED
    kind = _TYPES.get(item.flag.kind, item.flag.kind.value)
    return DomainEvent(item.consent.subject_ref, kind, at, data, item.id, ends=item.ends)
