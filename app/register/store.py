"""Reads and writes of the register. It holds tens of entries, so readers take whole ones."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Row,
    Select,
    insert,
    literal,
    null,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.article import Element, ProviderKind, Purpose
from app.core.period import ConsentPeriod, Retention
from app.core.processing import Invalidation, PartyMode, ProcessingVersion, Status, StatusChange, can_be_an_id
from app.core.register import ControllerKind, Struck
from app.db.connections import IDENTITY
from app.db.session import Lookup, Prepared, ReadSession, WriteSession, as_columns, record_of
from app.register.records import (
    ControllerRecord,
    ControllerVersion,
    Particulars,
    ProcessingRecord,
    VersionRecord,
    facts_as_json,
    facts_from_json,
)
from app.register.tables import (
    controller,
    controller_version,
    invalidation_told,
    processing,
    processing_invalidation,
    processing_status_change,
    processing_version,
)


async def load_processings(
    session: ReadSession, ids: Collection[str] | None = None, *, known_at: datetime | None = None
) -> dict[str, ProcessingRecord]:
    """Return register entries by id, in their order, with what has been approved; controllers named as registered.

    Args:
        session: where to read.
        ids: which ones; None for all. One that is not registered is left out.
        known_at: only what had been recorded by that instant; None for everything.

    """
    if ids is not None:
        ids = [each for each in ids if can_be_an_id(each)]
        if not ids:
            return {}
    heads = select(processing).order_by(processing.c.id)
    versions = select(processing_version).order_by(processing_version.c.processing, processing_version.c.number)
    changes = changes_made()
    if ids is not None:
        heads = heads.where(processing.c.id.in_(ids))
        versions = versions.where(processing_version.c.processing.in_(ids))
        changes = changes.where(changes.selected_columns.processing.in_(ids))
    if known_at is not None:
        heads = heads.where(processing.c.registered_at <= known_at)
        versions = versions.where(processing_version.c.recorded_at <= known_at)
        changes = changes.where(changes.selected_columns.at <= known_at)
    # Heads first: a processing registered between the statements is then left out whole, never seen without versions.
    rows = (await session.execute(heads)).all()
    known = {row.id for row in rows}
    by_version = defaultdict[str, list[VersionRecord]](list)
    for row in await session.execute(versions):
        if row.processing in known:
            by_version[row.processing].append(version_of(row))
    by_change = defaultdict[str, list[StatusChange | Invalidation]](list)
    for row in await session.execute(changes):
        by_change[row.processing].append(change_of(row))
    return {
        row.id: ProcessingRecord(
            id=row.id,
            controller=row.controller,
            purpose=Purpose(row.purpose),
            registered_at=row.registered_at,
            versions=tuple(by_version[row.id]),
            changes=tuple(by_change[row.id]),
        )
        for row in rows
    }


async def list_ids(session: ReadSession, among: Collection[str] | None, *, after: str, limit: int) -> list[str]:
    """Return the next ids of the register, in its order; `among` these only, None for all."""
    statement = select(processing.c.id).where(processing.c.id > after).order_by(processing.c.id).limit(limit)
    if among is not None:
        statement = statement.where(processing.c.id.in_([each for each in among if can_be_an_id(each)]))
    return list((await session.execute(statement)).scalars())


async def load_processing(session: ReadSession, identifier: str) -> ProcessingRecord | None:
    """Return one register entry, or None."""
    return (await load_processings(session, [identifier])).get(identifier)


async def lock_processing(session: WriteSession, identifier: str) -> ProcessingRecord | None:
    """Return one register entry, locked against other writers until the end of the transaction."""
    if not can_be_an_id(identifier):
        return None
    await session.execute(select(processing.c.id).where(processing.c.id == identifier).with_for_update())
    return await load_processing(session, identifier)


async def hold_processing(session: WriteSession, identifier: str) -> ProcessingRecord | None:
    """Return one register entry, kept as it is until the transaction ends; others may do the same at once."""
    query = select(processing.c.id).where(processing.c.id == identifier)
    await session.execute(query.with_for_update(read=True, key_share=True))
    return await load_processing(session, identifier)


async def add_processing(session: WriteSession, record: ProcessingRecord, *, by: UUID) -> bool:
    """Register a processing with its first versions and status; False when its id is taken."""
    statement = upsert(processing).values(
        id=record.id,
        controller=record.controller,
        purpose=record.purpose.value,
        registered_at=record.registered_at,
        registered_by=by,
    )
    added = await session.execute(statement.on_conflict_do_nothing().returning(processing.c.id))
    if added.first() is None:
        return False
    for version in record.versions:
        await add_version(session, record.id, version, by=by)
    for change in record.status_changes:
        await add_status_change(session, record.id, change, by=by)
    return True


async def add_version(session: WriteSession, identifier: str, version: VersionRecord, *, by: UUID) -> None:
    """Append a version to a registered processing."""
    whose = {"processing": identifier, "recorded_by": by}
    await session.execute(insert(processing_version).values(**whose, **columns_of(version)))


def version_as_json(version: VersionRecord) -> dict[str, Any]:
    """Return a version as it waits at the gate: the columns of its row except whose it is, as JSON has them."""
    return {name: cell.isoformat() if isinstance(cell, date) else cell for name, cell in columns_of(version).items()}


def version_from_json(wanted: Mapping[str, Any]) -> VersionRecord:
    """Return the version that waits, or waited, at the gate."""
    at = {name: datetime.fromisoformat(wanted[name]) for name in ("effective_from", "recorded_at")}
    return version_of(SimpleNamespace(**{**wanted, **at, "started_on": date.fromisoformat(wanted["started_on"])}))


def columns_of(version: VersionRecord) -> dict[str, Any]:
    """Return what a version says, by the columns of its row; whose it is comes besides."""
    facts = version.facts
    return {
        "number": facts.number,
        "effective_from": facts.effective_from,
        "provider_kind": facts.provider_kind.value,
        "service": facts.service,
        "elements": sorted(element.value for element in facts.elements),
        "automated": facts.automated,
        "party_mode": facts.party_mode.value,
        "started_on": facts.started_on,
        "consent_validity": str(facts.consent_validity),
        "material": facts.material,
        "name": dict(version.name),
        "notice": dict(version.notice),
        "data_recipients": sorted(each.name for each in facts.recipients),
        "retention": str(facts.retention),
        "data_protection_contact": version.contact,
        "age_statement_required": facts.age_statement_required,
        "recorded_at": version.recorded_at,
        "controllers": list(version.controllers),
        "particulars": {**facts_as_json(facts), **version.particulars.as_json()},
        "reason": version.reason,
    }


async def add_status_change(session: WriteSession, identifier: str, change: StatusChange, *, by: UUID) -> None:
    """Append a status change to a registered processing."""
    awaiting = change.status is Status.PROPOSED
    stored = Status.SUSPENDED if awaiting else change.status
    if change.status in {Status.SUSPENDED, Status.RETIRED}:
        noted = {"processing": identifier, "at": change.at, "status": change.status, "by": by}
        session.note("status", noted, ("status_change", f"{identifier}/{_seconds(change.at)}"))
    await session.execute(
        insert(processing_status_change).values(
            processing=identifier, at=change.at, status=stored.value, recorded_by=by, awaiting_approval=awaiting
        )
    )


def version_of(row: Any) -> VersionRecord:  # noqa: ANN401 - a row, or what was read of JSON
    """Return the version that has these columns."""
    facts = ProcessingVersion(
        number=row.number,
        effective_from=row.effective_from,
        provider_kind=ProviderKind(row.provider_kind),
        elements=frozenset(map(Element, row.elements)),
        automated=row.automated,
        party_mode=PartyMode(row.party_mode),
        started_on=row.started_on,
        consent_validity=ConsentPeriod.parse(row.consent_validity),
        material=row.material,
        retention=Retention.parse(row.retention),
        service=row.service,
        age_statement_required=row.age_statement_required,
        controllers=frozenset(row.controllers),
        **facts_from_json(row.particulars),
    )
    return VersionRecord(
        facts,
        row.name,
        row.notice,
        row.recorded_at,
        contact=row.data_protection_contact,
        controllers=tuple(row.controllers),
        particulars=Particulars.from_json(row.particulars),
        reason=row.reason,
    )


# Register entries remembered by a process that writes: as long as the register has not grown, they are what it holds.
# The tables of the register are append-only: a row that was seen stays. So a register with the same number of rows is
# the same register, and the number of rows in each table, on one server, is an exact stamp of what was read. Another
# server may hold as many other rows, if it took over after a loss of some: its identity is part of the stamp.

Stamp = tuple[str | None, int, int, int, int]
STAMP: Final[Lookup[Stamp]] = Lookup(
    Prepared(
        text(f"""
SELECT {IDENTITY} AS server, (SELECT count(*) FROM processing) AS processings,
    (SELECT count(*) FROM processing_version) AS versions, (SELECT count(*) FROM processing_status_change) AS changes,
    (SELECT count(*) FROM processing_invalidation) AS invalidations
""")  # noqa: S608 - a constant
    ),
    {},
    lambda rows: (rows[0].server, rows[0].processings, rows[0].versions, rows[0].changes, rows[0].invalidations),
)
"""What the register holds now: the server's identity, and the number of rows in each table."""
_MOST: Final = 10_000


class RegisterEntries:
    """Entries by id, None where there is none, with the stamp that was read before them."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._stamp: Stamp | None = None
        self._entries: dict[str, ProcessingRecord | None] = {}

    async def read(
        self, session: ReadSession, ids: Collection[str], stamp: Stamp
    ) -> dict[str, ProcessingRecord | None]:
        """Return these entries as the register had them when its stamp was looked up (`STAMP`), or later."""
        if stamp != self._stamp or len(self._entries) > _MOST:
            self._stamp, self._entries = stamp, {}
        entries = self._entries
        missing = set(ids) - entries.keys()
        if missing:
            # Read after the stamp, so never older than it; what is newer comes with the next stamp.
            entries.update(dict.fromkeys(missing) | await load_processings(session, missing))
        return {each: entries[each] for each in ids}


# Reads and writes of controllers' records.


async def load_controllers(session: ReadSession, ids: Collection[str] | None = None) -> dict[str, ControllerRecord]:
    """Return controllers by id, in the order of ids (`ids` None: all). One that is not registered is left out."""
    heads = select(controller).order_by(controller.c.id)
    versions = select(controller_version).order_by(controller_version.c.controller, controller_version.c.number)
    if ids is not None:
        heads = heads.where(controller.c.id.in_(ids))
        versions = versions.where(controller_version.c.controller.in_(ids))
    rows = (await session.execute(heads)).all()
    by_version = defaultdict[str, list[ControllerVersion]](list)
    for row in await session.execute(versions):
        by_version[row.controller].append(record_of(ControllerVersion, row))
    return {
        row.id: ControllerRecord(
            row.id, ControllerKind(row.kind), row.identifier, row.registered_at, tuple(by_version[row.id])
        )
        for row in rows
        if row.id in by_version
    }


async def lock_controller(session: WriteSession, identifier: str) -> ControllerRecord | None:
    """Return one controller, locked against other writers until the end of the transaction."""
    await session.execute(select(controller.c.id).where(controller.c.id == identifier).with_for_update())
    return (await load_controllers(session, [identifier])).get(identifier)


async def add_controller(session: WriteSession, record: ControllerRecord, *, by: UUID) -> bool:
    """Register a controller with its first versions; False when its id or its identifier is taken."""
    statement = upsert(controller).values(
        id=record.id,
        kind=record.kind.value,
        identifier=record.identifier,
        registered_at=record.registered_at,
        registered_by=by,
    )
    added = await session.execute(statement.on_conflict_do_nothing().returning(controller.c.id))
    if added.first() is None:
        return False
    for version in record.versions:
        await add_controller_version(session, record.id, version, by=by)
    return True


async def add_controller_version(
    session: WriteSession, identifier: str, version: ControllerVersion, *, by: UUID
) -> None:
    """Append a version to a registered controller."""
    whose = {"controller": identifier, "recorded_by": by}
    await session.execute(insert(controller_version).values(**whose, **as_columns(version)))


async def name_controllers(
    session: ReadSession, records: Mapping[str, ProcessingRecord], also: Collection[str] = ()
) -> dict[str, ProcessingRecord]:
    """Return the same register entries with the legal names that their controllers, and those of `also`, have today.

    Decisions need no names, and read none.
    """
    named = {each for record in records.values() for version in record.versions for each in version.controllers}
    names = await load_names(session, named | set(also))
    return {identifier: _named(record, names) for identifier, record in records.items()}


async def load_names(session: ReadSession, ids: Collection[str]) -> dict[str, str]:
    """Return the present legal names of these controllers, by id."""
    if not ids:
        return {}
    latest = (
        select(controller_version.c.controller, controller_version.c.legal_name)
        .where(controller_version.c.controller.in_(ids))
        .order_by(controller_version.c.controller, controller_version.c.number.desc())
        .ext(distinct_on(controller_version.c.controller))
    )
    return {row.controller: row.legal_name for row in await session.execute(latest)}


def _named(record: ProcessingRecord, names: Mapping[str, str]) -> ProcessingRecord:
    first = record.versions[-1].controllers[0] if record.versions and record.versions[-1].controllers else None
    kept = {each: record.controller for version in record.versions for each in version.controllers[:1]}
    all_names = {**kept, **names}
    return replace(record, controller=all_names.get(first or "", record.controller), controller_names=all_names)


# Reads and writes of invalidations.
#
# They are read together with the changes of status, in one statement: a read that sees a change of a processing sees
# all that were made before it, so that a number says which of them were known (`app.audit.log_reading`).


@dataclass(frozen=True, slots=True)
class InvalidationRecord:
    """One invalidation: what it strikes and since when; and who asked for it, when (`asked_at`) and why."""

    number: int
    struck: Struck
    reason: str
    asked_at: datetime
    by: UUID
    at: datetime


def changes_made() -> Select[Any]:
    """Select the changes of status and the invalidations in force of all processings, by their instants."""
    status, struck = processing_status_change.c, processing_invalidation.c
    made = union_all(
        select(
            status.processing,
            status.at,
            status.status,
            status.awaiting_approval,
            null().label("version"),
            null().label("text_sha256"),
        ),
        select(struck.processing, struck.at, null(), literal(False), struck.version, struck.text_sha256),  # noqa: FBT003
    ).subquery()
    return select(made).order_by(made.c.at)


def change_of(row: Row[Any]) -> StatusChange | Invalidation:
    """Return the change in a row."""
    if row.status is not None:
        return StatusChange(row.at, Status.PROPOSED if row.awaiting_approval else Status(row.status))
    return Invalidation(row.at, row.version, None if row.text_sha256 is None else row.text_sha256.hex())


async def load_invalidations(session: ReadSession, processing: str) -> list[InvalidationRecord]:
    """Return every invalidation of a processing, by number."""
    struck = processing_invalidation
    rows = select(struck).where(struck.c.processing == processing).order_by(struck.c.number)
    return [_invalidation(row) for row in await session.execute(rows)]


async def list_not_told(session: ReadSession) -> list[tuple[str, InvalidationRecord]]:
    """Return the invalidations whose ended consents are not all reported yet, with their processings, oldest first."""
    struck, reported = processing_invalidation, invalidation_told
    same = (reported.c.processing == struck.c.processing) & (reported.c.number == struck.c.number)
    rows = select(struck).outerjoin(reported, same).where(reported.c.number.is_(None)).order_by(struck.c.at)
    return [(row.processing, _invalidation(row)) for row in await session.execute(rows)]


async def add_told(session: WriteSession, processing: str, number: int, at: datetime) -> None:
    """Keep that all consents that an invalidation ended were reported; another process may have kept it already."""
    values = {"processing": processing, "number": number, "told_at": at}
    await session.execute(upsert(invalidation_told).values(values).on_conflict_do_nothing())


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _seconds(at: datetime) -> str:
    """Return the seconds since 1970 as PostgreSQL writes them: `extract(epoch FROM at)`."""
    seconds, rest = divmod(at - _EPOCH, timedelta(seconds=1))
    return f"{seconds}.{rest.microseconds:06d}"


async def add_invalidation(session: WriteSession, processing: str, record: InvalidationRecord) -> None:
    """Put an invalidation where decisions see it."""
    struck = record.struck
    values = {
        "processing": processing,
        "number": record.number,
        "version": struck.version,
        "text_sha256": bytes.fromhex(struck.text) if struck.text is not None else None,
        "reason": record.reason,
        "at": record.at,
        "recorded_at": record.asked_at,
        "recorded_by": record.by,
    }
    await session.execute(insert(processing_invalidation).values(values))
    noted = {"processing": processing, "number": record.number, "record": record}
    session.note("invalidation", noted, ("invalidation", f"{processing}/{record.number}"))


def _invalidation(row: Row[Any]) -> InvalidationRecord:
    struck = Struck(row.version, None if row.text_sha256 is None else row.text_sha256.hex())
    return InvalidationRecord(row.number, struck, row.reason, row.recorded_at, row.recorded_by, row.at)
