"""What an idle process asks of the database: beats, and hardly anything else, however many others there are."""

import asyncio
import re
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

import pytest

import app.journal.journal as fence_module
from app.journal.journal import Chores, Fence
from tests.faults.service import Server, Service, eventually

if TYPE_CHECKING:
    from app.db.database import Database
    from app.journal.journal import Journal

_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*):\s*(\w[^\n]*|\n[^\n]*)")
_OTHERS = """
INSERT INTO replica (id, lease_ms, seen_at, about)
SELECT gen_random_uuid(), 2000, clock_timestamp() + interval '1 day', 'another' FROM generate_series(1, %s)
"""


@pytest.mark.parametrize("others", [1, pytest.param(49, marks=pytest.mark.deep), 149])
def test_an_idle_process_beats_and_asks_nothing_else(tmp_path, others):
    """While nothing happens, all other statements together are fewer than half of the beats, at 2, 50 and 150 rows."""
    server = Server(tmp_path, {"log_statement": "all"})
    service = Service(tmp_path / "service.log", {**server.settings, "SCEAU_JOBS": "false"})
    try:
        service.wait_until_it_listens()
        with server.administrator() as connection:
            connection.execute(_OTHERS, [others])
        eventually(lambda: service.ok("GET", "/readyz")["leased"])
        time.sleep(4)  # what was new to it is looked at once
        before = server.embedded.log_file.stat().st_size
        seen: Counter[bool] = Counter()
        eventually(lambda: _counted(server, before, seen)[True] >= 20)
    finally:
        service.end()
        server.embedded.stop()
    assert seen[False] < seen[True] / 2, seen


@pytest.mark.parametrize("changes", ["nothing", "the notes by the beat", "the newest note of its own"])
async def test_a_state_that_was_looked_at_is_not_looked_at_again(monkeypatch, changes):
    """The fence looks once at each new state: when a beat reports other notes, or this process has a newer one."""
    monkeypatch.setattr(fence_module, "_LOOK_AGAIN_SECONDS", 0.01)
    notes: list[UUID | None] = [None]
    journal = SimpleNamespace(newest=lambda: notes[-1])
    fence, looks = Fence(cast("Database", None), cast("Journal", journal), lambda: 1), []

    async def looked():
        looks.append(1)

    monkeypatch.setattr(fence, "_watch", looked)

    task = asyncio.create_task(fence.keep_watching())
    for number in range(2):
        fence.pulse.beat(Chores(str(number if "beat" in changes else 0), left=False, dead=False, changes=False))
        notes.append(uuid4() if "own" in changes else None)
        await asyncio.sleep(0.2)
    before = len(looks)
    await asyncio.sleep(0.2)
    task.cancel()
    # The first look does not depend on beats; the second is made if the first came before a state was known.
    assert (len(looks) == before, before) == (True, 2 if changes == "nothing" else 3)


def _counted(server, since, seen):
    """How many statements were beats, and how many were not, since a place of the server's log."""
    lines = server.embedded.log_file.read_text()[since:]
    statements = [match[1].strip() for match in _STATEMENT.finditer(lines)]
    seen.clear()
    seen.update(each.startswith("WITH beaten") for each in statements)
    time.sleep(0.5)
    return seen
