"""From what a caller names to whose ledger it is: one row for each account, from a locator to a random subject_ref.

Closing an account ends its row, so that the next holder of the address begins with another subject_ref; erasing a
person deletes the rows, and nothing leads from the id to the past any more, whoever holds the key. A question about
somebody without a row makes none.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.db.lookups import Lookup, Prepared
from app.db.many import as_refs
from app.db.session import ReadSession, WriteSession
from app.ledger.mailboxes import locators_of_mailboxes
from app.ledger.tables import subject, subject_locator, subject_vault

REF_BYTES: Final = 32
_LIVE: Final = subject_locator.c.ended_at.is_(None)


@dataclass(frozen=True, slots=True)
class Located:
    """A subject that this transaction holds.

    `locators`: those under which replicas remember it, then those of the mailboxes that it is a holder of: what they
    remember of these rests on it too. `closed_until`: when an earlier account of the
    same id was closed, if one was: nothing collected by then is this person's. `id_kept`: whether the vault has its id.
    """

    ref: bytes
    locators: tuple[bytes, ...]
    closed_until: datetime | None
    id_kept: bool


async def find_ref(session: ReadSession, locator: bytes) -> bytes | None:
    """The subject_ref that a locator leads to now; None when nothing is recorded of whoever it names."""
    found = await session.execute(
        select(subject_locator.c.subject_ref).where(subject_locator.c.locator == locator, _LIVE)
    )
    ref: bytes | None = found.scalar_one_or_none()
    return ref


async def hold_subject(session: WriteSession, found_by: Mapping[bytes, str], subject_type: str) -> Located:
    """Hold a subject against other writers until the end of the transaction; it comes to be if it is new.

    Time is to be read after this returns, so that the order of times is the order of the ledger.

    Args:
        session: the transaction.
        found_by: the locators that the subject is written down under, one for each key, each with what made it.
        subject_type: the type of a subject that is new.

    """
    locators = list(found_by)
    while True:
        ref = await _hold_row(session, locators)
        if ref is not None:
            break
        await _begin(
            session, locators[0], found_by[locators[0]], subject_type
        )  # or another writer has: waited for here
    for other in locators[1:]:
        await _add_row(session, other, found_by[other], ref)
    session.committing.subjects.add(ref)
    closed = select(func.max(subject_locator.c.ended_at)).where(subject_locator.c.locator.in_(locators))
    kept = select(subject_vault.c.stored_at).where(subject_vault.c.subject_ref == ref).exists()
    mailboxes = locators_of_mailboxes(ref).label("mailboxes")
    behind = select(closed.scalar_subquery().label("closed_until"), kept.label("id_kept"), mailboxes)
    told = (await session.execute(behind)).one()
    return Located(ref, (*locators, *map(bytes, told.mailboxes or ())), told.closed_until, told.id_kept)


async def hold_names(session: WriteSession, locators: Collection[bytes]) -> None:
    """Keep accounts from being begun under these locators until the end of the transaction."""
    await session.execute(_HOLD_NAMES, {"names": [locator.hex() for locator in sorted(locators)]})


async def hold_ref(session: WriteSession, ref: bytes) -> None:
    """Hold a subject that is known by its subject_ref, in the order in which every writer does."""
    await hold_refs(session, [ref])


async def hold_refs(session: WriteSession, refs: Collection[bytes]) -> None:
    """Hold several, in order of subject_ref."""
    session.committing.subjects.update(refs)
    table = subject_locator.c
    rows = select(table.locator).where(table.subject_ref.in_(list(refs))).order_by(table.subject_ref, table.locator)
    await session.execute(rows.with_for_update())
    held = select(subject.c.subject_ref).where(subject.c.subject_ref.in_(list(refs))).order_by(subject.c.subject_ref)
    await session.execute(held.with_for_update())


def names_held(locators: Collection[bytes], *, waiting: bool) -> Lookup[frozenset[bytes]]:
    """Keep accounts from being begun under these locators; which are kept. Others are waited for, or left out."""
    statement = _WAIT_FOR_NAMES if waiting else _TRY_NAMES
    names = {"names": as_refs(sorted(locators))}
    return Lookup(statement, names, lambda rows: frozenset(bytes.fromhex(row.name) for row in rows))


async def _hold_row(session: WriteSession, locators: Sequence[bytes]) -> bytes | None:
    row = select(subject_locator.c.subject_ref).where(subject_locator.c.locator.in_(locators), _LIVE).with_for_update()
    ref: bytes | None = (await session.execute(row)).scalars().first()
    if ref is not None:
        await session.execute(select(subject.c.subject_ref).where(subject.c.subject_ref == ref).with_for_update())
    return ref


_BEGIN: Final = text("""
WITH located AS (
    INSERT INTO subject_locator (locator, subject_ref, made_by, began_at) VALUES (:locator, :ref, :made_by, :now)
    ON CONFLICT (locator) WHERE ended_at IS NULL DO NOTHING RETURNING subject_ref
)
INSERT INTO subject (subject_ref, type, created_at) SELECT subject_ref, :type, :now FROM located
""")
_HOLD_NAMES: Final = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name"
)
_GIVEN: Final = "(SELECT name FROM string_to_table(:names, ',') AS name WHERE name <> '') AS given"
_TRY_NAMES: Final = Prepared(
    text(f"SELECT name FROM {_GIVEN} WHERE pg_try_advisory_xact_lock(hashtextextended(name, 0))")  # noqa: S608
)
_WAIT_FOR_NAMES: Final = Prepared(
    text(f"SELECT name, pg_advisory_xact_lock(hashtextextended(name, 0)) FROM {_GIVEN}")  # noqa: S608 - a constant
)
_ADD: Final = text("""
INSERT INTO subject_locator (locator, subject_ref, made_by, began_at) VALUES (:locator, :ref, :made_by, :now)
ON CONFLICT (locator) WHERE ended_at IS NULL DO NOTHING
""")


async def _begin(session: WriteSession, locator: bytes, made_by: str, subject_type: str) -> None:
    await hold_names(session, [locator])
    ref = secrets.token_bytes(REF_BYTES)
    said = {"locator": locator, "ref": ref, "made_by": made_by, "now": await session.now(), "type": subject_type}
    await session.execute(_BEGIN, said)


async def _add_row(session: WriteSession, locator: bytes, made_by: str, ref: bytes) -> None:
    said = {"locator": locator, "ref": ref, "made_by": made_by, "now": await session.now()}
    await session.execute(_ADD, said)


async def end_account(session: WriteSession, ref: bytes, at: datetime) -> None:
    """End the rows of an account that was closed: its id leads nowhere until somebody decides anew."""
    rows = update(subject_locator).where(subject_locator.c.subject_ref == ref, _LIVE)
    await session.execute(rows.values(ended_at=at))


async def refs_behind(session: ReadSession, locators: Collection[bytes]) -> list[bytes]:
    """Every subject that an id leads or has led to, closed accounts included."""
    rows = select(subject_locator.c.subject_ref).where(subject_locator.c.locator.in_(locators)).distinct()
    return list((await session.execute(rows)).scalars())


async def types_of(session: ReadSession, refs: Collection[bytes]) -> dict[bytes, str]:
    """The types of subjects, by subject_ref."""
    rows = await session.execute(select(subject.c.subject_ref, subject.c.type).where(subject.c.subject_ref.in_(refs)))
    return {row.subject_ref: row.type for row in rows}


async def sever(session: WriteSession, refs: Collection[bytes]) -> None:
    """Delete the rows of subjects for good: nothing leads to them from an id any more (GDPR art. 17)."""
    await session.execute(delete(subject_locator).where(subject_locator.c.subject_ref.in_(list(refs))))


@dataclass(frozen=True, slots=True)
class SubjectRows:
    """The rows of one subject: locators, each with what made it, and when the account began and ended."""

    ref: bytes
    type: str
    rows: Mapping[bytes, str]
    began_at: datetime
    ended_at: datetime | None


async def next_subjects(session: WriteSession, *, after: bytes, limit: int) -> list[SubjectRows]:
    """The next subjects that have rows, at most so many, in order of subject_ref, held until the transaction ends."""
    # Without DISTINCT, which has a table without statistics sorted whole each time, as after a migration that fills it.
    refs = select(subject_locator.c.subject_ref).where(subject_locator.c.subject_ref > after)
    chosen = set((await session.execute(refs.order_by(subject_locator.c.subject_ref).limit(limit))).scalars())
    statement = (
        select(subject_locator, subject.c.type)
        .join(subject, subject.c.subject_ref == subject_locator.c.subject_ref)
        .where(subject_locator.c.subject_ref.in_(chosen))
        .order_by(subject_locator.c.subject_ref)
        .with_for_update()
    )
    found: dict[bytes, list[Row[tuple[object, ...]]]] = {}
    for row in await session.execute(statement):
        found.setdefault(bytes(row.subject_ref), []).append(row)
    return [
        SubjectRows(
            ref=ref,
            type=rows[0].type,
            rows={bytes(row.locator): row.made_by for row in rows},
            began_at=min(row.began_at for row in rows),
            ended_at=rows[0].ended_at,
        )
        for ref, rows in found.items()
    ]


async def replace_rows(session: WriteSession, wanted: Sequence[tuple[SubjectRows, Mapping[bytes, str]]]) -> None:
    """Give subjects these rows in the place of those that they have, in two statements.

    One that another open account has already is left out: two ids that were two persons are never made one, so that
    the second is found by nobody, which denies. Of two accounts that want the same one, that which had it keeps it.
    """
    refs = [held.ref for held, _ in wanted]
    await session.execute(delete(subject_locator).where(subject_locator.c.subject_ref.in_(refs)))
    rows = [(held, locator, made_by) for held, given in wanted for locator, made_by in given.items()]
    rows.sort(key=lambda each: each[1] not in each[0].rows)
    values = [
        {
            "locator": locator,
            "subject_ref": held.ref,
            "made_by": made_by,
            "began_at": held.began_at,
            "ended_at": held.ended_at,
        }
        for held, locator, made_by in rows
    ]
    if values:
        await session.execute(upsert(subject_locator).on_conflict_do_nothing(), values)


async def made_by(session: ReadSession, maker: str) -> bool:
    """Whether some row was made by that key, in that way."""
    rows = select(subject_locator.c.locator).where(subject_locator.c.made_by == maker).limit(1)
    return (await session.execute(rows)).first() is not None


async def made_by_others(session: ReadSession, makers: Collection[str]) -> bool:
    """Whether some row was made by none of these."""
    rows = select(subject_locator.c.locator).where(subject_locator.c.made_by.not_in(list(makers))).limit(1)
    return (await session.execute(rows)).first() is not None


async def lacks_rows(session: ReadSession, maker: str) -> bool:
    """Whether some open account has no row that this key made."""
    own = select(subject_locator.c.subject_ref).where(subject_locator.c.made_by == maker)
    rows = select(subject_locator.c.locator).where(_LIVE, subject_locator.c.subject_ref.not_in(own)).limit(1)
    return (await session.execute(rows)).first() is not None
