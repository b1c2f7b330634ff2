"""Doubles of both clients, for your own tests: they give the answers that you set, and remember the questions.

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
    """The answers that were set; a deny for every other question."""

    def __init__(self) -> None:
        """Deny every question."""
        self.asked: list[Question] = []
        """Every question, in the order of asking."""
        self._answers: dict[tuple[Subject | None, str | None], Decision] = {}

    def permit(self, user: User, processing: str, *, valid_until: datetime | None = None) -> Self:
        """Permit this user's correspondence to this processing, until an hour from now by default."""
        ends = valid_until or datetime.now(UTC) + timedelta(hours=1)
        permit = Decision(outcome=Outcome.PERMIT, reason="consent_in_force", article="L32-3 IV", valid_until=ends)
        return self.answer(user, processing, permit)

    def deny(self, user: User, processing: str, reason: str = "no_consent") -> Self:
        """Deny this user's correspondence to this processing."""
        return self.answer(user, processing, Decision(outcome=Outcome.DENY, reason=reason, article="L32-3 IV"))

    def exempt(self, processing: str) -> Self:
        """Permit this processing to everybody, as one of L32-3 III."""
        self._answers[None, processing] = EXEMPT
        return self

    def unavailable(self, cause: Cause = Cause.UNAVAILABLE) -> Self:
        """Answer only exempt questions from now on, as if the service were away."""
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
    """Takes the place of `Client`."""

    def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions:  # noqa: ARG002
        return self._decide(questions)


class AsyncFakeSceau(_Told, AsyncAsking):
    """Takes the place of `AsyncClient`."""

    async def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions:  # noqa: ARG002
        return self._decide(questions)
