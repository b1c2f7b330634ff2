"""Doubles of both clients, for your own tests: they answer as told, ask nobody, and remember what they were asked.

```python
sceau = FakeSceau().permit("alice@example.fr", "ads-mail")
assert not analyses(sceau, letter_to="bob@example.fr")
```
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from sceau_client.asking import Asking, AsyncAsking
from sceau_client.decisions import Decision, Decisions, unknown
from sceau_client.questions import Question, Subject, User, subject
from sceau_client.register import EXEMPT
from sceau_client.words import Cause, Outcome

DENY: Final = Decision(outcome=Outcome.DENY, reason="no_consent", article="L32-3 IV")


class _Told:
    """What is answered: a deny, unless told otherwise."""

    def __init__(self) -> None:
        """Deny everybody everything."""
        self.asked: list[Question] = []
        """Every question, in the order of asking."""
        self._answers: dict[tuple[Subject | None, str | None], Decision] = {}

    def permit(self, user: User, processing: str, *, valid_until: datetime | None = None) -> Self:
        """Permit this user's correspondence to this processing, for an hour from now unless said otherwise."""
        ends = valid_until or datetime.now(UTC) + timedelta(hours=1)
        permit = Decision(outcome=Outcome.PERMIT, reason="consent_in_force", article="L32-3 IV", valid_until=ends)
        return self.answer(user, processing, permit)

    def deny(self, user: User, processing: str, reason: str = "no_consent") -> Self:
        """Deny it."""
        return self.answer(user, processing, Decision(outcome=Outcome.DENY, reason=reason, article="L32-3 IV"))

    def exempt(self, processing: str) -> Self:
        """Permit this processing to everybody, as one of L32-3 III."""
        self._answers[None, processing] = EXEMPT
        return self

    def unavailable(self, cause: Cause = Cause.UNAVAILABLE) -> Self:
        """Know nothing from now on, but of what is exempt: as when the service is away."""
        self._answers[None, None] = unknown(cause)
        return self

    def available(self) -> Self:
        """Answer again."""
        self._answers.pop((None, None), None)
        return self

    def answer(self, user: User, processing: str, decision: Decision) -> Self:
        """Answer with any decision."""
        self._answers[subject(user), processing] = decision
        return self

    def _decide(self, questions: Sequence[Question]) -> Decisions:
        self.asked += questions
        return Decisions(map(self._decision, questions))

    def _decision(self, question: Question) -> Decision:
        tried = ((None, question.processing), (None, None), (question.subject, question.processing))
        return next((self._answers[each] for each in tried if each in self._answers), DENY)


class FakeSceau(_Told, Asking):
    """In the place of `Client`."""

    def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions:  # noqa: ARG002
        return self._decide(questions)


class AsyncFakeSceau(_Told, AsyncAsking):
    """In the place of `AsyncClient`."""

    async def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions:  # noqa: ARG002
        return self._decide(questions)
