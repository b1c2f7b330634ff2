"""Answers. A decision is true only if it is a real permit that may still be used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NoReturn, overload

from sceau_client.words import Cause, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer: `if decision:` means that the analysis may run now.

    - `outcome` `UNKNOWN` has a `cause`, an HTTP `status` if there was one, `retry_after` in seconds if it was said.
    - `reason`, `article`, `law_version`, `reason_user` (a sentence by language) are Sceau's words (docs/law.md).
    - A permit must not be used from `valid_until` on, nor kept for another message.
    - `local`: answered in this process, without asking: from the register that was fetched, or by an `Edge`.
    - `token`: the decision token of a permit, where the question asked for one and Sceau gave one.
    - `id` is the decision's in Sceau's log, `request_id` the request's.
    """

    outcome: Outcome
    cause: Cause | None = None
    reason: str | None = None
    article: str | None = None
    law_version: str | None = None
    valid_until: datetime | None = None
    expires_at: datetime | None = None
    reason_user: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None
    consent: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    local: bool = False
    status: int | None = None
    retry_after: float | None = None
    request_id: str | None = None

    def permitted_at(self, now: datetime) -> bool:
        """Whether the analysis may run at an instant, which says its time zone (`ValueError` if not)."""
        if now.tzinfo is None:
            raise ValueError("the instant has no time zone")
        return self.outcome is Outcome.PERMIT and (self.valid_until is None or now < self.valid_until)

    def __bool__(self) -> bool:
        """Whether the analysis may run now, by this machine's clock."""
        return self.permitted_at(datetime.now(UTC))


class Decisions(Sequence[Decision]):
    """The answers to several questions, in their order. It has no truth value: say which answer you mean."""

    __slots__ = ("_each",)

    def __init__(self, each: Iterable[Decision]) -> None:
        """Hold answers."""
        self._each = tuple(each)

    @property
    def all_permit(self) -> bool:
        """Whether there is at least one answer and each is a permit; `all()` would be true without any."""
        return len(self._each) > 0 and all(self._each)

    @overload
    def __getitem__(self, place: int) -> Decision: ...
    @overload
    def __getitem__(self, place: slice) -> "Decisions": ...
    def __getitem__(self, place: int | slice) -> "Decision | Decisions":
        """One answer, or some."""
        return self._each[place] if isinstance(place, int) else Decisions(self._each[place])

    def __len__(self) -> int:
        """The number of answers, which is that of the questions."""
        return len(self._each)

    def __bool__(self) -> NoReturn:
        """Refuse: the presence of answers is no permit."""
        raise TypeError("several decisions are neither true nor false: use all_permit, or look at each")

    def __repr__(self) -> str:
        """The answers."""
        return f"Decisions({list(self._each)!r})"


def unknown(
    cause: Cause, *, status: int | None = None, retry_after: float | None = None, request_id: str | None = None
) -> Decision:
    """The decision that stands for a missing answer."""
    return Decision(outcome=Outcome.UNKNOWN, cause=cause, status=status, retry_after=retry_after, request_id=request_id)


_NEVER: Final = datetime.max.replace(tzinfo=UTC)
NOBODY: Final = Decision(outcome=Outcome.DENY, reason="nobody_asked", local=True)
"""The answer when no user is concerned: nobody consented."""


def combined(decisions: Sequence[Decision]) -> Decision:
    """One answer for all: a deny if one denies, else unknown if one is, else a permit until the first one ends."""
    for outcome in (Outcome.DENY, Outcome.UNKNOWN):
        for decision in decisions:
            if decision.outcome is outcome:
                return decision
    if len(decisions) == 0:
        return NOBODY
    return min(decisions, key=lambda decision: decision.valid_until or _NEVER)
