"""A link by which a person decides or withdraws: what it is for, and what it offers at an instant.

Withdrawing is never harder than giving (GDPR art. 7(3)): wherever a consent holds, a link that shows it offers to
withdraw it, even if the link offers nothing else any more.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.core.article import FRANCE
from app.core.consent import DECISIONS, ConsentEvent, EventKind, State, ages_stated
from app.core.fold import JOINT_WINDOW, consent_expiry, consent_state, halves_among, history, since_closure
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import Processing, ProcessingVersion

_SHOWN: Final = 2
_SHOWN_TAIL: Final = 40
_PHONES: Final = frozenset({"phone", "tel", "msisdn", "phone_number"})
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().-]{5,22}", re.ASCII)
_SCHEMES: Final = frozenset({"tel", "sip", "sips", "mailto", "xmpp", "sms"})
_HIDDEN: Final = "••"
_FRANCE: Final = "+33"
_NATIONAL_DIGITS: Final = 9


def account_hint(identifier: str, kind: str = "") -> str:
    """Return a hint such as `al…@example.fr`: at most two characters, never all, of what precedes the domain.

    A telephone number (by the `kind` of its subject) shows how it begins and its last two digits, in pairs: `+33 6 ••
    •• •• 78`, `06 •• •• •• 78`.
    """
    if kind.lower() in _PHONES and _PHONE.fullmatch(identifier) is not None:
        return _phone(identifier)
    scheme, _, rest = identifier.partition(":")
    if scheme.lower() in _SCHEMES:
        return account_hint(rest, "phone" if _PHONE.fullmatch(rest) is not None else kind)
    # A colon stands before a domain only in ids such as @alice:example.fr.
    end = identifier.rfind(":") if identifier.startswith("@") else max(0, identifier.rfind("@"))
    name, tail = (identifier[:end], identifier[end:]) if end > 0 else (identifier, "")
    if len(tail) > _SHOWN_TAIL:
        tail = f"…{tail[-_SHOWN_TAIL:]}"
    return f"{name[: max(0, min(_SHOWN, len(name) - 1))]}…{tail}"


def _phone(number: str) -> str:
    digits = re.sub(r"[^0-9]", "", number)
    plus = number.startswith("+")
    if plus and digits.startswith(_FRANCE[1:]) and len(digits) == len(_FRANCE) - 1 + _NATIONAL_DIGITS:
        head, rest = f"{_FRANCE} {digits[2]}", digits[3:]
    else:
        head, rest = f"{'+' if plus else ''}{digits[:2]}", digits[2:]
    pairs = -(-len(rest) // 2)
    return " ".join([head, *([_HIDDEN] * (pairs - 1)), rest[-2:]])


class LinkKind(StrEnum):
    """What a link was made for; `joint`: one of the two by which a child and a parent each decide.

    `overview`: it shows everything that is held about the person, and withdraws what holds.
    """

    DECIDE = "decide"
    WITHDRAW = "withdraw"
    JOINT = "joint"
    OVERVIEW = "overview"

    @property
    def asks(self) -> bool:
        """Whether a consent can be given by such a link at all."""
        return self in {LinkKind.DECIDE, LinkKind.JOINT}


class Authentication(StrEnum):
    """How the operator knows that the person who opens the link is the subject.

    `mailbox`: the link went to the subject's own mailbox or account and to nowhere else; `signed_in`: the subject was
    signed in to the service when it was shown; `signed_in_strong`: with two factors; `in_person`: handed over to
    a person whose identity was checked.
    """

    MAILBOX = "mailbox"
    SIGNED_IN = "signed_in"
    SIGNED_IN_STRONG = "signed_in_strong"
    IN_PERSON = "in_person"


class Act(StrEnum):
    """What one press of a button says."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


class Situation(StrEnum):
    """Where a person stands on a processing, as the page tells it; `awaiting`: the other act of a joint consent."""

    UNDECIDED = "undecided"
    HOLDS = "holds"
    AWAITING = "awaiting"
    LAPSED = "lapsed"
    INVALID = "invalid"
    INVALIDATED = "invalidated"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


def latest_decision(events: Sequence[ConsentEvent], processing: Processing, at: datetime) -> ConsentEvent | None:
    """Return a person's last decision on a processing since the account was last closed, counting yet or not.

    Half of a joint consent is returned while the other half may follow, or where there are only halves.
    """
    live = since_closure(history(events, processing, at))
    decided = [event for event in live if event.kind in DECISIONS]
    halves = halves_among(live, ages_stated(events, at))
    waits = any(at - event.collected_at <= JOINT_WINDOW for event in decided[-1:])
    told = decided if waits else [event for event in decided if event.order not in halves] or decided
    return told[-1] if told else None


def renewal_declined(decision: ConsentEvent | None, events: Iterable[ConsentEvent]) -> bool:
    """Return whether the person has said, since the consent, not to renew it; they are then not reminded of it."""
    return (
        decision is not None
        and decision.kind is EventKind.GRANTED
        and any(
            event.kind is EventKind.RENEWAL_DECLINED
            and event.processing == decision.processing
            and event.rank > decision.rank
            for event in events
        )
    )


def situation(
    decision: ConsentEvent | None,
    events: Sequence[ConsentEvent],
    processing: Processing,
    at: datetime,
    policy: PeriodPolicy,
) -> Situation:
    """Return where the last decision leaves a person; a grant to a future version holds, so it can be withdrawn."""
    if decision is None:
        return Situation.UNDECIDED
    if decision.kind is EventKind.GRANTED:
        state = consent_state(decision, events, processing, at, policy)
        if state in _TOLD:
            return _TOLD[state]
        return Situation.HOLDS if state in _HOLDING else Situation.LAPSED
    return Situation.REFUSED if decision.kind is EventKind.REFUSED else Situation.WITHDRAWN


def offered(
    kind: LinkKind, stands: Situation, *, asks: bool, decided_here: bool, declined: bool = False
) -> frozenset[Act]:
    """Return the buttons that a link shows for a processing.

    Args:
        kind: what the link was made for.
        stands: where the person stands.
        asks: whether it may still ask: the link has not expired, the processing is active, the person may answer.
        decided_here: whether the person decided since the link was made, or gave this side of a joint consent; then
            only a change of mind is offered.
        declined: whether the person said that the consent is not to be renewed; they may still change their mind.

    """
    if stands is Situation.HOLDS:
        if not kind.asks or not asks or decided_here:
            return frozenset({Act.WITHDRAW})
        return frozenset({Act.ACCEPT, Act.WITHDRAW} if declined else {Act.ACCEPT, Act.DECLINE, Act.WITHDRAW})
    if stands is Situation.AWAITING:
        others_turn = kind is LinkKind.JOINT and asks and not decided_here
        return frozenset({Act.ACCEPT, Act.REFUSE} if others_turn else {Act.WITHDRAW})
    if not kind.asks or not asks:
        return frozenset()
    if decided_here and stands in {Situation.REFUSED, Situation.WITHDRAWN}:
        return frozenset({Act.ACCEPT})
    return frozenset({Act.ACCEPT, Act.REFUSE})


def consent_ends(
    grant: ConsentEvent, events: Sequence[ConsentEvent], processing: Processing, at: datetime, policy: PeriodPolicy
) -> datetime:
    """Return when a grant will end by itself, as known at an instant: at its expiry or a planned material version."""
    return _ends(consent_expiry(grant, events, processing, at, policy), grant.version or 0, processing)


def would_end(
    version: ProcessingVersion, processing: Processing, at: datetime, policy: PeriodPolicy, territory: str = FRANCE
) -> datetime:
    """Return when a grant given at an instant to a version, in a territory, would end by itself."""
    return _ends(policy.expiry(at, version.consent_validity, territory), version.number, processing)


def paused_until(decision: ConsentEvent | None, pause: ConsentPeriod) -> datetime | None:
    """Return until when a refusal or withdrawal keeps a processing from being offered; None for any other decision.

    It is counted on the Paris calendar to the same local time.
    """
    if decision is None or decision.kind is EventKind.GRANTED:
        return None
    return PeriodPolicy(Counting.SAME_INSTANT).expiry(decision.collected_at, pause)


_TOLD = {
    State.INVALID: Situation.INVALID,
    State.INVALIDATED: Situation.INVALIDATED,
    State.AWAITING_OTHER: Situation.AWAITING,
}
_HOLDING = frozenset({State.IN_FORCE, State.PENDING})


def _ends(expires_at: datetime, number: int, processing: Processing) -> datetime:
    planned = (version.effective_from for version in processing.material_versions(after=number))
    return min([expires_at, *(at for at in planned if at is not None)])
