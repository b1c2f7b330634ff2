from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from app.auth.callers import Caller, Scope
from app.core.consent import EventKind
from app.operations.consents.ledgers import open_ledgers
from app.operations.consents.recorder import Collected, Withdrawal, named_in, record
from app.operations.service.deployment import SubjectName
from app.wiring.parts import deployment_of
from tests.support.api import settings_for, utc
from tests.support.consents import SIGNED, notice_of, proof
from tests.support.pools import in_a_session

CALLER = Caller(UUID(int=1), "test", frozenset(Scope), None, utc("2026-01-01T00:00:00Z"))
ALICE = SubjectName("user", "alice@example.fr")
SAID = proof(notice_of("ads-mail"), SIGNED)
GRANT = Collected(ALICE, "ads-mail", EventKind.GRANTED, SAID, collected_at=datetime.now(UTC) - timedelta(seconds=1))
TRACES = ("subject", "subject_vault", "consent_event", "consent", "change", "outbox")


class CutError(Exception):
    """What ends a transaction before its commit."""


def _counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return {table: len(connection.execute(f"SELECT FROM {table}").fetchall()) for table in TRACES}


async def _say(session, deployment, *arguments):
    """Record decisions about one person."""
    named = named_in(arguments)
    opened = await open_ledgers(session, deployment, named, ["ads-mail"], documents=named)
    for each in arguments:
        await record(CALLER, each, opened)


@pytest.fixture
def registered(api, database):
    """A database on which ads-mail is registered, and what every table holds."""
    api.register("ads-mail")
    return database


def test_a_rollback_leaves_neither_event_nor_change_nor_outbox_row(registered):
    """What is recorded and what is told of it are one transaction: cut short, none of it is there."""
    before = _counts(registered.owner_url)
    deployment = deployment_of(settings_for(registered))

    async def cut(session):
        await _say(session, deployment, GRANT, Withdrawal(ALICE, "ads-mail"))
        raise CutError

    with pytest.raises(CutError):
        in_a_session(registered, cut, writes=True)
    assert _counts(registered.owner_url) == before


def test_event_change_and_outbox_carry_one_transaction(registered):
    """The change and outbox rows of a grant bear the id of the transaction that made its ledger row."""
    deployment = deployment_of(settings_for(registered))

    async def granted(session):
        await _say(session, deployment, GRANT)

    in_a_session(registered, granted, writes=True)
    with psycopg.connect(registered.owner_url) as connection:
        ((ref, xmin),) = connection.execute("SELECT subject_ref, xmin::text FROM consent_event").fetchall()
        changed = connection.execute(
            "SELECT xid::text FROM change WHERE kind = 1 AND ref = (SELECT locator FROM subject_locator)"
        ).fetchall()
        queued = connection.execute("SELECT xid::text, type FROM outbox WHERE subject_ref = %s", [ref]).fetchall()
    assert changed == [(xmin,)]
    assert queued == [(xmin, "fr.sceau.consent.granted")]


def test_a_refused_commit_leaves_nothing(registered):
    """A failure at the very end of the transaction, after the last statement, undoes it all."""
    before = _counts(registered.owner_url)
    deployment = deployment_of(settings_for(registered))

    async def doomed(session):
        await _say(session, deployment, GRANT)
        await session.execute(text("SELECT 1 / 0"))

    with pytest.raises(Exception, match="division by zero"):
        in_a_session(registered, doomed, writes=True)
    assert _counts(registered.owner_url) == before
