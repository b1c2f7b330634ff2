"""Rows that lead from the locators of a name to the random subject_ref of an account.

A person may have several names (`app.core.names`): each has a row for each key, and all lead to one account. Closing an
account ends its rows, so the next holder of the address begins with another subject_ref. Erasing a person deletes the
rows: then nothing leads from the id to the past any more, even for a holder of the key. Asking about a person without a
row creates none.

A writer holds, in this order, the name (no account is begun under it meanwhile) and the account (no other writer
appends to its ledger, or changes which names lead to it). Several are held in order of the locators, then of the
subject_refs. Only then does the writer look up where the name leads: if that is now an account that it does not hold,
it releases everything (`WriteSession.attempt`) and begins again (`MovedError`).
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.db.database import DatabaseUnavailableError
from app.db.session import Lookup, Prepared, Put, ReadSession, WriteSession, as_refs, insertion
from app.ledger.imports import import_row
from app.ledger.link_store import consent_link
from app.ledger.tables import KEYS_IN_USE, solicitation, subject, subject_locator, subject_vault

REF_BYTES: Final = 32
_LIVE: Final = subject_locator.c.ended_at.is_(None)
_GIVEN: Final = "ANY (ARRAY(SELECT decode(each, 'hex') FROM string_to_table(:locators, ',') AS each))"


@dataclass(frozen=True, slots=True)
class Located:
    """The account to which a name leads, or a `new` one that begins with this name and of which nothing is recorded.

    `name` is the id under which the vault keeps the name. `locators` are all that lead to the account; replicas
    remember it by them. `closed_until` is when an earlier account of the same name was closed, if one was: no consent
    collected by then counts. `another_until` is when another person's account of that name was closed: nothing
    collected by then is this person's. `shared` says that this is a shared mailbox. `lacking` holds this name's
    locators without a row, each with its maker.
    """

    ref: bytes
    name: UUID
    locators: tuple[bytes, ...]
    closed_until: datetime | None = None
    another_until: datetime | None = None
    shared: bool = False
    new: bool = False
    lacking: Mapping[bytes, str] = field(default_factory=dict)


class KeyNotInUseError(DatabaseUnavailableError):
    """This process lacks a pseudonym key in use: it misses people, or others would not find what it recorded."""

    message = "SCEAU_PSEUDONYM_KEY lacks a key that this deployment uses: set it as its processes have it"


def _check_keys(in_use: str | None, found_by: Mapping[bytes, str]) -> None:
    """Refuse a name that was not hashed by each of the keys in use (`KEYS_IN_USE`), since each needs a row."""
    if in_use is not None and not {*in_use.split(",")} <= {*found_by.values()}:
        raise KeyNotInUseError


async def find_ref(session: ReadSession, found_by: Mapping[bytes, str]) -> bytes | None:
    """Return the subject_ref to which a name leads now; None when nothing is recorded of the person.

    Raises:
        KeyNotInUseError: this cannot be known, because a key in use is missing.

    """
    name = await find_name(session, found_by)
    return name[0] if name is not None else None


async def find_name(session: ReadSession, found_by: Mapping[bytes, str]) -> tuple[bytes, UUID] | None:
    """Return the subject_ref to which a name leads now, and the name's id; `found_by`: its locators and their makers.

    Raises:
        KeyNotInUseError: this cannot be known, because a key in use is missing.

    """
    name = await led_to(session, found_by)
    _check_keys((await session.execute(text(KEYS_IN_USE))).scalar_one_or_none(), found_by)
    return name


async def led_to(
    session: ReadSession, locators: Collection[bytes], *, ended: bool = False
) -> tuple[bytes, UUID] | None:
    """Return the subject_ref to which the locators of one name lead now, or led last (`ended`), and the name's id."""
    columns = (subject_locator.c.subject_ref, subject_locator.c.name)
    rows = select(*columns).where(subject_locator.c.locator.in_(locators), _LIVE | ended)
    row = (await session.execute(rows.order_by(subject_locator.c.ended_at.desc()))).first()
    return None if row is None else (bytes(row.subject_ref), row.name)


async def locators_of(session: ReadSession, ref: bytes) -> tuple[bytes, ...]:
    """Return every locator that leads to an account now; replicas remember the account by these."""
    rows = await session.execute(select(subject_locator.c.locator).where(subject_locator.c.subject_ref == ref, _LIVE))
    return tuple(map(bytes, rows.scalars()))


# Holding a name also keeps the keys in use from being stated anew, so what is read of them afterwards is valid until
# the transaction commits.
_KEYS: Final = "hashtextextended('sceau pseudonym keys', 0)"
_TRY_NAMES: Final = "SELECT name, {keys_stand} FROM {given} WHERE pg_try_advisory_xact_lock(hashtextextended(name, 0))"
_WAIT_FOR_NAMES: Final = "SELECT name, {keys_stand}, pg_advisory_xact_lock(hashtextextended(name, 0)) FROM {given}"
_NAMES: Final = "(SELECT name FROM string_to_table(:names, ',') AS name WHERE name <> '') AS given"
_HOLD_NAMES: Final = {
    waiting: Prepared(text(sql.format(given=_NAMES, keys_stand=f"pg_advisory_xact_lock_shared({_KEYS})")))
    for waiting, sql in ((False, _TRY_NAMES), (True, _WAIT_FOR_NAMES))
}


def names_held(locators: Collection[bytes], *, waiting: bool) -> Lookup[frozenset[bytes]]:
    """Return a lookup that keeps accounts from being begun under these locators, and returns the locators held.

    Locators that others hold are waited for, or left out. Documents, by their hashes, are held in the same order, so
    that no other writer claims one meanwhile.
    """
    names = {"names": as_refs(sorted(locators))}
    return Lookup(_HOLD_NAMES[waiting], names, lambda rows: frozenset(bytes.fromhex(row.name) for row in rows))


_HOLD: Final = f"""
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT subject_ref AS ref FROM subject_locator WHERE ended_at IS NULL AND locator = {_GIVEN}
), held AS MATERIALIZED (
    SELECT subject_ref FROM subject WHERE subject_ref = ANY (ARRAY(SELECT ref FROM wanted))
    ORDER BY subject_ref FOR UPDATE {{past_others}}
)
SELECT ref, ref IN (SELECT subject_ref FROM held) AS held FROM wanted
"""  # noqa: S608 - constants
_HOLD_ACCOUNTS: Final = {
    waiting: Prepared(text(_HOLD.format(past_others=past_others)))
    for waiting, past_others in ((False, "SKIP LOCKED"), (True, ""))
}


def accounts_held(locators: Collection[bytes], *, waiting: bool) -> Lookup[frozenset[bytes]]:
    """Return a lookup that holds the accounts to which locators lead; those held by others are awaited or left out."""
    values = {"locators": as_refs(locators)}
    return Lookup(_HOLD_ACCOUNTS[waiting], values, lambda rows: frozenset(bytes(row.ref) for row in rows if row.held))


async def keep_keys(session: WriteSession) -> None:
    """Keep the keys in use from being stated anew until the transaction ends, as holding a name does."""
    await session.execute(text(f"SELECT pg_advisory_xact_lock_shared({_KEYS})"))


async def hold_keys(session: WriteSession) -> None:
    """Wait until no transaction holds a name, and keep others from holding one: the keys in use may be stated anew."""
    await session.execute(text(f"SELECT pg_advisory_xact_lock({_KEYS})"))


class MovedError(Exception):
    """While this transaction waited, another one led a name to a different account, which is not held."""


async def hold_refs(session: WriteSession, refs: Collection[bytes]) -> None:
    """Hold accounts that are known by their subject_refs, in the order in which every writer holds several."""
    session.committing.subjects.update(refs)
    query = select(subject.c.subject_ref).where(subject.c.subject_ref.in_(list(refs))).order_by(subject.c.subject_ref)
    await session.execute(query.with_for_update())


_BEHIND: Final = Prepared(
    text(f"""
SELECT ({KEYS_IN_USE}) AS in_use, one.* FROM (VALUES (1)) AS always LEFT JOIN (
    SELECT found.locator, subject_ref, found.name, found.ended_at, subject.shared, CASE WHEN found.ended_at IS NULL THEN
        ARRAY(SELECT locator FROM subject_locator AS other WHERE other.subject_ref = found.subject_ref) END AS beside
    FROM subject_locator AS found JOIN subject USING (subject_ref) WHERE found.locator = {_GIVEN}
) AS one ON true
""")  # noqa: S608 - constants
)


def located_many(wanted: Sequence[Mapping[bytes, str]]) -> Lookup[list[Located]]:
    """Return a lookup of the accounts of names, in their order; each name is given once, as its locators and makers.

    The names and the accounts must be held by the transaction that looks. `begin_account` writes a new account. Reading
    raises KeyNotInUseError if one of a name's locators is missing for a key in use.
    """
    every = [locator for each in wanted for locator in each]
    return Lookup(_BEHIND, {"locators": as_refs(every)}, lambda rows: _all_located(wanted, rows))


def _all_located(wanted: Sequence[Mapping[bytes, str]], rows: Sequence[Any]) -> list[Located]:
    live, closed = {}, defaultdict[bytes, list[Any]](list)
    for makers in wanted:
        _check_keys(rows[0].in_use, makers)
    for row in rows:
        if row.locator is None:
            continue
        if row.ended_at is None:
            live[bytes(row.locator)] = row
        else:
            closed[bytes(row.locator)].append(row)
    return [_located(makers, live, [row for locator in makers for row in closed.get(locator, ())]) for makers in wanted]


def _located(found_by: Mapping[bytes, str], live: Mapping[bytes, Any], closed: Sequence[Any]) -> Located:
    """Return the account to which a name's locators lead now, with the closings of accounts to which they led before.

    An account that was closed when its name was linked to another account has the name under the same id: it is the
    same person's.
    """
    until = max((row.ended_at for row in closed), default=None)
    lacking = {locator: maker for locator, maker in found_by.items() if locator not in live}
    row = next((live[locator] for locator in found_by if locator in live), None)
    if row is None:
        return replace(account_of(found_by), closed_until=until, another_until=until)
    another = max((each.ended_at for each in closed if each.name != row.name), default=None)
    locators = tuple({**dict.fromkeys(found_by), **dict.fromkeys(map(bytes, row.beside))})
    return Located(bytes(row.subject_ref), row.name, locators, until, another, row.shared, lacking=lacking)


def account_of(found_by: Mapping[bytes, str]) -> Located:
    """Return a new account that begins with a name, given as its locators (one for each key) and their makers."""
    name = UUID(bytes=secrets.token_bytes(16), version=4)
    return Located(secrets.token_bytes(REF_BYTES), name, tuple(found_by), new=True, lacking=found_by)


_SUBJECT: Final = Put(order=10, sql=insertion(subject))
# The database refuses this if the name has an account after all: no second account may be recorded under it.
_LOCATOR: Final = Put(order=20, sql=insertion(subject_locator))


def begin_account(session: WriteSession, one: Located, at: datetime, *, ended_at: datetime | None = None) -> None:
    """Write the rows that an account lacks; `ended_at` is set for an account that is closed from the beginning."""
    if one.new:
        session.stage(_SUBJECT, {"subject_ref": one.ref, "shared": one.shared, "created_at": at})
    of_name = {"subject_ref": one.ref, "name": one.name, "began_at": at, "ended_at": ended_at}
    for locator, maker in one.lacking.items():
        session.stage(_LOCATOR, {**of_name, "locator": locator, "made_by": maker})


async def end_account(session: WriteSession, ref: bytes, at: datetime) -> None:
    """End the rows of an account that was closed: its names lead nowhere until a new decision is made under one."""
    rows = update(subject_locator).where(subject_locator.c.subject_ref == ref, _LIVE)
    await session.execute(rows.values(ended_at=at))


_FOLLOW: Final = text("""
INSERT INTO subject_locator (locator, subject_ref, name, made_by, began_at)
SELECT locator, :into, name, made_by, :at FROM subject_locator WHERE subject_ref = :ref
""")


async def lead_names_to(session: WriteSession, into: bytes, *, names_of: bytes, at: datetime) -> None:
    """Lead the names of an account that was just closed to another account; both are held."""
    await session.execute(_FOLLOW, {"into": into, "ref": names_of, "at": at})


async def take_name(session: WriteSession, ref: bytes, name: UUID) -> None:
    """Delete the rows by which one name led to an account; it is held."""
    rows = delete(subject_locator).where(subject_locator.c.subject_ref == ref, subject_locator.c.name == name)
    await session.execute(rows)


# Which accounts an erasure takes for one person's: every account to which the id leads or led; and, for each of these,
# every account that had one of its other names before, closed when that name was linked or earlier. An account that
# began later under another name is not reached: it is the next holder's. Nor is the person from whom a name was taken
# away: the operator has stated that they are two, and the earlier account of that name is erased with the name.
_EVERY: Final = text("""
WITH RECURSIVE theirs AS (
    SELECT locator, subject_ref, began_at FROM subject_locator WHERE locator = ANY (CAST(:locators AS bytea[]))
    UNION
    SELECT beside.locator, beside.subject_ref, beside.began_at FROM theirs JOIN subject_locator AS beside
        ON beside.subject_ref = theirs.subject_ref
        OR (beside.locator = theirs.locator AND beside.began_at <= theirs.began_at)
)
SELECT DISTINCT subject_ref FROM theirs
""")


async def every_ref(session: ReadSession, locators: Collection[bytes]) -> frozenset[bytes]:
    """Return every account, open or closed, that is erased with the name that has these locators."""
    return frozenset(map(bytes, (await session.execute(_EVERY, {"locators": list(locators)})).scalars()))


async def ended_since(session: ReadSession, locators: Collection[bytes], at: datetime) -> bool:
    """Return whether an account to which these locators led ended at an instant or later."""
    ended = (subject_locator.c.ended_at >= at) & subject_locator.c.locator.in_(list(locators))
    return (await session.execute(select(subject_locator.c.locator).where(ended).limit(1))).first() is not None


async def is_subject(session: ReadSession, ref: bytes) -> bool:
    """Return whether there is, or was, an account of that subject_ref."""
    return (await session.execute(select(subject.c.shared).where(subject.c.subject_ref == ref))).first() is not None


async def shared_since(session: ReadSession, ref: bytes) -> datetime | None:
    """Return since when an account is a shared mailbox; None when it is not one."""
    row = select(subject.c.created_at).where(subject.c.subject_ref == ref, subject.c.shared)
    since: datetime | None = (await session.execute(row)).scalar_one_or_none()
    return since


_LEADING: Final = (subject_vault, consent_link, solicitation, import_row)
"""Tables that lead from something known outside to a subject_ref: an id, a link that was mailed, a ticket, a row."""
_SEVER: Final = text("""
WITH gone AS (DELETE FROM subject_locator WHERE subject_ref = ANY (CAST(:refs AS bytea[])) RETURNING *)
SELECT subject_ref, name, locator, made_by, coalesce((
    SELECT min(next.began_at) FROM subject_locator AS next WHERE next.locator = gone.locator
        AND next.began_at >= gone.ended_at AND next.subject_ref <> ALL (CAST(:refs AS bytea[]))
), :day) AS until FROM gone
""")


async def sever(session: WriteSession, refs: Collection[bytes], day: datetime) -> None:
    """Delete the rows that lead to subjects for good: no id, link or record leads to them any more (GDPR art. 17).

    What stays of each name is the minimal refusal (GDPR art. 17(3)(b)): an empty account of that name, closed on a day,
    or when the name's next holder began, if it has one: what that person says is not refused. It leads to no past, and
    keeps an import from bringing back what the erased person once said.
    """
    for table in _LEADING:
        await session.execute(delete(table).where(table.c.subject_ref.in_(list(refs))))
    names: dict[tuple[bytes, UUID, datetime], dict[bytes, str]] = {}
    for row in await session.execute(_SEVER, {"refs": list(refs), "day": day}):
        names.setdefault((bytes(row.subject_ref), row.name, row.until), {})[bytes(row.locator)] = row.made_by
    once = {frozenset(found_by): (found_by, until) for (*_, until), found_by in names.items()}  # several had one name
    for found_by, until in once.values():
        begin_account(session, account_of(found_by), until, ended_at=until)


@dataclass(frozen=True, slots=True)
class NameRows:
    """The rows of one name of a subject: locators, each with its maker, and when they began and ended."""

    rows: Mapping[bytes, str]
    began_at: datetime
    ended_at: datetime | None


SubjectRows = Mapping[UUID, NameRows]
"""The names of one subject."""


async def next_subjects(session: WriteSession, *, after: bytes, limit: int) -> dict[bytes, SubjectRows]:
    """Return the next subjects that have rows, at most `limit`, by subject_ref, held until the transaction ends."""
    table = subject_locator.c
    # Without DISTINCT: a table without statistics, as after a migration fills it, would be sorted whole each time.
    refs = select(table.subject_ref).where(table.subject_ref > after).order_by(table.subject_ref).limit(limit)
    chosen = set((await session.execute(refs)).scalars())
    await hold_refs(session, chosen)
    # Read only once they are held, so that a name that was linked meanwhile is among them.
    rows = select(subject_locator).where(table.subject_ref.in_(chosen)).order_by(table.subject_ref)
    by_ref: dict[bytes, dict[UUID, list[Row[tuple[object, ...]]]]] = {}
    for row in await session.execute(rows):
        by_ref.setdefault(bytes(row.subject_ref), {}).setdefault(row.name, []).append(row)
    return {ref: {name: _of_name(of_one) for name, of_one in names.items()} for ref, names in by_ref.items()}


def _of_name(rows: Sequence[Row[tuple[object, ...]]]) -> NameRows:
    made = {bytes(row.locator): row.made_by for row in rows}
    return NameRows(made, min(row.began_at for row in rows), rows[0].ended_at)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The rows that one name of a subject must have, in place of those that it has."""

    ref: bytes
    name: UUID
    current: NameRows
    wanted: Mapping[bytes, str]


async def replace_rows(session: WriteSession, changed: Sequence[Rewritten]) -> None:
    """Give names these rows in place of those that they have, in two statements.

    A row that another open account already has is left out: two ids that were two persons are never merged, so the
    second one is no longer found, which denies. If two accounts want the same row, the account that had it keeps it.
    """
    table = subject_locator.c
    gone = text(
        "DELETE FROM subject_locator USING unnest(CAST(:refs AS bytea[]), CAST(:names AS uuid[])) AS one (ref, id) "
        "WHERE subject_ref = one.ref AND name = one.id"
    )
    await session.execute(gone, {"refs": [each.ref for each in changed], "names": [each.name for each in changed]})
    rows = [(change, locator, made_by) for change in changed for locator, made_by in change.wanted.items()]
    rows.sort(key=lambda change: change[1] not in change[0].current.rows)
    values = [
        {
            table.locator.name: locator,
            table.subject_ref.name: change.ref,
            table.name.name: change.name,
            table.made_by.name: made_by,
            table.began_at.name: change.current.began_at,
            table.ended_at.name: change.current.ended_at,
        }
        for change, locator, made_by in rows
    ]
    if values:
        await session.execute(upsert(subject_locator).on_conflict_do_nothing(), values)


async def made_by_others(session: ReadSession, makers: Collection[str]) -> bool:
    """Return whether some row was made by none of these makers."""
    rows = select(subject_locator.c.locator).where(subject_locator.c.made_by.not_in(list(makers))).limit(1)
    return (await session.execute(rows)).first() is not None


_UNFOUND: Final = text("""
SELECT max(ended_at) FROM subject_locator AS one
WHERE ended_at IS NOT NULL AND made_by <> ALL (:makers) AND NOT EXISTS (
    SELECT FROM subject_locator AS made WHERE made.subject_ref = one.subject_ref AND made.name = one.name
        AND made.made_by = ANY (:makers)
)
""")


async def last_unfound(session: ReadSession, makers: Collection[str]) -> datetime | None:
    """Return when the last account ended whose name these keys cannot find; None when they find every account.

    An erasure keeps no id, so its row stays as the key of that time made it.
    """
    ended_at: datetime | None = (await session.execute(_UNFOUND, {"makers": list(makers)})).scalar_one()
    return ended_at


_LACKS: Final = text("""
SELECT FROM subject_locator AS one WHERE NOT EXISTS (
    SELECT FROM subject_locator AS made WHERE made.subject_ref = one.subject_ref AND made.name = one.name
        AND made.made_by = :maker
) AND (ended_at IS NULL OR EXISTS (
    SELECT FROM subject_vault AS kept WHERE kept.subject_ref = one.subject_ref AND kept.name = one.name
)) LIMIT 1
""")


async def lacks_rows(session: ReadSession, maker: str) -> bool:
    """Return whether an open account's name, or a kept name of a closed account, has no row made by this key."""
    return (await session.execute(_LACKS, {"maker": maker})).first() is not None
