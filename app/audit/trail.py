"""The trail of administrative acts: append-only, each entry written in the transaction of the act itself.

The application role may INSERT and SELECT; triggers refuse everything else, to the owner too. Record an act as the last
thing that its operation does: an entry that is wanted once only waits for others that write the same one, and must not
hold them up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.audit.acts import NOTHING, ActKind, Detail, Target, TargetKind, checked
from app.audit.origin import current_origin
from app.audit.tables import administrative_act
from app.db.session import INSTANT, ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class Entry:
    """One act as recorded, in words as stored: a newer version of this code may have written words of its own.

    `caller` None: no caller of the API, but an operator's command or the service itself.
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


_COLUMNS: Final = tuple(Entry.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class TrailQuery:
    """Which entries are searched; None asks for all. `since` is included, `until` is not.

    `within`: only acts on these processings, and those of `caller_within` itself.
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
        target: on what.
        detail: what `app.audit.acts.DETAILS` allows; None members are left out.
        once: when this was recorded before, do not record it again; a day or an hour is a part of it.

    Raises:
        UnknownDetailError: the act may not carry one of the details.

    """
    now = await session.find(INSTANT)
    origin = current_origin()
    statement = insert(administrative_act).values(
        id=session.new_id(now),
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
    """The next entries that match, newest first: ids of version 7 sort by time."""
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
    return [_entry(row) for row in await session.execute(statement)]


def _entry(row: Row[Any]) -> Entry:
    return Entry(**{name: getattr(row, name) for name in _COLUMNS})
