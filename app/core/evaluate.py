"""The decision: the rules of article L32-3 in order, first match wins, deny by default.

`evaluate` is pure. It starts at deny: a permit is only ever the outcome of rule 5, 7, 10 or 19 (`app.core.rules`).
Nothing that a request carries can widen a permit: `automated: true` does not override the register, and an unknown
territory is not France.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.core.article import TERRITORIES, Article, law_version_at
from app.core.case import Case, Consents
from app.core.consent import ConsentEvent, EventKind
from app.core.decision import Decision, DecisionRequest, Reason
from app.core.fold import act_expiry
from app.core.period import PeriodPolicy
from app.core.processing import Processing, ProcessingVersion, Status
from app.core.rules import RULES, first_match

DEFAULT_POLICY: Final = PeriodPolicy()
_ASKED: Final = (
    ("1", "Does Sceau hold the law in force at that instant?"),
    ("5", "Is the correspondence not private, or the territory one where the article does not apply?"),
    ("2", "Is the processing in the register at that instant?"),
    *((rule.number, rule.asks) for rule in RULES),
)


@dataclass(frozen=True, slots=True)
class RuleTried:
    """One row of an explanation: the rule's number in docs/law.md, what it asks, and whether it decided."""

    number: str
    asks: str
    matched: bool


def evaluate(  # noqa: PLR0917 - the question and each of the facts
    request: DecisionRequest,
    processing: Processing | None,
    consents: Consents,
    at: datetime,
    policy: PeriodPolicy = DEFAULT_POLICY,
    shared: Collection[bytes] = (),
) -> Decision:
    """Answer a request on the facts given, as judged at an instant.

    Args:
        request: the question.
        processing: the register's entry for `request.processing`, None when there is none.
        consents: all events of each person by locator, for the subject and each local participant.
        at: the instant judged (aware). Events collected later are not seen; scheduled versions bound `valid_until`.
        policy: how this deployment counts periods.
        shared: which of those locators are of shared mailboxes.

    """
    law = law_version_at(at)
    if law is None:
        return _refuse(Reason.LAW_VERSION_NOT_HELD, None, None, "1")
    version = processing.version_at(at) if processing is not None else None
    if not request.private or request.territory not in TERRITORIES:
        return _not_governed(request, processing, version, at, law.name)
    if processing is None or version is None:
        return _refuse(Reason.UNKNOWN_PROCESSING, Article.I_OR_II, law.name, "2")
    seen = {ref: [each for each in events if each.collected_at <= at] for ref, events in consents.items()}
    case = Case(request, processing, version, seen, at, policy, law.name, shared)
    decision = first_match(case)
    if not decision.permitted:
        return decision
    exempt = decision.reason is Reason.EXEMPT
    until = _suspended_from(processing, at) if exempt else _until(decision, case)
    return decision if until == decision.valid_until else replace(decision, valid_until=until)


def explain(  # noqa: PLR0917 - as `evaluate`
    request: DecisionRequest,
    processing: Processing | None,
    consents: Consents,
    at: datetime,
    policy: PeriodPolicy = DEFAULT_POLICY,
    shared: Collection[bytes] = (),
) -> tuple[Decision, tuple[RuleTried, ...]]:
    """Answer as `evaluate` does, and list every rule that was tried on the way."""
    decision = evaluate(request, processing, consents, at, policy, shared)
    last = next(place for place, (number, _) in enumerate(_ASKED) if number == decision.rule)
    tried = [RuleTried(number, asks, matched=number == decision.rule) for number, asks in _ASKED[: last + 1]]
    return decision, tuple(tried)


def stable_until(
    processing: Processing, events: Sequence[ConsentEvent], at: datetime, policy: PeriodPolicy = DEFAULT_POLICY
) -> datetime | None:
    """Return the instant until which the answer about these facts, judged at `at`, cannot change while they do not.

    It is the next change that the register has scheduled, or the next expiry of one of the grants, each taken alone: a
    joint consent expires with its first act, which is one of them. None when there is no such instant. All events must
    have been collected by `at`.
    """
    moments = [version.effective_from for version in processing.versions if version.effective_from is not None]
    moments += [change.at for change in processing.changes]
    moments += [
        act_expiry(event, processing, at, policy)
        for event in events
        if event.kind is EventKind.GRANTED and event.concerns(processing.id) and processing.version(event.version or 0)
    ]
    return min((moment for moment in moments if moment > at), default=None)


def _not_governed(
    request: DecisionRequest,
    processing: Processing | None,
    version: ProcessingVersion | None,
    at: datetime,
    law: str,
) -> Decision:
    """Apply rule 5: where the article does not govern, only what it would exempt is permitted, and nothing is cited."""
    refused = _refuse(Reason.NOT_APPLICABLE, None, law, "5")
    if processing is None or version is None or not processing.is_exempt:
        return refused
    active = processing.status_at(at) is Status.ACTIVE
    touched = request.elements or version.elements
    if not (active and request.automated and version.automated and touched <= version.elements):
        return refused
    until = _suspended_from(processing, at)
    return replace(refused, permitted=True, reason=Reason.NOT_GOVERNED, valid_until=until, elements=touched)


def _suspended_from(processing: Processing, at: datetime) -> datetime | None:
    """Return the next suspension or retirement scheduled after an instant; None when there is none."""
    stops = (change.at for change in processing.status_changes if change.status is not Status.ACTIVE)
    return min((moment for moment in stops if moment > at), default=None)


def _refuse(reason: Reason, article: Article | None, law: str | None, rule: str) -> Decision:
    return Decision(permitted=False, reason=reason, article=article, law_version=law, rule=rule)


def _until(decision: Decision, case: Case) -> datetime:
    """Return until when a permit under IV or the NOTA stands, given what the register has scheduled.

    It is the earliest of the expiries relied on and of the next material version or suspension. A minor version that
    would deny this very request ends the permit too, and one that shortens the period bounds it.
    """
    until = decision.valid_until or case.at
    for moment, stops in _scheduled(case):
        if moment >= until:
            break
        version = case.processing.version_at(moment) or case.version
        then = first_match(replace(case, at=moment, version=version))
        if stops or not then.permitted:
            return moment
        until = min(until, then.valid_until or moment)
    return until


def _scheduled(case: Case) -> list[tuple[datetime, bool]]:
    """Return the instants after `at` at which the register changes, in order, and whether each alone ends a permit."""
    material = {version.number for version in case.processing.material_versions()}
    changes = [
        (version.effective_from, version.number in material)
        for version in case.processing.versions
        if version.effective_from is not None and version.effective_from > case.at
    ]
    changes += [
        (change.at, change.status is not Status.ACTIVE)
        for change in case.processing.status_changes
        if change.at > case.at
    ]
    changes += [(each.at, False) for each in case.processing.invalidations if each.at > case.at]
    return sorted(changes)
