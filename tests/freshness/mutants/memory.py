"""Lease and cache, each mechanism switched off (`tests.freshness.mutants`)."""

from contextlib import contextmanager

import app.operations.decisions.answer_questions as answering
import app.operations.decisions.from_memory as memory_module
from app.api.decisions import endpoint
from app.snapshot.leases import Lease, RecordCache, boot_seconds
from app.snapshot.replica import Replica
from tests.freshness.gate import PAUSE


def no_lease(patch):
    """Memory may be used at any time."""
    patch(Lease, "held", lambda _: True)


def lease_from_the_answer(patch):
    """The lease runs from when the answer to a beat came."""

    def extend(self: Lease, _: float, seconds: float):
        self.end = boot_seconds() + seconds

    patch(Lease, "extend", extend)


@contextmanager
def _pretended(lease: Lease):
    vars(lease)["held"] = lambda: True
    try:
        yield
    finally:
        del vars(lease)["held"]


def look_before_lease(patch):
    """What memory holds is looked up first; then, after an await, whether it may be used."""

    async def answer(point, presented, questions):
        lease = point.memory.replica.lease
        with _pretended(lease):
            looked = memory_module.look(point.memory, presented.digest, questions)
        if looked is None:
            return await real(point, presented, questions)
        await PAUSE.pass_through()
        return answering._counted(point, looked) if lease.held() else await real(point, presented, questions)

    real = vars(endpoint)["answer_questions"]
    patch(endpoint, "answer_at_once", lambda *_: None)
    patch(endpoint, "answer_questions", answer)


def flight_not_marked(patch):
    """A change forgets the record, but a read of it that is under way is still kept."""

    def drop(self, key):
        self._young.pop(key, None)
        self._old.pop(key, None)
        self._flights.pop(key, None)

    patch(RecordCache, "drop", drop)


def joining_stale_flight(patch):
    """A read that a change has overtaken may still be joined."""

    def marked(self):
        for flight in self._flights.values():
            flight.stale = True

    patch(RecordCache, "_mark_flights", marked)


def own_not_dropped(patch):
    """The process that committed goes on with what it held."""
    patch(Replica, "committed", lambda self, _, **__: self._notifier.poke(self.feed.incarnation))
