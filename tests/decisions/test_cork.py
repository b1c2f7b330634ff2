"""Answers that are held back for a turn of the event loop: none is lost, none overtakes, and few are held for long."""

import asyncio
import time
from time import perf_counter

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.api.decisions.endpoint import DecisionProtocol
from app.api.http import protocol as corks
from app.api.http.protocol import Cork, CorkedTransport
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
    """Records what a connection does; like a real one, it takes nothing behind its end."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.ended = self.closing = False

    def write(self, data):
        """Record bytes.

        Raises:
            RuntimeError: the sending half is closed.

        """
        if self.ended or self.closing:
            raise RuntimeError
        self.seen.append(data)

    def write_eof(self):
        """Record the end of the sending half."""
        self.seen.append("eof")
        self.ended = True

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
    """Take the steps on connections of their own, corked or (not `held`) bare; return what each connection did."""
    cork, wires = Cork(), [Wire() for _ in range(CONNECTIONS)]
    connections = [CorkedTransport(wire, cork) if held else wire for wire in wires]
    for number, (what, which) in enumerate(steps):
        connection, wire, data = connections[which], wires[which], b"%d;" % number
        if what == "turn":
            await asyncio.sleep(0)
        elif wire.closing or (wire.ended and what != "close"):
            continue
        elif what == "lost":  # the client is gone: what it was to get by now counts for nothing
            wire.closing = True
            wire.seen.clear()
        elif isinstance(connection, CorkedTransport) and what in {"answer", "first answer"}:
            connection.answer(data, perf_counter() + (0 if what == "answer" else 10))
        elif what in {"answer", "first answer", "write"}:
            connection.write(data)
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
    """Whatever is answered, written, ended or lost in whatever order, a bare transport has the same bytes and end."""
    with capture_logs() as logged:
        assert asyncio.run(take(steps, held=True)) == asyncio.run(take(steps, held=False))
    assert not logged


@pytest.mark.usefixtures("patient")
async def test_answers_to_what_had_arrived_are_written_together():
    """An answer waits for the end of the turn if its request began before the last answer; the first does not."""
    cork, wires = Cork(), [Wire() for _ in range(3)]
    began = perf_counter()
    for wire, answer in zip(wires, (b"1", b"2", b"3"), strict=True):
        CorkedTransport(wire, cork).answer(answer, began)
    assert [wire.seen for wire in wires] == [[b"1"], [], []]
    await asyncio.sleep(0)
    assert [wire.seen for wire in wires] == [[b"1"], [b"2"], [b"3"]]


async def test_a_request_that_comes_alone_is_answered_at_once():
    """An answer does not wait if its request began after a client can have read the last answer."""
    cork, wire = Cork(), Wire()
    connection = CorkedTransport(wire, cork)
    for number in range(3):
        connection.answer(b"%d" % number, perf_counter() + 10)
    assert wire.seen == [b"0", b"1", b"2"]


@pytest.mark.usefixtures("patient")
async def test_while_answers_keep_coming_the_age_of_the_oldest_counts(monkeypatch):
    """An answer that comes when the oldest has been held for long enough has all written within the turn."""
    cork, wires = Cork(), [Wire() for _ in range(4)]
    connections = [CorkedTransport(wire, cork) for wire in wires]
    for connection in connections[:3]:
        connection.answer(b"0", perf_counter())
    assert [wire.seen for wire in wires] == [[b"0"], [], [], []]
    monkeypatch.setattr(corks, "_LONGEST", 0.02)
    time.sleep(0.03)  # noqa: ASYNC251 - it is this turn that takes long
    connections[3].answer(b"0", perf_counter())
    assert [wire.seen for wire in wires] == [[b"0"]] * 4


@pytest.mark.usefixtures("patient")
async def test_a_connection_that_cannot_be_written_to_keeps_no_other_waiting():
    """Behind a connection whose sending half was closed below it, the others get their answers."""
    cork, wires = Cork(), [Wire() for _ in range(3)]
    for wire in wires:
        CorkedTransport(wire, cork).answer(b"0", perf_counter())
    wires[1].ended = True
    await asyncio.sleep(0)
    assert [wire.seen for wire in wires] == [[b"0"], [], [b"0"]]


@pytest.mark.usefixtures("patient")
async def test_an_answer_that_is_held_comes_before_the_end_of_its_client():
    """A client that closes its half within the turn of its question gets the answer before the connection ends."""
    application, wire = Application(Decisions()), Wire()
    config = uvicorn.Config(application, http=DecisionProtocol, lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    protocol = DecisionProtocol(config, uvicorn.server.ServerState(), {})
    protocol.connection_made(wire)
    protocol.data_received(request(b"1"))
    protocol.data_received(request(b"2"))
    if not protocol.eof_received():  # then the event loop closes the transport
        wire.close()
    await asyncio.sleep(0)
    answers, end = whole(wire.seen)
    assert (answers.count(b"200 OK"), end) == (2, "closed")
