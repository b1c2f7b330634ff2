"""Which accounts are one person's, as the operator stated it. Accounts that are closed drop out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, func, insert, or_, select, text

from app.core.aliases import AliasBasis
from app.db.lookups import Lookup, Prepared
from app.db.many import as_refs
from app.db.session import ReadSession, WriteSession
from app.ledger.mailboxes import locators_of_mailboxes
from app.ledger.tables import subject_alias, subject_locator


@dataclass(frozen=True, slots=True)
class Alias:
    """Two accounts that are one person's, who said so, when, and on what basis."""

    id: UUID
    first: bytes
    second: bytes
    basis: AliasBasis
    stated_at: datetime
    stated_by: UUID


# By an array: of what a recursion finds PostgreSQL expects so many rows that it would read whole tables for a join.
_PERSON: Final = """
WITH RECURSIVE person (ref) AS (
    {begin}
    UNION
    SELECT CASE WHEN subject_alias.first_ref = person.ref THEN subject_alias.second_ref ELSE subject_alias.first_ref END
    FROM person JOIN subject_alias ON person.ref IN (subject_alias.first_ref, subject_alias.second_ref)
)
SELECT DISTINCT subject_ref AS ref FROM subject_locator
WHERE subject_ref = ANY (ARRAY(SELECT ref FROM person)) AND ended_at IS NULL ORDER BY ref
"""
_OF_ACCOUNT: Final = text(_PERSON.format(begin="SELECT CAST(:ref AS bytea)"))
_OF_NAMES: Final = text(
    _PERSON.format(
        begin="SELECT subject_ref FROM subject_locator WHERE locator = ANY(CAST(:locators AS bytea[])) "
        "AND ended_at IS NULL"
    )
)


# Rows of locators first, as `hold_refs` does; an account is held where all of its rows are.
_HOLD: Final = """
WITH RECURSIVE person (ref) AS (
    SELECT subject_ref FROM subject_locator
    WHERE ended_at IS NULL
        AND locator = ANY (ARRAY(SELECT decode(each, 'hex') FROM string_to_table(:locators, ',') AS each))
    UNION
    SELECT CASE WHEN subject_alias.first_ref = person.ref THEN subject_alias.second_ref ELSE subject_alias.first_ref END
    FROM person JOIN subject_alias ON person.ref IN (subject_alias.first_ref, subject_alias.second_ref)
), wanted AS MATERIALIZED (
    SELECT DISTINCT subject_ref AS ref FROM subject_locator
    WHERE subject_ref = ANY (ARRAY(SELECT ref FROM person)) AND ended_at IS NULL
), rows AS MATERIALIZED (
    SELECT subject_ref FROM subject_locator WHERE subject_ref = ANY (ARRAY(SELECT ref FROM wanted))
    ORDER BY subject_ref, locator FOR UPDATE {past_others}
), held_rows AS (
    SELECT subject_ref, count(*) AS number FROM rows GROUP BY subject_ref
), all_rows AS (
    SELECT subject_ref, count(*) AS number FROM subject_locator
    WHERE subject_ref = ANY (ARRAY(SELECT ref FROM wanted)) GROUP BY subject_ref
), held AS MATERIALIZED (
    SELECT subject_ref FROM subject
    WHERE subject_ref = ANY (ARRAY(SELECT subject_ref FROM held_rows JOIN all_rows USING (subject_ref, number)))
    ORDER BY subject_ref FOR UPDATE {past_others}
)
SELECT ref, ref IN (SELECT subject_ref FROM held) AS held FROM wanted
"""
_TRY_ACCOUNTS: Final = Prepared(text(_HOLD.format(past_others="SKIP LOCKED")))
_WAIT_FOR_ACCOUNTS: Final = Prepared(text(_HOLD.format(past_others="")))


def accounts_held(locators: Collection[bytes], *, waiting: bool) -> Lookup[dict[bytes, bool]]:
    """Hold the open accounts of the people whom some locators lead to; each, and whether it is held.

    Others are waited for, or left out.
    """
    statement = _WAIT_FOR_ACCOUNTS if waiting else _TRY_ACCOUNTS
    return Lookup(statement, {"locators": as_refs(locators)}, lambda rows: {bytes(row.ref): row.held for row in rows})


async def accounts_of(session: ReadSession, ref: bytes) -> list[bytes]:
    """Every open account of the person who has this one, in order of subject_ref, this one among them."""
    return [bytes(each) for each in (await session.execute(_OF_ACCOUNT, {"ref": ref})).scalars()]


async def accounts_behind(session: ReadSession, locators: Collection[bytes]) -> list[bytes]:
    """Every open account of the people whom some locators lead to, in order of subject_ref."""
    rows = await session.execute(_OF_NAMES, {"locators": list(locators)})
    return [bytes(each) for each in rows.scalars()]


async def find_alias(session: ReadSession, one: bytes, other: bytes) -> Alias | None:
    """The row that says that two accounts are one person's; None when none says so directly."""
    first, second = sorted((one, other))
    rows = select(subject_alias).where(subject_alias.c.first_ref == first, subject_alias.c.second_ref == second)
    row = (await session.execute(rows)).first()
    if row is None:
        return None
    return Alias(row.id, first, second, AliasBasis(row.basis), row.stated_at, row.stated_by)


async def aliases_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """When, and on what basis, an account was said to be the same person's as another; not which other."""
    about = or_(subject_alias.c.first_ref == ref, subject_alias.c.second_ref == ref)
    rows = select(subject_alias.c.basis, subject_alias.c.stated_at).where(about).order_by(subject_alias.c.stated_at)
    return (await session.execute(rows)).mappings().all()


async def add_alias(session: WriteSession, alias: Alias) -> None:
    """Add a row; both accounts must be held (`app.ledger.locators`)."""
    first, second = sorted((alias.first, alias.second))
    row = {"id": alias.id, "first_ref": first, "second_ref": second, "basis": alias.basis.value}
    await session.execute(insert(subject_alias).values(**row, stated_at=alias.stated_at, stated_by=alias.stated_by))


async def remove_alias(session: WriteSession, identifier: UUID) -> None:
    """Remove a row: the two are taken for two persons from now on."""
    await session.execute(delete(subject_alias).where(subject_alias.c.id == identifier))


async def forget_aliases(session: WriteSession, refs: Collection[bytes]) -> None:
    """Remove every row about accounts that are erased."""
    about = or_(subject_alias.c.first_ref.in_(list(refs)), subject_alias.c.second_ref.in_(list(refs)))
    await session.execute(delete(subject_alias).where(about))


async def locators_of(session: ReadSession, ref: bytes) -> tuple[bytes, ...]:
    """The locators under which replicas remember an open account, and the mailboxes that it is a holder of."""
    own = select(func.array_agg(subject_locator.c.locator)).where(
        subject_locator.c.subject_ref == ref, subject_locator.c.ended_at.is_(None)
    )
    both = select(own.scalar_subquery().label("own"), locators_of_mailboxes(ref).label("mailboxes"))
    row = (await session.execute(both)).one()
    return tuple(bytes(each) for each in (*(row.own or ()), *(row.mailboxes or ())))
