"""Which notes of a journal are the latest, even with a wrong clock."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from app.db.session import Committing
from app.journal.files import JournalError, SeenNotes
from app.journal.journal import Journal, JournalPlan
from app.ledger.identifiers import Vault

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
MANY = 200


class Host:
    """A host with a clock, whose processes note withdrawals in one directory."""

    def __init__(self, directory):
        """Stand at noon."""
        self.now, self.plan = NOON, JournalPlan(lambda: self.now, Vault({"first": b"\x22" * 32}), directory)
        self.process = Journal(self.plan)

    async def note(self, number):
        """Note so many withdrawals; the ids of their notes."""
        made = set()
        for _ in range(number):
            self.now += timedelta(milliseconds=10)
            session = Session()
            session.committing.notes.append(("other", {"what": "a withdrawal", "about": "x"}, None))
            noted = self.process.note(cast("Any", session))
            await self.process.keep(cast("Any", None), noted, repeats=False)
            made |= {each.id for each in noted.notes}
        return made


class Session:
    """A stand-in for a transaction that is noted."""

    def __init__(self):
        """A transaction that forbids."""
        self.committing = Committing(narrowing=True)

    def stage(self, put, row):
        """Write nothing."""


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=40)])
async def test_notes_made_after_a_clock_was_put_right_are_among_the_latest(tmp_path, ahead):
    """Notes made after a fast clock was put right are among the latest, despite many notes made before that."""
    host = Host(tmp_path)
    host.now = NOON + ahead
    before = await host.note(MANY)
    host.now = NOON + timedelta(minutes=1)
    after = await host.note(50)
    for process in (host.process, Journal(host.plan)):
        ids = {each.id for each in (await process.latest()).notes}
        assert after <= ids
        assert ids <= before | after


async def test_what_was_seen_is_known_to_the_next_process_and_to_this_one_where_it_cannot_be_written(tmp_path):
    """The next process knows which notes were seen from a file; if that cannot be written, this process still knows."""
    host = Host(tmp_path / "journal")
    (tmp_path / "journal").mkdir()
    seen = SeenNotes(3, frozenset({UUID(int=1), UUID(int=2)}))
    assert host.process.has_not_seen(seen)
    await host.process.see(seen)
    assert not host.process.has_not_seen(seen)
    assert not host.process.has_not_seen(SeenNotes(3, frozenset({UUID(int=1)})))
    assert seen in (await Journal(host.plan).latest()).seen
    gone = Host(tmp_path / "gone")
    with pytest.raises(JournalError):
        await gone.process.see(seen)
    assert seen in gone.process.recent().seen


async def test_what_was_not_compared_yet_is_never_forgotten(tmp_path):
    """All notes made before a comparison are kept for it, and after it only the latest are."""
    host = Host(tmp_path)
    first = await host.note(1)
    await host.note(2 * MANY)
    recent = host.process.recent()
    assert first <= {each.id for each in recent.notes}
    meanwhile = await host.note(1)
    host.process.compared(recent)
    kept = {each.id for each in host.process.recent().notes}
    assert (len(kept), meanwhile <= kept, first <= kept) == (MANY + 1, True, False)
