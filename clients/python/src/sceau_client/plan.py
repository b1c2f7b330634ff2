"""From questions to requests and back: which questions are answered at once, and which request asks the others.

Pure. A client sends each exchange's request, reads the reply with it, and has the plan take the answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sceau_client import wire
from sceau_client.decisions import Decision, Decisions, unknown
from sceau_client.questions import Question
from sceau_client.register import Register
from sceau_client.words import Cause

_TOO_MANY: Final = 429
_NEVER_ANSWERED: Final = unknown(Cause.TIMEOUT)
_NOT_SENDABLE: Final = unknown(Cause.REFUSED)


@dataclass(slots=True)
class Exchange:
    """One request, and the positions of its questions among all."""

    places: Sequence[int]
    path: str
    body: bytes = field(repr=False)

    @property
    def largest_answer(self) -> int:
        """The most bytes that its answer may have."""
        return wire.largest_answer(len(self.places))

    def read(self, reply: wire.Reply | wire.NoReply) -> list[Decision]:
        """The answers, one for each place."""
        return wire.read_answers(reply, self.path, len(self.places))


class Plan:
    """The questions, and the answers so far."""

    def __init__(
        self,
        questions: Sequence[Question],
        register: Register,
        held: float = 0,
        recall: Callable[[Question], Decision | None] = lambda _: None,
    ) -> None:
        """Answer what the register can, then what `recall` can; the rest is to be asked.

        `held`: for how many seconds nothing is to be asked that Sceau counts, because it said so (429). It counts no
        questions about exempt processings, so those are still asked.
        """
        self._questions = questions
        self._answers: list[Decision | None] = [register.answer(each) or recall(each) for each in questions]
        if held > 0:
            refused = unknown(Cause.REFUSED, status=_TOO_MANY, retry_after=held)
            for place, question in enumerate(questions):
                if self._answers[place] is None and question.processing not in register:
                    self._answers[place] = refused

    @property
    def open(self) -> list[tuple[int, Question]]:
        """The unanswered questions with their positions."""
        return [(place, self._questions[place]) for place, answer in enumerate(self._answers) if answer is None]

    def answer(self, place: int, decision: Decision) -> None:
        """Take one answer."""
        self._answers[place] = decision

    def take(self, exchange: Exchange, decisions: Sequence[Decision]) -> None:
        """Take the answers of an exchange."""
        for place, decision in zip(exchange.places, decisions, strict=True):
            self._answers[place] = decision

    def decisions(self, otherwise: Decision = _NEVER_ANSWERED) -> Decisions:
        """The answers in the order of the questions; `otherwise`, an unknown one, stands for a missing answer."""
        return Decisions(otherwise if answer is None else answer for answer in self._answers)

    def exchanges(self) -> list[Exchange]:
        """The requests for the unanswered questions."""
        places: list[int] = []
        items: list[wire.Item] = []
        for place, question in self.open:
            item = wire.item(question)
            if item is None:
                self._answers[place] = _NOT_SENDABLE
            else:
                places.append(place)
                items.append(item)
        if len(items) == 1:
            return [Exchange(places, wire.EVALUATION, items[0].body)]
        return [
            Exchange(places[first:last], wire.EVALUATIONS, wire.batch(items[first:last]))
            for first, last in _runs(items)
        ]


def _runs(items: Sequence[wire.Item]) -> list[tuple[int, int]]:
    """Consecutive items that fit into one request: so many, so many bytes, so many other parties."""
    runs, first, size, parties = [], 0, 0, 0
    for place, item in enumerate(items):
        size += len(item.body) + 1
        parties += item.participants
        full = place - first == wire.MOST_ITEMS or size > wire.MOST_BYTES or parties > wire.MOST_PARTICIPANTS
        if full and place > first:
            runs.append((first, place))
            first, size, parties = place, len(item.body) + 1, item.participants
    if items:
        runs.append((first, len(items)))
    return runs
