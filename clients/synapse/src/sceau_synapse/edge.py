"""Asks the same questions of an edge in this process (`sceau_client.Edge`), which needs no request for what it holds.

Only where `edge_socket` is configured; the package `sceau-client` is needed then. What the edge cannot answer in time
is asked over HTTP, as without it.
"""

from collections.abc import Sequence
from concurrent.futures import Future

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as DeadlineError
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime

from sceau_client import Correspondence, Decision, Edge, Outcome, Question, Subject
from sceau_client import Element as Touched
from sceau_client import Parties as Named
from sceau_synapse.answers import ENDLESS, Answer
from sceau_synapse.configuration import Configuration, Gate
from sceau_synapse.message import Message, Parties
from sceau_synapse.questions import handle


class EdgePdp:
    """The edge of one homeserver process."""

    def __init__(self, reactor: IReactorTime, threads: IReactorFromThreads, configuration: Configuration) -> None:
        """Begin to connect. `threads` is the reactor too: where the edge's own thread calls from."""
        self._reactor, self._threads = reactor, threads
        self._configuration = configuration
        self._edge = Edge(configuration.edge_socket or "", configuration.key)
        self._edge.start()

    def ask(self, gates: Sequence[Gate], message: Message, parties: Parties) -> "Deferred[list[Answer] | None]":
        """The answers in the order of `sceau_synapse.questions.batch`; None where HTTP is to be asked."""
        asked = [self._question(gate, message, parties, user) for gate in gates for user in parties.local]
        return gatherResults([self._one(each) for each in asked], consumeErrors=True).addCallback(_all_or_none)

    def _one(self, question: Question) -> "Deferred[Decision | None]":
        waiting: Deferred[Decision | None] = Deferred()
        held = self._edge.recall(question)
        if held is not None:
            waiting.callback(held)
            return waiting

        def settle(done: "Future[Decision | None]") -> None:
            decision = None if done.cancelled() else done.result()
            self._threads.callFromThread(lambda: waiting.called or waiting.callback(decision))

        self._edge.ask(question).add_done_callback(settle)
        waiting.addTimeout(self._configuration.timeout / 2, self._reactor)
        return waiting.addErrback(lambda failure: failure.trap(DeadlineError) and None)

    def _question(self, gate: Gate, message: Message, parties: Parties, user: str) -> Question:
        chosen = self._configuration
        others = [Subject(other, chosen.subject_type) for other in parties.local if other != user]
        named = Named(others, outsiders=int(parties.remote)) if chosen.participants else None
        made = handle(chosen.secret, message.room_id, message.event_id, user)
        about = Correspondence(handle=lambda _: made, parties=named, territory=chosen.territory)
        elements = [Touched(each) for each in sorted(gate.elements)]
        return Question(Subject(user, chosen.subject_type), gate.processing, about, elements=elements)


def _all_or_none(decisions: Sequence[Decision | None]) -> list[Answer] | None:
    answers = [_answer(each) for each in decisions]
    return None if None in answers else [each for each in answers if each is not None]


def _answer(decision: Decision | None) -> Answer | None:
    """A decision as `read_answers` gives it: a permit that rests on consent and has no end is none."""
    if decision is None or decision.outcome is Outcome.UNKNOWN:
        return None
    ends = decision.valid_until is not None or decision.reason in ENDLESS
    if decision.outcome is not Outcome.PERMIT or not ends:
        return Answer(permitted=False)
    return Answer(permitted=True, decision=decision.id or "", valid_until=decision.valid_until)
