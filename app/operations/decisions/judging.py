"""A question judged: the decision by the rules, with all that wording, counting and logging it need, made once."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from app.audit.decision_log import DecisionBasis, facts_of
from app.auth.callers import Caller
from app.auth.limits import QuotaStatus
from app.core.article import Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import Decision, DecisionRequest, Participant
from app.core.evaluate import evaluate
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import Processing
from app.operations.decisions.answers import answer_parts, left_unsaid, words_for_user


class Circumstances(Struct, frozen=True, gc=False):
    """All of a question but whom it is about. Equal when every member is equal.

    `elements` None touches all that the processing declares.
    """

    processing: str
    elements: frozenset[Element] | None
    automated: bool
    channel: Channel
    private: bool
    territory: str


class Question(Struct, frozen=True):
    """One question: the circumstances, the subject's pseudonym, and the correspondence by its type and id.

    `participants` makes the other parties' pseudonyms, which few processings need; None when the request does not say
    who they are. `wants_token`: whether a permit is to carry a decision token. `subject_id` is (type, id) as it was
    sent: a decision token is bound to it, and nothing else reads it.
    """

    circumstances: Circumstances
    subject: bytes
    participants: Callable[[], tuple[Participant, ...]] | None
    correspondence: tuple[str, str]
    subject_id: tuple[str, str]
    wants_token: bool = False

    def __repr__(self) -> str:
        """What is asked, without ids."""
        return f"Question({self.circumstances})"

    @property
    def processing(self) -> str:
        """The processing's id."""
        return self.circumstances.processing

    def request(self, participants: tuple[Participant, ...] | None) -> DecisionRequest:
        """The question as the rules take it, about these other parties."""
        # By name, all of them: a circumstance that the rules have no place for is an error, and none can be left out.
        return DecisionRequest(subject=self.subject, participants=participants, **asdict(self.circumstances))

    def whole(self) -> DecisionRequest:
        """The question as the rules take it, with all that the request says."""
        return self.request(self.participants() if self.participants is not None else None)


@dataclass(frozen=True, slots=True)
class Facts:
    """The register entry, the events of those whose consents the request needs, and the instant.

    `consents` are by locator; `shared`: the locators that are mailboxes of several people. `subject_ref`: that of the
    subject, if it was looked up and something is recorded of it.
    """

    processing: Processing | None
    consents: Mapping[bytes, Sequence[ConsentEvent]]
    at: datetime
    shared: Collection[bytes] = ()
    subject_ref: bytes | None = None


SEALED_FOR: Final = "decision log"
"""What the vault seals `relied` for."""


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """What decides in this process: how periods are counted, which rules, which build.

    `seal` encrypts what names other parties: whose consents were looked at.
    """

    policy: PeriodPolicy
    seal: Callable[[bytes], bytes]
    rules: str
    build: str


def policy_text(policy: PeriodPolicy) -> str:
    """How a policy stands in a row: `P1Y/start_of_day`."""
    return f"{policy.ceiling}/{policy.counting.value}"


def policy_of(text: str) -> PeriodPolicy:
    """The policy of a row.

    Raises:
        ValueError: it is none that these rules know.
        InvalidPeriodError: its period is none.

    """
    ceiling, _, counting = text.partition("/")
    return PeriodPolicy(Counting(counting), ConsentPeriod.parse(ceiling))


def basis_of(request: DecisionRequest, facts: Facts, by: DecidedBy) -> DecisionBasis:
    """What a decision is made on."""
    processing = facts.processing
    version = processing.version_at(facts.at) if processing is not None else None
    # Other parties are kept where some version asks for their consents: elsewhere no rule looks at them.
    others = request.participants if processing is not None and processing.asks_others else None
    return DecisionBasis(
        automated=request.automated,
        private=request.private,
        version=version.number if version is not None else None,
        versions=len(processing.versions) if processing is not None else 0,
        changes=len(processing.changes) if processing is not None else 0,
        party_mode=version.party_mode.value if version is not None else None,
        known=_last(facts.consents.get(request.subject, ())),
        participants=None if others is None else sum(map(len, _parties(request, others))) + _has(others, request),
        relied=_relied(request, others or (), facts, by) if others or facts.shared else None,
        policy=policy_text(by.policy),
        rules=by.rules,
        build=by.build,
    )


def _last(events: Sequence[ConsentEvent]) -> int:
    return max((event.order for event in events), default=0)


def _relied(request: DecisionRequest, others: Sequence[Participant], facts: Facts, by: DecidedBy) -> bytes:
    """Who was looked at: the subject, then each other party with an account here; how many have none.

    Each by the id of their last event that was known (null: nothing was), and whether it is a shared mailbox.
    `named`: the subject is among the participants too. `row`: the subject_ref of the row that this belongs to.
    """
    here, elsewhere = _parties(request, others)
    parties = [[_last_id(facts.consents.get(ref, ())), ref in facts.shared] for ref in (request.subject, *sorted(here))]
    row = None if facts.subject_ref is None else facts.subject_ref.hex()
    told = {"row": row, "parties": parties, "elsewhere": len(elsewhere), "named": _has(others, request)}
    return by.seal(json.dumps(told, separators=(",", ":")).encode())


def _parties(request: DecisionRequest, others: Sequence[Participant]) -> tuple[set[bytes], set[bytes]]:
    """The other parties with an account here, and those without; each once, and never the subject."""
    here = {each.ref for each in others if each.local} - {request.subject}
    return here, {each.ref for each in others if not each.local} - {request.subject}


def _has(others: Sequence[Participant], request: DecisionRequest) -> bool:
    """Whether the subject is among the participants too, whatever is said of them there."""
    return any(each.ref == request.subject for each in others)


def _last_id(events: Sequence[ConsentEvent]) -> str | None:
    return str(max(events, key=lambda event: event.order).id) if events else None


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
