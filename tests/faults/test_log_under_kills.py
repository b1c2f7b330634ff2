"""Every durable permit is logged once, while the log's connections are ended and its hours are merged."""

import asyncio
import random
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import httpx2
import pytest

from app.db.database import Database, DatabaseUnavailableError
from app.jobs.tasks import close_all
from app.jobs.work import Work
from app.operations.proof import close_hours
from app.wiring.parts import deployment_of
from tests.faults.service import Service
from tests.faults.words import ADS, decision, question
from tests.support.api import BOOTSTRAP, settings_for
from tests.support.databases import TestDatabase
from tests.support.decision_rows import logged_rows

_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE query LIKE '%decision_writer%' AND pid <> pg_backend_pid()
"""
_PEOPLE = [f"user{number}" for number in range(6)]


@pytest.fixture
def durable(server, serve) -> Service:
    """Two workers that answer a permit once it is logged."""
    service: Service = serve(workers=2, SCEAU_DECISION_LOG="durable")
    service.call("POST", "/v1/processings", ADS)
    for name in _PEOPLE:
        service.ok("POST", "/v1/consents", decision(name))
    return service


def _ask(port, seed, stop, answered, refused):
    """Ask until `stop` is set; collect the ids of permits, and the status of each other answer."""
    chance, keyed = random.Random(seed), {"Authorization": f"Bearer {BOOTSTRAP}"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=keyed, timeout=30) as client:
        while not stop.is_set():
            answer = client.post("/access/v1/evaluation", json=question(chance.choice(_PEOPLE), "ads-mail"))
            if answer.status_code == 200 and answer.json()["decision"]:
                answered.append(answer.json()["context"]["id"])
            else:
                refused.append(answer.status_code)


@pytest.mark.deep
def test_every_answered_permit_is_logged_once(server, durable, monkeypatch):
    """Each answered permit is logged exactly once, although connections are ended and segments are merged meanwhile."""
    database = TestDatabase("", server.owner_url, server.app_url)
    stop, answered, refused = threading.Event(), list[str](), list[int]()
    ended, merged = [0], [0]

    def end_connections():
        while not stop.wait(0.2):
            with server.administrator() as administrator:
                ended[0] += administrator.execute(_END).fetchall()[0][0]

    def merge():
        async def forever():
            work = Work(Database(database.app_url), deployment_of(settings_for(database)))
            while not stop.is_set():
                monkeypatch.setattr(close_hours, "_SETTLED", random.choice([timedelta(0), timedelta(hours=-1)]))
                with suppress(DatabaseUnavailableError):
                    merged[0] += await close_all(work)
                await asyncio.sleep(0.05)
            await work.database.close()

        asyncio.run(forever())

    monkeypatch.setattr(close_hours, "_MANY", 5)
    threads = [threading.Thread(target=_ask, args=(durable.port, seed, stop, answered, refused)) for seed in range(3)]
    threads += [threading.Thread(target=each) for each in (end_connections, merge)]
    for thread in threads:
        thread.start()
    threads[0].join(8)
    stop.set()
    for thread in threads:
        thread.join()
    durable.end()
    counts = Counter(str(each.id) for each in logged_rows(database))
    assert set(answered) <= counts.keys()
    assert max(counts.values()) == 1
    assert min(len(answered), ended[0], merged[0]) > 0
    assert set(refused) <= {503}
