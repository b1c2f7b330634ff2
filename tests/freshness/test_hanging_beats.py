"""While no beat commits, questions that need a proof are refused at once: each would wait as long as the feed."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.db.database import DatabaseUnavailableError
from app.snapshot.last_known import PrimaryReads
from app.snapshot.leases import Lease


class Asked(Exception):
    """The database was asked."""


class Counting:
    """A stand-in for the database that only shows that it was asked."""

    def read_and_prove(self, **_):
        """As `Database.read_and_prove`."""
        raise Asked


def reads(*, hangs, synchronous):
    """A `PrimaryReads` beside a feed that is between two connections."""

    async def settled():
        return

    feed = SimpleNamespace(hangs=hangs, lease=Lease(), server=None, connected=False, settled=settled)
    made: dict[str, Any] = {"look": None, "synchronous": synchronous, "patience": 2.0}
    return PrimaryReads(cast("Any", Counting()), cast("Any", feed), **made)


async def test_a_question_is_refused_while_no_beat_commits():
    """While the feed of a synchronous deployment hangs, the database is not asked, and the cause is counted."""
    made = reads(hangs=True, synchronous=True)
    with pytest.raises(DatabaseUnavailableError):
        await made.read().__aenter__()
    assert made.causes == {("no_commit",): 1}


@pytest.mark.parametrize(("hangs", "synchronous"), [(False, True), (True, False)])
async def test_else_the_database_is_asked(hangs, synchronous):
    """Control: the database is asked if the last connection had a beat, or if no commit waits for a standby."""
    with pytest.raises(Asked):
        await reads(hangs=hangs, synchronous=synchronous).read().__aenter__()
