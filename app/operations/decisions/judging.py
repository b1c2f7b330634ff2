"""Judge a question by the rules, and make once all that wording, counting and logging need of the decision."""

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache, cached_property, lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from app.audit.decision_log import NO_ID
from app.audit.segments import LogFacts, Shape, one_of_each
from app.auth.callers import Caller, Counted, OverQuotaError, QuotaStatus, RateLimits
from app.core.article import Channel, Element
from app.core.consent import ConsentEvent
from app.core.decision import Decision, DecisionRequest, Participant, Reason
from app.core.evaluate import evaluate
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import PartyMode, Processing, Status, can_be_an_id
from app.core.wording import reason_for_user
from app.snapshot.replica import Replica

_WORDS: Final = {reason: dict(reason_for_user(reason)) for reason in Reason}
_NOT_BEGUN: Final = dict(reason_for_user(Reason.PROCESSING_SUSPENDED, Status.PROPOSED))
_PARTICIPANTS_UNSAID: Final = {
    "en": "The question does not say who takes part: name the other parties in resource.properties.participants, and "
    "send an empty list when there are none."
}
_MARK: Final = UUID(int=0)
_MARK_TEXT: Final = str(_MARK).encode()
_TOLD: Final = b'"reason_user":'
_COMMON_ANSWERS: Final = 10_000
"""How many are held as one object each: there are few, unless questions name many sets of elements."""
encode: Final = msgspec.json.Encoder().encode


def instant(at: datetime) -> str:
    """Return the instant as RFC 3339 in UTC, with fractions of a second only where there are some."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def leaves_unsaid(request: DecisionRequest, decision: Decision, processing: Processing | None, at: datetime) -> bool:
    """Return whether a question was denied because it does not name the participants.

    False if the version does not ask them: the mailbox is a shared one then.
    """
    if decision.reason is not Reason.OTHER_PARTY or request.participants is not None or processing is None:
        return False
    version = processing.version_at(at)
    return version is not None and version.party_mode is not PartyMode.USER_ONLY


def has_not_begun(decision: Decision, processing: Processing | None, at: datetime) -> bool:
    """Return whether a processing that is not active, as the decision says, is only proposed at the instant judged."""
    is_suspended = decision.reason is Reason.PROCESSING_SUSPENDED
    return is_suspended and processing is not None and processing.status_at(at) is Status.PROPOSED


def answer(
    decision: Decision, identifier: UUID | None, *, unsaid: bool = False, not_begun: bool = False
) -> dict[str, Any]:
    """Return the JSON object of one decision; `leaves_unsaid` and `has_not_begun` choose its words.

    `identifier`: that of the decision log; None for what no log has, and what must not be acted on.
    """
    context: dict[str, Any] = {} if identifier is None else {"id": str(identifier)}
    context["reason"] = decision.reason.value
    if decision.article is not None:
        context["article"] = decision.article.value
    if decision.law_version is not None:
        context["law_version"] = decision.law_version
    context |= _own_members(decision)
    context["reason_user"] = _NOT_BEGUN if not_begun else _WORDS[decision.reason]
    if unsaid:
        context["reason_admin"] = _PARTICIPANTS_UNSAID
    return {"decision": decision.permitted, "context": context}


def _own_members(decision: Decision) -> dict[str, str]:
    """Return the members of an answer's context that differ from person to person."""
    own = {} if decision.consent is None else {"consent": str(decision.consent)}
    ends = {"expires_at": decision.expires_at, "valid_until": decision.valid_until}
    return own | {name: instant(end) for name, end in ends.items() if end is not None}


class CommonAnswer(Struct, frozen=True, gc=False):
    """A decision without consent and times, and what is made of it: one object for all people who get it.

    `before`, `stem`, `end`: its JSON up to the id, from there to the consent, and from the reason for the user on.
    `outcome`: permitted, and the word of the reason. `exempt`: the processing is one of III, so that no quota counts
    the question.
    """

    decision: Decision
    exempt: bool
    outcome: tuple[bool, str]
    before: bytes
    stem: bytes
    end: bytes


@lru_cache(_COMMON_ANSWERS)
def _common_answer(decision: Decision, exempt: bool, unsaid: bool, not_begun: bool) -> CommonAnswer:  # noqa: FBT001 - a cache's key
    written = encode(answer(decision, _MARK, unsaid=unsaid, not_begun=not_begun))
    before, after = written.split(_MARK_TEXT, 1)
    place = after.index(_TOLD)
    return CommonAnswer(
        decision, exempt, (decision.permitted, decision.reason.value), before, after[:place], after[place:]
    )


def item_error(status: int, message: str, reason: Reason | None = None) -> dict[str, Any]:
    """Return the deny that stands in the place of a batch item that could not be judged (AuthZEN 7.2.1)."""
    context: dict[str, Any] = {"error": {"status": status, "message": message}}
    if reason is not None:
        context = {"reason": reason.value, "reason_user": _WORDS[reason], **context}
    return {"decision": False, "context": context}


class Circumstances(Struct, frozen=True, gc=False):
    """All of a question except its people and its correspondence. Equal when every member is equal.

    `elements` None means all that the processing declares.
    """

    processing: str
    elements: frozenset[Element] | None
    automated: bool
    channel: Channel
    private: bool
    territory: str


class Question(Struct, frozen=True):
    """One question: the circumstances, the subject's pseudonym, and the correspondence by its type and id.

    `participants` computes the other parties' pseudonyms, which few processings need; None when the request does not
    name them. `wants_token`: whether a permit is to carry a decision token. `subject_id` is (type, id) as sent: only a
    decision token, which is bound to it, reads it.
    """

    circumstances: Circumstances
    subject: bytes
    participants: Callable[[], tuple[Participant, ...]] | None
    correspondence: tuple[str, str]
    subject_id: tuple[str, str]
    wants_token: bool = False

    def __repr__(self) -> str:
        """Show what is asked, without ids."""
        return f"Question({self.circumstances})"

    @property
    def processing(self) -> str:
        """The processing's id."""
        return self.circumstances.processing

    def request(self, participants: tuple[Participant, ...] | None) -> DecisionRequest:
        """Return the question as the rules take it, with these other parties."""
        # By name, all of them: a circumstance that the rules do not know is an error, and none can be left out.
        return DecisionRequest(subject=self.subject, participants=participants, **asdict(self.circumstances))

    def as_request(self) -> DecisionRequest:
        """Return the question as the rules take it, with all that the request says."""
        return self.request(self.participants() if self.participants is not None else None)


@dataclass(frozen=True, slots=True)
class Facts:
    """The register entry, the events of the people whose consents the request needs, and the instant.

    `consents` are by locator; `shared`: the locators that are mailboxes of several people. `subject_ref`: that of the
    subject, if it was looked up and something is recorded of it.
    """

    processing: Processing | None
    consents: Mapping[bytes, Sequence[ConsentEvent]]
    at: datetime
    shared: Collection[bytes] = ()
    subject_ref: bytes | None = None


SEALED_FOR: Final = "decision log"
"""The name under which the vault seals `relied`."""


@dataclass(frozen=True)
class DecidedBy:
    """What decides in this process: how periods are counted, which rules and which build.

    `seal` encrypts whose consents were looked at, since that would name other parties.
    """

    policy: PeriodPolicy
    seal: Callable[[bytes], bytes]
    rules: str
    build: str

    @cached_property
    def policy_text(self) -> str:
        """The policy as a log row holds it: `P1Y/start_of_day`."""
        return f"{self.policy.ceiling}/{self.policy.counting.value}"


def policy_of(text: str) -> PeriodPolicy:
    """Return the policy of a row.

    Raises:
        ValueError: these rules do not know its way of counting.
        InvalidPeriodError: its period is not a valid one.

    """
    ceiling, _, counting = text.partition("/")
    return PeriodPolicy(Counting(counting), ConsentPeriod.parse(ceiling))


def _shape(request: DecisionRequest, decision: Decision, facts: Facts, by: DecidedBy) -> Shape:
    """Return what the log keeps of a decision and many share."""
    processing = facts.processing
    version = processing.version_at(facts.at) if processing is not None else None
    shape = Shape(
        processing=request.processing if can_be_an_id(request.processing) else NO_ID,
        elements=None if request.elements is None else _names(request.elements),
        channel=request.channel.value,
        territory=request.territory,
        permitted=decision.permitted,
        reason=decision.reason.value,
        rule=decision.rule,
        law_version=decision.law_version,
        automated=request.automated,
        private=request.private,
        version=version.number if version is not None else None,
        versions=len(processing.versions) if processing is not None else 0,
        changes=len(processing.changes) if processing is not None else 0,
        party_mode=version.party_mode.value if version is not None else None,
        policy=by.policy_text,
        rules=by.rules,
        build=by.build,
    )
    return one_of_each(shape)


@cache
def _names(elements: frozenset[Element]) -> tuple[str, ...]:
    """Return the words of some elements in their order; cached, as there are few possible sets."""
    return tuple(sorted(each.value for each in elements))


def _relied(request: DecisionRequest, others: Sequence[Participant], facts: Facts, by: DecidedBy) -> bytes:
    """Return, sealed, who was looked at: the subject, each other party with an account here, how many have none.

    Each is given by the id of their last known event (null: none), and whether they are a shared mailbox. `named`: the
    subject is among the participants too. `row`: the subject_ref of the row that this belongs to.
    """
    here, elsewhere = _parties(request, others)
    parties = [[_last_id(facts.consents.get(ref, ())), ref in facts.shared] for ref in (request.subject, *sorted(here))]
    row = None if facts.subject_ref is None else facts.subject_ref.hex()
    content = {"row": row, "parties": parties, "elsewhere": len(elsewhere), "named": _has(others, request)}
    return by.seal(json.dumps(content, separators=(",", ":")).encode())


def _parties(request: DecisionRequest, others: Sequence[Participant]) -> tuple[set[bytes], set[bytes]]:
    """Return the other parties with an account here, and those without; each once, and never the subject."""
    here = {each.ref for each in others if each.local} - {request.subject}
    return here, {each.ref for each in others if not each.local} - {request.subject}


def _has(others: Sequence[Participant], request: DecisionRequest) -> bool:
    """Return whether the subject is among the participants too, local or not."""
    return any(each.ref == request.subject for each in others)


def _last_id(events: Sequence[ConsentEvent]) -> str | None:
    return str(max(events, key=lambda event: event.order).id) if events else None


class Judged(LogFacts, frozen=True, eq=False, gc=False):
    """A decision and what is made of it; the same for every correspondence that the question could be about.

    It is itself what the log keeps. `own`: its part of the JSON, between the `stem` and the `end` of `common`.
    `subject_ref`: the subject's; None if nothing is recorded of it or, under III, nothing was looked up.
    """

    common: CommonAnswer
    expires_at: datetime | None
    own: bytes
    subject_ref: bytes | None

    @property
    def decision(self) -> Decision:
        """The whole decision."""
        common, until = self.common.decision, self.valid_until
        return dataclasses.replace(common, consent=self.consent, expires_at=self.expires_at, valid_until=until)

    def worded(self, identifier: bytes) -> bytes:
        """Return the answer with this id as JSON: what `answer` returns, encoded."""
        common = self.common
        return b"".join((common.before, identifier, common.stem, self.own, common.end))

    def is_worded(self, body: bytes) -> bool:
        """Return whether a body is this answer under some id."""
        common = self.common
        return body.startswith(common.before) and body.endswith(common.stem + self.own + common.end)


class Unanswered(Enum):
    """Why a question has no decision."""

    NOT_ALLOWED = "the caller may not ask about this processing"
    UNKNOWABLE = "the facts cannot be read now"
    BEHIND = "the database was set back, and may lack what was withdrawn"
    LIMITED = "the caller has used up its quota, and asked about an exempt processing beside"


Answer = Judged | Unanswered


class AnsweredRequest(Struct, frozen=True):
    """The caller (None: no credential in force), the answers in the order of the questions, and when they were given.

    `at` is an epoch time by the database's clock, or an estimate of it while the database cannot be asked. `standing`:
    how much of the caller's quota is left; None where no limit applies. `from_memory`: under this replica's lease.
    """

    caller: Caller | None
    answers: Sequence[Answer]
    at: float
    standing: QuotaStatus | None = None
    from_memory: bool = False


def judge(request: DecisionRequest, facts: Facts, by: DecidedBy) -> Judged:
    """Judge a request on these facts (`app.core.evaluate`)."""
    processing, at = facts.processing, facts.at
    decision = evaluate(request, processing, facts.consents, at, by.policy, facts.shared)
    # Other parties are kept where some version asks for their consents: elsewhere no rule looks at them.
    others = request.participants if processing is not None and processing.asks_others else None
    until = decision.valid_until
    return Judged(
        shape=_shape(request, decision, facts, by),
        consent=decision.consent,
        valid_until=until,
        known=max((event.order for event in facts.consents.get(request.subject, ())), default=0),
        participants=None if others is None else sum(map(len, _parties(request, others))) + _has(others, request),
        relied=_relied(request, others or (), facts, by) if others or facts.shared else None,
        common=_common_answer(
            dataclasses.replace(decision, consent=None, expires_at=None, valid_until=None),
            processing is not None and processing.is_exempt,
            leaves_unsaid(request, decision, processing, at),
            has_not_begun(decision, processing, at),
        ),
        expires_at=until if decision.expires_at == until else decision.expires_at,  # mostly equal: one object
        own="".join(f'"{name}":"{value}",' for name, value in _own_members(decision).items()).encode(),
        subject_ref=facts.subject_ref,
    )


# Questions counted against a caller's quota, where decisions are limited.
#
# Questions about exempt processings are neither counted nor refused: the mail must not stop (law.md, trap 14).

OVER_QUOTA: Final = "The caller asks too often: do not analyse, and ask again later."


def count_questions(limits: RateLimits, caller: Caller, exempt: Sequence[bool]) -> tuple[bool, QuotaStatus | None]:
    """Count the questions of a request that are not about exempt processings.

    Returns whether only those that are may be answered, and how much of the quota is left (None: no limit).

    Raises:
        OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.

    """
    counted = len(exempt) - sum(exempt)
    if not counted or not limits.limits(Counted.DECISIONS):
        return False, None
    try:
        return False, limits.take(Counted.DECISIONS, caller.id, counted)
    except OverQuotaError as error:
        if counted == len(exempt):
            raise
        return True, error.standing


def refuse_before_reading(limits: RateLimits, replica: Replica, digest: bytes, questions: Sequence[Question]) -> None:
    """Refuse a caller that has used up its quota before anything is read for its questions.

    Raises:
        OverQuotaError: the caller and all processings are held in memory, and no question would be answered.

    """
    record = replica.callers.get(digest)
    standing = limits.used_up(Counted.DECISIONS, record.caller.id) if record and record.caller else None
    if standing is None:
        return
    entries = (replica.register.get(question.processing) for question in questions)
    if all(entry is not None and not (entry.processing and entry.processing.is_exempt) for entry in entries):
        raise OverQuotaError(standing)
