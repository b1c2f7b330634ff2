"""The calls of every client, and of its double in tests: one question, several, or one for all users.

`Asking` answers at once; `AsyncAsking` is awaited. Both come down to one method, `_ask`.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable, Sequence
from typing import Any, Generic, NoReturn, TypeVar

from sceau_client.decisions import Decision, Decisions, combined
from sceau_client.questions import Correspondence, Question, Subject, User, subject
from sceau_client.service import checked_deadline
from sceau_client.words import Element

_T_co = TypeVar("_T_co", covariant=True)


class Asking(ABC):
    """Asks, and waits for the answers. It raises nothing if the service or the network fails."""

    def evaluate(self, question: Question, *, deadline: float | None = None) -> Decision:
        """One answer within `deadline` seconds (the client's own when it is not given)."""
        return self._ask([question], checked_deadline(deadline))[0]

    def evaluate_many(self, questions: Iterable[Question], *, deadline: float | None = None) -> Decisions:
        """Answers in the order of the questions, one for each, all within `deadline` seconds."""
        return self._ask(list(questions), checked_deadline(deadline))

    def require_all(
        self,
        users: Collection[User],
        processing: str,
        correspondence: Correspondence,
        *,
        elements: Collection[Element] = (),
        deadline: float | None = None,
    ) -> Decision:
        """One answer for a message that belongs to several users: a permit only when each of them permits.

        Name every user of yours whose message it is, in one collection: none at all is a deny. Each is asked once, in
        one request. Where the correspondence says its parties, these users are parties too.
        """
        questions = for_each(users, processing, correspondence, elements)
        return combined(self._ask(questions, checked_deadline(deadline)))

    @abstractmethod
    def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions: ...


class AsyncAsking(ABC):
    """Asks; the caller awaits the answers. It raises nothing if the service or the network fails."""

    def evaluate(self, question: Question, *, deadline: float | None = None) -> "Answer[Decision]":
        """One answer within `deadline` seconds (the client's own when it is not given)."""
        return Answer(self._made_of([question], checked_deadline(deadline), operator.itemgetter(0)))

    def evaluate_many(self, questions: Iterable[Question], *, deadline: float | None = None) -> "Answer[Decisions]":
        """Answers in the order of the questions, one for each, all within `deadline` seconds."""
        return Answer(self._ask(list(questions), checked_deadline(deadline)))

    def require_all(
        self,
        users: Collection[User],
        processing: str,
        correspondence: Correspondence,
        *,
        elements: Collection[Element] = (),
        deadline: float | None = None,
    ) -> "Answer[Decision]":
        """One answer for a message that belongs to several users, as `Asking.require_all` gives it."""
        questions = for_each(users, processing, correspondence, elements)
        return Answer(self._made_of(questions, checked_deadline(deadline), combined))

    async def _made_of(
        self, questions: Sequence[Question], deadline: float | None, make: Callable[[Decisions], Decision]
    ) -> Decision:
        return make(await self._ask(questions, deadline))

    @abstractmethod
    async def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions: ...


class Answer(Coroutine[Any, Any, _T_co], Generic[_T_co]):
    """An answer to come: await it, once. It is neither true nor false, so that a forgotten `await` permits nothing."""

    __slots__ = ("_asked",)

    def __init__(self, asked: Coroutine[Any, Any, _T_co]) -> None:
        """Keep what is to be asked."""
        self._asked = asked

    def __bool__(self) -> NoReturn:
        """Refuse: nothing has been answered yet."""
        raise TypeError("not answered yet: await it")

    def __await__(self) -> Generator[Any, Any, _T_co]:
        """Wait for the answer."""
        return self._asked.__await__()

    def send(self, value: Any) -> Any:  # noqa: ANN401 - as coroutines have it
        """Continue (event loops call this)."""
        return self._asked.send(value)

    def throw(self, *error: Any) -> Any:  # noqa: ANN401 - as coroutines have it
        """Raise an exception inside (event loops call this)."""
        return self._asked.throw(*error)

    def close(self) -> None:
        """Give the answer up."""
        self._asked.close()


def for_each(
    users: Collection[User], processing: str, correspondence: Correspondence, elements: Collection[Element]
) -> list[Question]:
    """One question for each user, without repetitions."""
    if isinstance(users, str | Subject):
        raise TypeError("users are a collection, even of one")
    everyone = tuple(dict.fromkeys(subject(user) for user in users))
    letter = correspondence.between(everyone)
    return [Question(user, processing, letter, elements=elements) for user in everyone]
