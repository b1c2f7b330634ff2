"""A program of this host that lies, connects again and again, or has no key: what it can do to others and the log."""

import gc
import json
import math
import select
import socket
import struct
import threading
import time
import weakref
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import pytest

from app.api.decisions.edge import MOST_EDGES, EdgeConnection
from app.db.session import numbered_id
from app.snapshot.leases import boot_clock, boot_seconds
from bench.stale.fleet import KEY
from sceau_client import Edge
from tests.edge.deployments import hung_up_on, served, stranger
from tests.edge.questions import asked
from tests.edge.waiting import wait_until
from tests.support import two_persons
from tests.support.api import question, running
from tests.support.commands import run_command
from tests.support.databases import new_database
from tests.support.decision_rows import logged_rows


class Liar:
    """An edge that says what its test wants, and confirms no change."""

    def __init__(self, path, key: str = KEY):
        """Say hello."""
        self._socket = stranger(path)
        self._said = self._socket.makefile("rb")
        self.heard: list[str] = []
        self.until = 0.0
        self.say({"kind": "hello", "protocol": 1, "key": key, "clock": boot_clock()})

    def say(self, message: dict[str, Any] | bytes) -> None:
        """Send a message."""
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self._socket.sendall(struct.pack(">I", len(payload)) + payload)

    def hear(self, kind: str) -> dict[str, Any]:
        """The next message of a kind."""
        while True:
            (length,) = struct.unpack(">I", self._said.read(4))
            message: dict[str, Any] = json.loads(self._said.read(length))
            self.heard.append(message["kind"])
            if message["kind"] == kind:
                return message

    def keep(self, user: str, name: str) -> int:
        """The number of an answer that may be held, `until` an epoch time."""
        self.hear("lease")
        while True:
            self.say({"kind": "ask", "number": 1, "question": question(user, name)})
            answer = self.hear("answer")
            if answer["body"]["decision"] and answer["keep"] is not None:
                number: int = answer["keep"]["number"]
                self.until = answer["keep"]["until"]
                return number

    def report(self, answer: int, at: float, count: int = 0) -> None:
        """Say that something was decided by an answer at an epoch time."""
        self.say(b"R" + struct.pack("<IIQQd", 1, 0, answer, count, at) + b"handle")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._said.close()
        self._socket.close()


def test_what_an_edge_could_not_have_decided_is_not_logged(service, consented):
    """A reported decision is logged, but not one from before the edge's answer or from long after a withdrawal."""
    before = time.time()
    with Liar(service.socket) as liar:
        kept = liar.keep("alice", consented)
        lost, logged = service.rows("dropped"), service.rows("written")
        for _ in range(5_000):
            liar.say(b"R" + struct.pack("<II", 0, 2**32 - 1))  # so many are lost
        wait_until(lambda: service.rows("dropped") > lost)
        lost = service.rows("dropped")
        assert lost < 2**31
        liar.report(kept, before)
        wait_until(lambda: service.rows("dropped") == lost + 1)
        liar.report(kept, time.time())
        wait_until(lambda: service.rows("written") > logged)
        service.api[1].withdraw("alice", consented)

        def is_dropped():
            liar.report(kept, time.time() + 4.9)
            return service.rows("dropped") > lost + 1

        wait_until(is_dropped)


def test_what_is_reported_is_what_a_replay_decides(database, tmp_path):
    """A decision is logged up to the last instant before time alone ends the edge's answer; then none is."""
    end = int(time.time() * 1e6) + 4_000_000  # a decision of the next few seconds may be reported
    while int(math.nextafter(end / 1e6, 0) * 1e6) != end:  # until rounding alone brings one past the end
        end += 1
    effective = datetime.fromtimestamp(end / 1e6, UTC)
    place = tmp_path / "edge.sock"
    with running(database, edge_socket=place) as api:
        api.agreed("ads", "alice")
        assert two_persons.add(api, "ads", material=True, effective_from=effective.isoformat(), reason="R").is_success
        log = _services(api).recorder.log
        wait_until(place.exists)
        with Liar(place, api.key or "") as liar:
            kept = liar.keep("alice", "ads")
            for at in (math.nextafter(liar.until, 0), liar.until, end / 1e6, end / 1e6 + 0.5):
                liar.report(kept, at)
            wait_until(lambda: log.counts.dropped == 3)
    assert effective - logged_rows(database)[-1].at <= timedelta(microseconds=2)
    since, until = (f"{effective + timedelta(hours=each):%FT%T}" for each in (-1, 1))
    assert " 0 different," in run_command(database, "proof", "replay", "--since", since, "--until", until)[2]


def _services(api):
    return api.client.app.state.services


def test_an_edge_decides_no_earlier_than_its_worker_answered(database, tmp_path):
    """When a beat shows that a worker is ahead of the database's clock, its edges are not behind the worker."""
    place = tmp_path / "edge.sock"
    with running(database, edge_socket=place) as api:
        wait_until(place.exists)
        replica = _services(api).memory.replica
        beats = replica.feed.beats
        replica.feed.database_ahead += 1.5
        now = replica.now()
        wait_until(lambda: replica.feed.beats > beats + 1)
        with Liar(place, api.key or "") as liar:
            assert liar.hear("lease")["ahead"] + boot_seconds() >= now


def test_no_two_reported_decisions_have_one_id(service, consented):
    """A count that was reported before is dropped, in whatever order counts come; no id hides another in a search."""
    with Liar(service.socket, service.caller()["key"]) as liar:
        kept = liar.keep("alice", consented)
        dropped, at = service.rows("dropped"), time.time() + 1
        for count in (7, 5, 7, 5, 2**40 + 6, 6):
            liar.report(kept, at, count)
        wait_until(lambda: service.rows("dropped") == dropped + 3)
    wait_until(lambda: len(_paged(service, consented)) > 3)
    reported = UUID(numbered_id(at, 0, 0).decode()).hex[:12]
    counts = [int(each.hex[-10:], 16) for each in _paged(service, consented) if each.hex[:12] == reported]
    assert sorted(counts) == [5, 6, 7]


def _paged(service, name):
    """The ids of all decisions about a processing, found one at a time."""
    ids: list[UUID] = []
    page: dict[str, Any] | None = {"limit": 1}
    while page is not None:
        page_of_log = service.api[0].ok("POST", "/v1/decisions/search", {"processing": name, "page": page})
        ids += [UUID(each["id"]) for each in page_of_log["items"]]
        page = {"limit": 1, "cursor": page_of_log["next_cursor"]} if "next_cursor" in page_of_log else None
    return ids


def test_a_caller_whose_edges_are_waited_for_again_and_again_is_given_no_lease(service, consented):
    """A caller that a withdrawal had to wait for connects again and gets answers, but no lease."""
    key = service.caller()["key"]
    with Liar(service.socket, key) as liar:
        liar.keep("alice", consented)
        service.api[0].withdraw("alice", consented)
    with Liar(service.socket, key) as again:
        again.hear("welcome")
        again.say({"kind": "ask", "number": 1, "question": question("alice", consented)})
        assert again.hear("answer")["status"] == 200
        assert "lease" not in again.heard


def _stay(path, ended):
    """Hold ninety connections that say nothing, and connect again where one is hung up on."""
    sockets: list[socket.socket] = []
    while not ended.wait(0.01):
        for each in [each for each in sockets if select.select([each], [], [], 0)[0]]:
            each.close()
            sockets.remove(each)
        while len(sockets) < 90:
            sockets.append(stranger(path))
    for each in sockets:
        each.close()


def test_a_program_without_a_key_keeps_no_other_out(service, consented):
    """While a program without a key holds as many silent connections as it can, another program is let in."""
    ended = threading.Event()
    silent = threading.Thread(target=_stay, args=(service.socket, ended))
    silent.start()
    try:
        with service.program() as program:
            wait_until(lambda: program.say(f"alice {consented}") == "permit")
            assert silent.is_alive()
            assert program.say(f"alice {consented}") == "permit"
    finally:
        ended.set()
        silent.join()


def test_a_caller_takes_no_place_that_another_has(service):
    """When one caller's edges hold every place, its next one is refused, and another caller's edge is let in."""
    name = service.register()
    greedy, modest = (service.caller()["key"] for _ in range(2))
    with ExitStack() as stack:
        liars = [stack.enter_context(Liar(service.socket, greedy)) for _ in range(MOST_EDGES)]
        for each in liars:
            each.hear("welcome")
        with Liar(service.socket, greedy) as one_more, pytest.raises(struct.error):
            one_more.hear("welcome")
        with Edge(service.socket, modest) as edge:
            answered = edge.ask(asked("alice", name)).result(10)
            assert answered is not None
            assert answered.reason == "no_consent"


def test_what_a_connection_holds_is_freed_at_its_end(database, tmp_path, monkeypatch):
    """A connection that has ended is freed without the garbage collector, once its edge can decide nothing more."""
    made, begin = [], EdgeConnection.__init__

    def noted(self, edges):
        made.append(weakref.ref(self))
        begin(self, edges)

    monkeypatch.setattr(EdgeConnection, "__init__", noted)
    place = tmp_path / "edge.sock"
    gc.disable()
    try:
        with running(database, edge_socket=place) as api:
            api.agreed("ads", "alice")
            wait_until(place.exists)
            with Liar(place, api.key or "") as liar:
                liar.keep("alice", "ads")
            assert made
            assert made[0]() is not None
            wait_until(lambda: made[0]() is None)
            assert [each() for each in made] == [None]
    finally:
        gc.enable()


def test_who_leaves_before_it_is_let_in_says_nothing_odd(service):
    """A client whose first message is a goodbye is hung up on, and the log does not say that it sent no message."""
    log = service.workers[0].log
    before = log.read_text().count("no message")
    for _ in range(5):
        assert hung_up_on(service.socket, struct.pack(">I", 14) + b'{"kind":"bye"}')
    assert log.read_text().count("no message") == before


def test_keys_that_are_guessed_are_bounded_as_over_http(tmp_path):
    """After five unknown keys in a minute, further ones are not logged; a key that was good before is still let in."""
    bounded = "unknown_keys=5/60"
    with new_database() as database, served(database, tmp_path, workers=1, SCEAU_RATE_LIMITS=bounded) as service:
        with Edge(service.socket, KEY) as edge:
            assert edge.leased
        for number in range(30):
            with Liar(service.socket, f"sceau_{number:043}") as liar, pytest.raises(struct.error):
                liar.hear("welcome")
        with Edge(service.socket, KEY) as edge:
            assert edge.leased
        assert service.workers[0].log.read_text().count("an edge was refused") == 5
