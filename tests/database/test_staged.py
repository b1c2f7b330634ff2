"""Rows that are staged: written by few statements, seen by each later one, gone with the attempt that staged them."""

import pytest
from sqlalchemy import select

from app.core.errors import NotFoundError
from app.db.session import ChangeKind, PartRefusedError, Put
from app.snapshot.tables import change
from tests.support.pools import in_a_session


def _staging(database, work):
    """Do some work in a transaction; the references that it left in `change`."""
    in_a_session(database, work, writes=True)
    return in_a_session(database, _seen)


async def _seen(session):
    return sorted(bytes(ref) for ref in (await session.execute(select(change.c.ref))).scalars())


async def _fails(session, *, reads):
    async with session.attempt():
        session.change(ChangeKind.SUBJECT, b"gone")
        if reads:
            await _seen(session)
        raise NotFoundError


def test_what_is_staged_is_written_with_the_commit(database):
    """Two rows staged and no statement after them: each is there once, and the transaction is known."""

    async def work(session):
        for ref in (b"a", b"b", b"a"):
            session.change(ChangeKind.SUBJECT, ref)
        assert session.committing.xid is None
        await session.flush()
        assert session.committing.xid is not None

    assert _staging(database, work) == [b"a", b"b"]


def test_a_statement_sees_what_was_staged_before_it(database):
    """Nobody who reads within the transaction has to know what is staged."""

    async def work(session):
        session.change(ChangeKind.SUBJECT, b"a")
        assert await _seen(session) == [b"a"]

    _staging(database, work)


def test_an_attempt_that_fails_takes_what_it_staged_away(database):
    """What was staged before it stands, whether the attempt had written its own rows already or not."""

    async def work(session):
        session.change(ChangeKind.SUBJECT, b"before")
        for reads in (True, False):
            with pytest.raises(NotFoundError):
                await _fails(session, reads=reads)
        async with session.attempt():
            session.change(ChangeKind.SUBJECT, b"kept")
        assert list(session.committing.changes) == [(1, b"before"), (1, b"kept")]

    assert _staging(database, work) == [b"before", b"kept"]


def test_a_staged_row_that_the_database_refuses_is_of_its_attempt(database):
    """The database's word comes when the row is written: still within the attempt."""
    wrong = Put(order=1, sql="INSERT INTO change (kind, ref) SELECT NULL, NULL WHERE %(rows)s <> ''")

    async def work(session):
        with pytest.raises(PartRefusedError):
            async with session.attempt():
                session.stage(wrong, {})
        session.change(ChangeKind.SUBJECT, b"after")

    assert _staging(database, work) == [b"after"]
