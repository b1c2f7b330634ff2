"""Reads and writes of controllers' records."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Row, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.register import ControllerKind
from app.db.session import ReadSession, WriteSession
from app.register.records import ControllerRecord, ControllerVersion, ProcessingRecord
from app.register.tables import controller, controller_version


async def load_controllers(session: ReadSession, ids: Collection[str] | None = None) -> dict[str, ControllerRecord]:
    """Controllers by id, in the order of ids; None for all. One that is not registered is left out."""
    heads = select(controller).order_by(controller.c.id)
    versions = select(controller_version).order_by(controller_version.c.controller, controller_version.c.number)
    if ids is not None:
        heads = heads.where(controller.c.id.in_(ids))
        versions = versions.where(controller_version.c.controller.in_(ids))
    found = (await session.execute(heads)).all()
    by_version = defaultdict[str, list[ControllerVersion]](list)
    for row in await session.execute(versions):
        by_version[row.controller].append(_version(row))
    return {
        row.id: ControllerRecord(
            row.id, ControllerKind(row.kind), row.identifier, row.registered_at, tuple(by_version[row.id])
        )
        for row in found
        if row.id in by_version
    }


async def lock_controller(session: WriteSession, identifier: str) -> ControllerRecord | None:
    """One controller, held against other writers until the end of the transaction."""
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
    await session.execute(
        insert(controller_version).values(
            controller=identifier,
            number=version.number,
            legal_name=version.legal_name,
            postal_address=version.postal_address,
            contact=version.contact,
            data_protection_officer=version.data_protection_officer,
            country=version.country,
            recorded_at=version.recorded_at,
            recorded_by=by,
        )
    )


async def name_controllers(
    session: ReadSession, records: Mapping[str, ProcessingRecord], also: Collection[str] = ()
) -> dict[str, ProcessingRecord]:
    """The same register entries with the legal names that their controllers, and those of `also`, have today.

    What decides needs no names, and reads none.
    """
    named = {each for record in records.values() for version in record.versions for each in version.controllers}
    names = await load_names(session, named | set(also))
    return {identifier: _named(record, names) for identifier, record in records.items()}


async def load_names(session: ReadSession, ids: Collection[str]) -> dict[str, str]:
    """The legal names of today of these controllers, by id."""
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
    known = {**kept, **{each: names[each] for each in names}}
    return replace(record, controller=known.get(first or "", record.controller), controller_names=known)


def _version(row: Row[tuple[object, ...]]) -> ControllerVersion:
    return ControllerVersion(
        number=row.number,
        legal_name=row.legal_name,
        recorded_at=row.recorded_at,
        postal_address=row.postal_address,
        contact=row.contact,
        data_protection_officer=row.data_protection_officer,
        country=row.country,
    )
