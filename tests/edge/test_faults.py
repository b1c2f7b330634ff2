"""When an edge, its key or its worker fails, withdrawals are answered and no permit is stale."""

import itertools
import json
import signal
import struct
import threading

import pytest

from app.snapshot.leases import boot_clock, boot_seconds
from bench.stale.fleet import KEY
from sceau_client import AsyncClient, Client, Edge, Outcome
from tests.edge.deployments import hung_up_on, served, stranger
from tests.edge.questions import asked
from tests.edge.waiting import wait_until
from tests.support.databases import new_database
from tests.support.narrowings import NARROWINGS


def permitting(program, name):
    """The program, once it holds a permit."""
    wait_until(lambda: program.say(f"alice {name}") == "permit")
    assert program.say(f"alice {name}") == "permit"


def answers_until_deny(program, name):
    """What the program says until it denies; none: it has no lease, and asks over HTTP."""
    printed: list[str] = []

    def denied():
        printed.append(program.say(f"alice {name}"))
        return printed[-1] == "deny"

    wait_until(denied)
    return printed


def holding(edge, name):
    """Return when the edge holds a permit; at first, notice of what was just recorded may drop it again."""
    wait_until(lambda: edge.ask(asked("alice", name)).result(10) and edge.permits("alice", name, "handle"))


@pytest.mark.parametrize("worker", [0, 1])
def test_a_stopped_edge_is_waited_for_and_permits_nothing_when_it_wakes(service, consented, worker):
    """An edge stopped during a withdrawal denies when it wakes; meanwhile `/readyz` notes that an edge is silent."""
    with service.program(service.caller()["key"]) as program:
        permitting(program, consented)
        program.process.send_signal(signal.SIGSTOP)
        service.api[worker].withdraw("alice", consented)
        notes = service.api[0].ok("GET", "/readyz")["notes"]
        service.api[worker].withdraw("bob", consented)
        program.process.send_signal(signal.SIGCONT)
        assert {*answers_until_deny(program, consented)} <= {"none", "deny"}
    assert any("edge" in note for note in notes)


def test_an_edge_that_was_killed_holds_no_lease(tmp_path):
    """The kernel reports that the edge's process has ended, so a withdrawal is answered before its lease is over."""
    with new_database() as database, served(database, tmp_path, workers=1, SCEAU_LEASE="PT10S") as service:
        name = service.consented()
        with service.program() as program:
            permitting(program, name)
            program.process.kill()
            program.process.wait()
            began = boot_seconds()
            service.api[0].withdraw("alice", name)
            answered = boot_seconds()
        # A lease of ten seconds that was granted a beat (1.25 s) before the kill, at the earliest, was not waited for.
        assert answered < began + 8.5


@pytest.mark.parametrize("fork", ["fork", "fork in C"])
def test_a_fork_takes_nothing_along(service, consented, fork):
    """The child of any fork asks anew, and denies after a withdrawal what its parent held a permit for."""
    with service.program() as program:
        permitting(program, consented)
        assert program.say(fork) == "forked"
        # On a busy machine the child may be connected by the time that it asks.
        assert program.answer(f"alice {consented}") in {"none", "permit socket"}
        service.api[1].withdraw("alice", consented)
        assert {*answers_until_deny(program, consented)} <= {"none", "deny"}


@pytest.mark.parametrize("narrowing", NARROWINGS.values(), ids=NARROWINGS)
@pytest.mark.parametrize("worker", [0, 1])
def test_a_caller_that_is_narrowed_is_answered_nothing_more(service, consented, narrowing, worker):
    """Once a caller's narrowing was answered, its edge's memory answers nothing, and the socket does not permit."""
    made = service.caller()
    with Edge(service.socket, made["key"]) as edge:
        holding(edge, consented)
        service.api[worker].ok(*narrowing(made, consented))
        assert edge.permits("alice", consented, "handle") is None
        answered = edge.ask(asked("alice", consented)).result(10)
        assert answered is None or answered.outcome is Outcome.UNKNOWN


def test_a_caller_that_was_changed_and_may_still_ask_goes_on(service, consented):
    """An edge whose caller was changed and may still ask gets a lease again and holds permits."""
    made = service.caller()
    with Edge(service.socket, made["key"]) as edge:
        assert edge.ask(asked("alice", consented)).result(10)
        service.api[1].ok("PATCH", f"/v1/keys/{made['id']}", {"processings": [consented]})
        wait_until(lambda: edge.leased)
        holding(edge, consented)


def message(payload: bytes) -> bytes:
    """A message as it travels."""
    return struct.pack(">I", len(payload)) + payload


HELLO = {"kind": "hello", "protocol": 1, "key": KEY, "clock": boot_clock()}
WRONG = {
    "a wrong key": message(json.dumps({**HELLO, "key": "sceau_" + "x" * 43}).encode()),
    "another protocol": message(json.dumps({**HELLO, "protocol": 2}).encode()),
    "another time namespace": message(json.dumps({**HELLO, "clock": "time:[1]"}).encode()),
    "no time namespace named": message(json.dumps({"kind": "hello", "protocol": 1, "key": KEY}).encode()),
    "no hello": message(b'{"kind":"ask","number":1,"question":{}}'),
    "no JSON": message(b"{"),
    "no kind": message(b"{}"),
    "a report before the hello": message(b"R" + struct.pack("<II", 0, 4_000_000_000)),
    "nested too deep": message(b"[" * 3_000),
    "a hello that is too long": message(json.dumps({**HELLO, "key": "x" * 5_000}).encode()),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "nothing in it": struct.pack(">I", 0),
    "too long": struct.pack(">I", 2**31),
}


@pytest.mark.parametrize("sent", WRONG.values(), ids=WRONG)
def test_what_is_no_edge_is_hung_up_on_without_an_answer(service, sent):
    """A program without a good hello is hung up on without an answer, and the worker keeps its lease."""
    assert hung_up_on(service.socket, sent)
    assert service.api[0].ok("GET", "/readyz")["leased"]


def _welcomed(service, hello):
    """What Sceau says first to an edge."""
    with stranger(service.socket, message(json.dumps(hello).encode())) as edge, edge.makefile("rb") as answers:
        (length,) = struct.unpack(">I", answers.read(4))
        return json.loads(answers.read(length))


def test_sceau_gives_each_edge_its_number(service):
    """Sceau gives each edge a different number and ignores one that the edge proposes."""
    numbers = [_welcomed(service, {**HELLO, "ids": 5})["ids"] for _ in range(3)]
    assert len({5, *numbers}) == 4


def test_programs_that_hang_up_again_and_again_keep_nobody_from_the_database(service):
    """Programs that hang up before their key is looked up do not keep other callers from being answered."""
    ended = threading.Event()

    def hang_up():
        for number in itertools.count():
            if ended.wait(number % 7 * 0.0007):
                return
            key = KEY if number % 2 else "sceau_" + "x" * 43
            stranger(service.socket, message(json.dumps({**HELLO, "key": key}).encode())).close()

    programs = [threading.Thread(target=hang_up) for _ in range(4)]
    for each in programs:
        each.start()
    try:
        made = {service.caller()["id"] for _ in range(60)}
    finally:
        ended.set()
        for each in programs:
            each.join()
    assert len(made) == 60


def test_a_torn_message_of_an_edge_ends_its_connection(service):
    """A torn report after a good hello ends the edge's connection."""
    with stranger(service.socket, message(json.dumps(HELLO).encode())) as edge:
        assert edge.recv(4)
        edge.sendall(message(b"R\x01\x00\x00\x00\x00\x00\x00\x00torn"))
        while edge.recv(4096):
            pass


def test_who_is_no_edge_changes_no_count(service):
    """A report before the hello is not read, so the count of dropped rows stays."""
    before = service.rows("dropped")
    assert hung_up_on(service.socket, WRONG["a report before the hello"])
    assert service.rows("dropped") == before


def test_long_handles_are_logged_and_what_is_no_handle_is_not_answered_from_memory(service, consented):
    """All decisions with long handles are logged; memory does not answer a handle that Sceau would refuse."""
    before, lost = service.rows("written"), service.rows("dropped")
    with Edge(service.socket, KEY) as edge:
        holding(edge, consented)
        assert all(edge.permits("alice", consented, f"{number:0512}") for number in range(2_500))
        assert edge.permits("alice", consented, "x" * 513) is None
        assert edge.recall(asked("alice", consented, "x" * 513)) is None

    wait_until(lambda: service.rows("written") >= before + 2_501)
    assert service.rows("dropped") == lost


def test_an_edge_that_is_closed_or_cannot_start_raises_nothing(service, consented, monkeypatch):
    """A client whose edge is closed or cannot start goes on over HTTP."""
    closed = Edge(service.socket, KEY)
    closed.close()
    broken = Edge(service.socket, KEY)
    monkeypatch.setattr("sceau_client.edge._Link", _no_files)
    for edge in (closed, broken):
        with Client(service.url(), KEY, refresh=None, edge=edge) as client:
            assert client.evaluate(asked("alice", consented))
        assert edge.ask(asked("alice", consented)).result(10) is None


def _no_files(*_):
    raise OSError(24, "no file is left")


def _decide_until_none(edge, name):
    while edge.permits("alice", name, "handle") is not None:
        pass


def test_the_socket_is_for_owner_and_group(service):
    """The socket's mode lets only its owner and its group connect."""
    assert service.socket.stat().st_mode & 0o777 == 0o660


async def test_a_client_uses_http_where_there_is_no_socket(service, consented, tmp_path):
    """A client whose edge finds no socket asks over HTTP, with threads and with asyncio."""
    edge = Edge(tmp_path / "none.sock", KEY)
    with Client(service.url(), KEY, refresh=None, edge=edge) as client:
        assert client.evaluate(asked("alice", consented))
    async with AsyncClient(service.url(), KEY, refresh=None, edge=edge) as other:
        assert await other.evaluate(asked("alice", consented))
    edge.close()


def test_a_client_connects_its_edge(service, consented):
    """An edge that nobody has started is connected by its client's questions, and answers from memory soon."""
    key = service.caller()["key"]
    edge = Edge(service.socket, key)
    with Client(service.url(), key, refresh=None, edge=edge) as client:
        wait_until(lambda: client.evaluate(asked("alice", consented)).local)
        assert edge.leased
    edge.close()


async def test_a_client_with_an_edge_asks_once(service, consented):
    """A client's second answer to a question comes from the edge's memory, with threads and with asyncio."""
    with Edge(service.socket, KEY) as edge, Client(service.url(), KEY, refresh=None, edge=edge) as client:
        holding(edge, consented)
        first, second = client.evaluate(asked("bob", consented)), client.evaluate(asked("bob", consented))
        assert (first.local, second.local) == (False, True)
        assert client.require_all(["alice"], consented, asked("alice", consented).correspondence)
        async with AsyncClient(service.url(), KEY, refresh=None, edge=edge) as other:
            answered = await other.evaluate_many([asked(each, consented) for each in ("alice", "carol")])
        assert [each.local for each in answered] == [True, False]
        assert [each.outcome for each in answered] == [Outcome.PERMIT, Outcome.DENY]


def test_what_the_edge_decides_is_in_the_log_under_the_id_that_it_told(service, consented):
    """Each decision from memory is logged under the id that the edge gave, with its reason and caller."""
    made = service.caller()
    with Edge(service.socket, made["key"]) as edge:
        holding(edge, consented)
        answers = [edge.recall(asked("alice", consented, f"m-{number}")) for number in range(20)]
        assert all(edge.permits("alice", consented, f"n-{number}") for number in range(10))
    ids = {decision.id for decision in answers if decision is not None}
    assert len(ids) == 20

    def logged():
        items = service.api[0].ok(
            "POST", "/v1/decisions/search", {"subject": {"type": "user", "id": "alice"}, "processing": consented}
        )["items"]
        return [each for each in items if each["caller"] == made["id"]]

    wait_until(lambda: len(logged()) >= 31)
    assert ids <= {each["id"] for each in logged()}
    assert {each["reason"] for each in logged()} == {"consent_in_force"}


def test_a_worker_that_stops_takes_the_leases_back(tmp_path):
    """A worker stops although an edge goes on deciding; then its memory answers nothing, and a client uses HTTP."""
    with new_database() as database, served(database, tmp_path) as service:
        name = service.consented()
        with Edge(service.socket, KEY) as edge:
            holding(edge, name)
            busy = threading.Thread(target=_decide_until_none, args=(edge, name))
            busy.start()
            service.workers[0].stop()
            assert edge.permits("alice", name, "handle") is None
            busy.join(30)
            assert not busy.is_alive()
            service.api[1].withdraw("alice", name)
            with Client(service.url(1), KEY, refresh=None, edge=edge) as client:
                assert client.evaluate(asked("alice", name)).outcome is Outcome.DENY


def test_another_worker_serves_the_socket_when_the_first_has_ended(tmp_path):
    """When the worker that serves the socket is killed, another serves it, and an edge finds that one by itself."""
    with new_database() as database, served(database, tmp_path, both=True) as service:
        name = service.consented(1)
        with Edge(service.socket, KEY) as edge:
            assert edge.ask(asked("alice", name)).result(10)
            service.workers[0].signal(signal.SIGKILL)
            holding(edge, name)


@pytest.mark.parametrize(
    "setting",
    [
        {"SCEAU_DECISION_LOG": "durable"},
        pytest.param({"SCEAU_RATE_LIMITS": "decisions=100000/60"}, marks=pytest.mark.deep),
    ],
)
def test_where_each_answer_counts_nothing_is_held(tmp_path, setting):
    """An edge holds no permit if each must wait for its log row, or if a quota counts each question."""
    with new_database() as database, served(database, tmp_path, workers=1, **setting) as service:
        name = service.consented()
        with Edge(service.socket, KEY) as edge:
            assert edge.ask(asked("alice", name)).result(10)
            assert edge.permits("alice", name, "handle") is None
