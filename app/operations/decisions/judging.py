"""A question judged: the decision by the rules, with all that wording, counting and logging it need, made once."""

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from app.audit.rows import facts_of
from app.auth.callers import Caller
from app.auth.limits.quotas import QuotaStatus
from app.core.decision import Decision, DecisionRequest
from app.core.evaluate import evaluate
from app.operations.decisions.answers import answer_parts, left_unsaid, words_for_user
from app.operations.decisions.basis import DecidedBy, basis_of
from app.operations.decisions.facts import Facts


class Judged(Struct, frozen=True, eq=False):
    """A decision and what is made of it; the same for every correspondence that the question could be about.

    `wire`: its JSON as bytes before and after the decision's id. `outcome`: permitted, and the word of the reason.
    `log_facts`: the columns of its log row that are the same for every correspondence. `exempt`: the processing
    is one of III, so that no quota counts the question. `subject_ref`: of the subject, None where nothing is recorded
    of it or, under III, nothing was looked up.
    """

    decision: Decision
    wire: tuple[bytes, bytes]
    outcome: tuple[bool, str]
    log_facts: bytes
    exempt: bool
    subject_ref: bytes | None


class Unanswered(Enum):
    """In the place of a decision."""

    NOT_ALLOWED = "the caller may not ask about this processing"
    UNKNOWABLE = "the facts cannot be read now"
    BEHIND = "the database was set back, and may lack what was withdrawn"
    LIMITED = "the caller has used up its quota, and asked about an exempt processing beside"


Answer = Judged | Unanswered


class AnsweredRequest(Struct, frozen=True):
    """Who asked (None: no credential in force), the answers in the order of the questions, and when they were given.

    `at` is an epoch time by the database's clock, an estimate of it while that cannot be asked. `standing` says how
    much of the caller's quota is left; None where no limit applies. `from_memory`: by this replica's lease.
    """

    caller: Caller | None
    answers: Sequence[Answer]
    at: float
    standing: QuotaStatus | None = None
    from_memory: bool = False


def judge(request: DecisionRequest, facts: Facts, by: DecidedBy) -> Judged:
    """Judge a request on these facts (`app.core.evaluate`)."""
    decision = evaluate(request, facts.processing, facts.consents, facts.at, by.policy, facts.shared)
    return Judged(
        decision,
        answer_parts(
            decision,
            left_unsaid(request, decision, facts.processing, facts.at),
            words_for_user(decision, facts.processing, facts.at),
        ),
        (decision.permitted, decision.reason.value),
        facts_of(request, decision, basis_of(request, facts, by)),
        facts.processing is not None and facts.processing.is_exempt,
        facts.subject_ref,
    )
