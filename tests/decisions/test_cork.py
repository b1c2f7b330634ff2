"""Answers that are held back for a turn of the event loop: none is lost, none overtakes, and few are held for long."""

import asyncio
from time import perf_counter

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st

from app.api.decisions.endpoint import DecisionProtocol
from app.api.http import cork as corks
from app.api.http.cork import Cork, CorkedTransport
from tests.decisions.wire import Application, Decisions, request

CONNECTIONS = 3
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("answer", "answer", "answer", "first answer", "write", "write_eof", "close", "lost", "turn")),
        st.integers(0, CONNECTIONS - 1),
    ),
    max_size=30,
)

HELD = [("answer", 0), ("answer", 0)]
"""The first of a process is written at once, the second held."""


class Wire(asyncio.Transport):
    """Records what a connection does."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.closing = False

    def write(self, data):
        """Record bytes, behind the end too, where a real transport would raise an error."""
        self.seen.append(data)

    def write_eof(self):
        """Record the end of the sending half."""
        self.seen.append("eof")

    def close(self):
        """Record the end."""
        self.seen.append("closed")
        self.closing = True

    def is_closing(self):
        """Whether it has ended."""
        return self.closing


def whole(seen):
    """What a connection did, with the bytes between two events in one piece."""
    pieces: list[bytes | str] = []
    for each in seen:
        if isinstance(each, bytes) and pieces and isinstance(pieces[-1], bytes):
            pieces[-1] += each
        else:
            pieces.append(each)
    return pieces


async def take(steps, *, held):
    """Take the steps on corked connections, and return what each connection did; `held` says if answers may wait."""
    cork, wires = Cork(), [Wire() for _ in range(CONNECTIONS)]
    connections = [CorkedTransport(wire, cork) for wire in wires]
    for number, (what, which) in enumerate(steps):
        connection, wire = connections[which], wires[which]
        if what == "turn":
            await asyncio.sleep(0)
        elif wire.closing:
            continue
        elif what == "lost":  # the client is gone: what it was to get by now counts for nothing
            wire.closing = True
            wire.seen.clear()
        elif what in {"answer", "first answer"}:
            waited = held and what == "answer"
            connection.answer(b"%d;" % number, perf_counter() - 10 if waited else perf_counter() + 10)
        elif what == "write":
            connection.write(b"%d;" % number)
        else:
            getattr(connection, what)()
    await asyncio.sleep(0)
    return [whole(wire.seen) for wire in wires]


@pytest.fixture(scope="module")
def patient():
    """Answers within five seconds of each other are held, and none is released for its age, however slow this is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(corks, "_BACK_TO_BACK", 5)
        patched.setattr(corks, "_LONGEST", 60)
        yield


@pytest.mark.usefixtures("patient")
@given(STEPS)
@example([*HELD, ("write", 0)])
@example([*HELD, ("first answer", 0)])
@example([*HELD, ("write_eof", 0)])
@example([*HELD, ("close", 0)])
@example([*HELD, ("lost", 0)])
def test_each_connection_does_what_it_would_without_waiting(steps):
    """Whatever is answered, written, ended or lost in whatever order, a client sees the same bytes and the same end."""
    assert asyncio.run(take(steps, held=True)) == asyncio.run(take(steps, held=False))


@pytest.mark.usefixtures("patient")
def test_answers_to_what_had_arrived_are_written_together():
    """An answer waits for the end of the turn if its request began before the last answer; the first does not."""

    async def told():
        cork, wires = Cork(), [Wire() for _ in range(3)]
        first, second, third = (CorkedTransport(wire, cork) for wire in wires)
        began = perf_counter()
        first.answer(b"1", began)
        second.answer(b"2", began)
        third.answer(b"3", began)
        during = [wire.seen for wire in wires] == [[b"1"], [], []]
        await asyncio.sleep(0)
        return during, [wire.seen for wire in wires]

    assert asyncio.run(told()) == (True, [[b"1"], [b"2"], [b"3"]])


def test_a_request_that_comes_alone_is_answered_at_once():
    """An answer does not wait if its request began after a client can have read the last answer."""

    async def told():
        cork, wire = Cork(), Wire()
        connection = CorkedTransport(wire, cork)
        for number in range(3):
            connection.answer(b"%d" % number, perf_counter() + 10)
        return list(wire.seen)

    assert asyncio.run(told()) == [b"0", b"1", b"2"]


def test_an_answer_is_not_held_beyond_its_bound(monkeypatch):
    """Once the oldest answer has waited for long enough, all are written within the turn."""
    monkeypatch.setattr(corks, "_LONGEST", -1)

    async def told():
        cork, wires = Cork(), [Wire(), Wire()]
        for wire in wires:
            CorkedTransport(wire, cork).answer(b"0", perf_counter() - 10)
        return [wire.seen for wire in wires]

    assert asyncio.run(told()) == [[b"0"], [b"0"]]


@pytest.mark.usefixtures("patient")
def test_an_answer_that_is_held_comes_before_the_end_of_its_client():
    """A client that closes its half within the turn of its question gets the answer before the connection ends."""

    async def told():
        application, wire = Application(Decisions()), Wire()
        config = uvicorn.Config(
            application, http=DecisionProtocol, lifespan="off", log_config=None, proxy_headers=False
        )
        config.load()
        protocol = DecisionProtocol(config, uvicorn.server.ServerState(), {})
        protocol.connection_made(wire)
        protocol.data_received(request(b"1"))
        protocol.data_received(request(b"2"))
        if not protocol.eof_received():  # then the event loop closes the transport
            wire.close()
        await asyncio.sleep(0)
        answers, end = whole(wire.seen)
        return answers.count(b"200 OK"), end

    assert asyncio.run(told()) == (2, "closed")
