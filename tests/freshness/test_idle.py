"""What an idle process asks of the database: beats, and hardly anything else, however many others there are."""

import re
import time
from collections import Counter

import pytest

from tests.faults.service import Server, Service, eventually

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


def _counted(server, since, seen):
    """How many statements were beats, and how many were not, since a place of the server's log."""
    told = server.embedded.log_file.read_text()[since:]
    found = [match[1].strip() for match in _STATEMENT.finditer(told)]
    seen.clear()
    seen.update(each.startswith("WITH beaten") for each in found)
    time.sleep(0.5)
    return seen
