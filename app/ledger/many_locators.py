"""Whose ledgers many names lead to, in a few statements: for an import, which opens hundreds at a time.

What `app.ledger.locators.hold_subject` does for one. The names and the accounts behind them must be held already.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text

from app.db.lookups import Lookup, Prepared
from app.db.many import as_refs
from app.db.session import Put, WriteSession
from app.ledger.locators import REF_BYTES, Located


@dataclass(frozen=True, slots=True)
class WantedSubject:
    """A subject by the locators that it is written down under, one for each key, each with what made it."""

    found_by: Mapping[bytes, str]
    type: str


@dataclass(frozen=True, slots=True)
class LocatedOne:
    """A subject that is held. `linked`: it has other names. `rows`: locators that it is to be written down under yet.

    `new`: nothing is recorded of it, so that its own row is to be written too.
    """

    located: Located
    type: str
    linked: bool
    new: bool
    rows: Mapping[bytes, str]


_SUBJECT: Final = Put(
    order=10,
    sql="""
INSERT INTO subject (subject_ref, type, created_at) SELECT decode(ref, 'hex'), type, at
FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (ref text, type text, at timestamptz)
""",
)
# Refused by the database where the name has an account after all: nothing may be recorded under a second one.
_LOCATOR: Final = Put(
    order=20,
    sql="""
INSERT INTO subject_locator (locator, subject_ref, made_by, began_at)
SELECT decode(locator, 'hex'), decode(ref, 'hex'), made_by, at
FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (locator text, ref text, made_by text, at timestamptz)
""",
)
_BEHIND: Final = Prepared(
    text("""
SELECT found.locator, subject_ref, ended_at,
    EXISTS (SELECT FROM subject_vault WHERE subject_vault.subject_ref = found.subject_ref) AS id_kept,
    EXISTS (SELECT FROM subject_alias WHERE found.subject_ref IN (first_ref, second_ref)) AS linked,
    ARRAY(
        SELECT mailbox.locator FROM subject_locator AS mailbox JOIN shared_mailbox USING (subject_ref)
        WHERE holders @> ARRAY[found.subject_ref] AND shared_mailbox.ended_at IS NULL AND mailbox.ended_at IS NULL
    ) AS mailboxes
FROM subject_locator AS found
WHERE locator = ANY (ARRAY(SELECT decode(each, 'hex') FROM string_to_table(:locators, ',') AS each))
""")
)


def located_many(wanted: Sequence[WantedSubject]) -> Lookup[list[LocatedOne]]:
    """Find the subjects of many names, in their order. One of which nothing is recorded is written by `begin_account`.

    Args:
        wanted: each name once; the names and the accounts behind them are held by the transaction that looks.

    """
    every = [locator for each in wanted for locator in each.found_by]
    return Lookup(_BEHIND, {"locators": as_refs(every)}, lambda rows: _all_located(wanted, rows))


def _all_located(wanted: Sequence[WantedSubject], rows: Sequence[Any]) -> list[LocatedOne]:
    live = {bytes(each.locator): each for each in rows if each.ended_at is None}
    closed: dict[bytes, datetime] = {}
    for row in sorted((each for each in rows if each.ended_at is not None), key=lambda each: each.ended_at):
        closed[bytes(row.locator)] = row.ended_at
    return [_located(each, live, closed) for each in wanted]


def _located(wanted: WantedSubject, live: Mapping[bytes, Any], closed: Mapping[bytes, datetime]) -> LocatedOne:
    """A subject by what its locators lead to now, and when accounts that they led to were last closed."""
    until = max((closed[locator] for locator in wanted.found_by if locator in closed), default=None)
    lacking = {locator: maker for locator, maker in wanted.found_by.items() if locator not in live}
    rows = [live[locator] for locator in wanted.found_by if locator in live]
    if not rows:
        new = Located(secrets.token_bytes(REF_BYTES), tuple(wanted.found_by), until, id_kept=False)
        return LocatedOne(new, wanted.type, linked=False, new=True, rows=lacking)
    locators = (*wanted.found_by, *map(bytes, rows[0].mailboxes))
    held = Located(bytes(rows[0].subject_ref), locators, until, rows[0].id_kept)
    return LocatedOne(held, wanted.type, rows[0].linked, new=False, rows=lacking)


def begin_account(session: WriteSession, one: LocatedOne, at: datetime) -> None:
    """Write the rows that a subject lacks; once, in the transaction that located it."""
    if one.new:
        session.stage(_SUBJECT, {"ref": one.located.ref, "type": one.type, "at": at})
    for locator, maker in one.rows.items():
        session.stage(_LOCATOR, {"locator": locator, "ref": one.located.ref, "made_by": maker, "at": at})
