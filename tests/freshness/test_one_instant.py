"""All facts of a decision stood at one instant: what changes while a question waits for a read is read again."""

import asyncio
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

import app.operations.decisions.from_database
import app.snapshot.replica
from app.snapshot.leases import RecordCache
from tests.faults.service import wait_for_lease
from tests.support import two_persons
from tests.support.api import question, running
from tests.support.consents import grant

ONE = "/access/v1/evaluation"
MODES = ["leased", "strict"]
LONG = timedelta(seconds=10)
"""A lease that does not lapse on a slow machine: without one, a question does not come to the gate of a leased read."""
WIDER = {"elements": ["content", "attachments", "subject_line"]}


class Gate:
    """Holds one call up once, until it is let go."""

    def __init__(self):
        """Hold the first call that comes."""
        self.reached, self.go, self._taken = threading.Event(), threading.Event(), False

    async def wait(self):
        """Wait, the first time."""
        if not self._taken:
            self._taken = True
            self.reached.set()
            while not self.go.is_set():  # noqa: ASYNC110 - another thread lets it go
                await asyncio.sleep(0.005)


def held_up(monkeypatch, mode, leased, strict):
    """The gate at which a process waits before the read of that name."""
    gate = Gate()
    module = app.snapshot.replica if mode == "leased" else app.operations.decisions.from_database
    name = leased if mode == "leased" else strict
    read = getattr(module, name)

    async def slow(*args, **options):
        await gate.wait()
        return await read(*args, **options)

    monkeypatch.setattr(module, name, slow)
    return gate


@contextmanager
def asking(api, gate, answers, about="ads", name="alice"):
    """A question waits at the gate while the block runs, and is answered at its end."""
    thread = threading.Thread(target=lambda: answers.append(api.call("POST", ONE, question(name, about))))
    thread.start()
    assert gate.reached.wait(60)
    yield
    gate.go.set()
    thread.join()


def suspended(api, about, _key=None):
    """Suspend the processing."""
    api.ok("PATCH", f"/v1/processings/{about}", {"status": "suspended"})


def widened(api, about, _key=None):
    """Add a material version."""
    assert two_persons.add(api, about, material=True, **WIDER).status_code == 201


def invalidated(api, about, _key):
    """Invalidate the version."""
    api.ok("POST", f"/v1/processings/{about}/invalidations", {"version": 1, "reason": "A mistake."})


def revoked(api, _about, key):
    """Revoke the key that asks."""
    assert api.call("DELETE", f"/v1/keys/{key}").is_success


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_permitted_that_was_right_at_no_instant(database, mode):
    """A grant that is recorded after a narrowing write does not permit a question that had read what was before it."""
    with (
        running(database, cache=mode, lease=LONG) as other,
        running(database, cache=mode, lease=LONG) as api,
    ):
        if mode == "leased":
            wait_for_lease(other)
        for narrow in (suspended, widened, invalidated, revoked):
            about = f"ads-{narrow.__name__}"
            api.register(about)
            key = api.ok("POST", "/v1/keys", {"name": "asker", "scopes": ["decisions:evaluate"]})
            answers: list[Any] = []
            with pytest.MonkeyPatch.context() as patch:
                gate = held_up(patch, mode, "fetch_people", "load_people")
                with asking(other.with_key(key["key"]), gate, answers, about, narrow.__name__):
                    narrow(api, about, key["id"])
                    assert api.call("POST", "/v1/consents", grant(narrow.__name__, about)).status_code == 201
            assert answers[0].json().get("decision") is not True, about


class _ThirdStatement:
    """A session whose third statement waits at a gate."""

    def __init__(self, session, gate):
        self._session, self._gate, self._number = session, gate, 0

    async def execute(self, *args, **options):
        self._number += 1
        if self._number == 3:
            await self._gate.wait()
        return await self._session.execute(*args, **options)


@pytest.mark.parametrize("mode", MODES)
def test_a_register_entry_is_of_one_instant(database, monkeypatch, mode):
    """The versions of before and the status of after, read in several statements, do not make one entry."""
    module = app.snapshot.replica if mode == "leased" else app.operations.decisions.from_database
    with running(database, cache=mode, lease=LONG) as api:
        if mode == "leased":
            wait_for_lease(api)
        api.agreed("ads", "alice")
        suspended(api, "ads")
        answers: list[Any] = []
        gate, read = Gate(), module.load_processings

        async def slow(session, *args, **options):
            return await read(_ThirdStatement(session, gate), *args, **options)

        monkeypatch.setattr(module, "load_processings", slow)
        with asking(api, gate, answers):
            widened(api, "ads")
            api.ok("PATCH", "/v1/processings/ads", {"status": "active"})
        assert answers[0].json()["decision"] is False


async def test_what_a_call_waits_for_is_kept_until_it_changes():
    """A small memory keeps all that one call needs, and gives up what was dropped; control: else it forgets."""
    keys = ["a", "b", "c", "d", "e"]
    small: RecordCache[str, str] = RecordCache(2)

    def read():
        for key, flight in small.lead(keys).items():
            small.land(key, flight, f"what {key} is")

    read()
    assert small.get("a") is None
    small.expect(keys)
    read()
    assert all(small.get(key) for key in keys)
    small.drop("a")
    assert small.get("a") is None
    small.release(keys)
    assert small.get("b") is None
