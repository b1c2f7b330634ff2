"""The rules of article L32-3, one function each, named after its row in the table of docs/law.md.

A rule looks at a case and either decides (an `Outcome`) or passes (None). The numbers are names: 5 is asked before 2.
Rules 1, 5 and 2 come before a register entry is needed; they are in `app.core.evaluate`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from app.core.article import (
    DECREE,
    DECREE_DATE,
    SCREENING_PURPOSES,
    TEXT_MESSAGES,
    TRANSITION_END,
    WALLIS_AND_FUTUNA,
    Article,
)
from app.core.case import Case, Outcome, Rule
from app.core.consent import ConsentEvent, EventKind
from app.core.decision import Decision, Participant, Reason
from app.core.fold import Grant, Standing, covered, defects, invalidated
from app.core.processing import PartyMode, Status


def first_match(case: Case) -> Decision:
    """Return the decision of the first rule, from 3 on, that decides."""
    for rule in RULES:
        outcome = rule.check(case)
        if outcome is not None:
            return _decision(case, rule, outcome)
    raise AssertionError  # pragma: no cover - the last rule always answers


def _decision(case: Case, rule: Rule, outcome: Outcome) -> Decision:
    consent = outcome.consent
    return Decision(
        permitted=outcome.permitted,
        reason=outcome.reason,
        article=outcome.article,
        law_version=case.law,
        rule=rule.number,
        consent=consent.id if consent is not None else None,
        expires_at=_expires_at(case.standing, consent) if consent is not None else None,
        valid_until=outcome.valid_until,
        elements=case.touched if outcome.permitted else None,
    )


def _expires_at(standing: Standing, consent: ConsentEvent) -> datetime | None:
    """Return when a consent that an outcome names expires or expired, even if a withdrawal ended it; None for a no."""
    if consent.kind is not EventKind.GRANTED:
        return None
    return standing.expires_at if consent is standing.latest else standing.expiry_of(consent)


def _rule_3(case: Case) -> Outcome | None:
    if case.processing.status_at(case.at) is Status.ACTIVE:
        return None
    return Outcome(Reason.PROCESSING_SUSPENDED, case.secrecy)


def _rule_4(case: Case) -> Outcome | None:
    if case.request.automated and case.version.automated:
        return None
    return Outcome(Reason.HUMAN_ACCESS, case.secrecy)


def _rule_6(case: Case) -> Outcome | None:
    if case.touched <= case.version.elements:
        return None
    return Outcome(Reason.UNDECLARED_ELEMENT, case.secrecy)


def _rule_7(case: Case) -> Outcome | None:
    if not case.processing.is_exempt or _rule_7b(case) is not None:
        return None
    return Outcome(Reason.EXEMPT, Article.III, permitted=True)


def _rule_7b(case: Case) -> Outcome | None:
    covered_by_iii = case.at >= TEXT_MESSAGES.in_force_from and case.request.territory != WALLIS_AND_FUTUNA
    if case.processing.purpose not in SCREENING_PURPOSES or not case.content_by_text_message or covered_by_iii:
        return None
    return Outcome(Reason.CHANNEL_NOT_COVERED, Article.III)


def _rule_8(case: Case) -> Outcome | None:
    if case.processing.rests_on_consent:
        return None
    return Outcome(Reason.PURPOSE_NOT_PERMITTED, case.secrecy)


def _rule_9(case: Case) -> Outcome | None:
    return Outcome(Reason.CHANNEL_NOT_COVERED, Article.IV) if case.content_by_text_message else None


def _rule_9b(case: Case) -> Outcome | None:
    """Deny for a shared mailbox: it has no user who could consent, so no consent is asked and nothing is read."""
    shares = any(each in case.shared for each in (case.request.subject, *_local_others(case)))
    return Outcome(Reason.OTHER_PARTY, Article.IV) if shares else None


def _rule_10(case: Case) -> Outcome | None:
    in_transition = DECREE.in_force_from <= case.at < TRANSITION_END
    if not in_transition or case.request.territory == WALLIS_AND_FUTUNA or not _running_before_decree(case):
        return None
    if case.standing.ever_decided:
        return None
    if _party_in_the_way(case, unasked_too=False):
        return Outcome(Reason.OTHER_PARTY, Article.IV)
    until = min([TRANSITION_END, *(each.expires_at for each in _others_relied_on(case))])
    return Outcome(Reason.TRANSITION_2017, Article.NOTA, permitted=True, valid_until=until)


def _running_before_decree(case: Case) -> bool:
    """Return whether the first version says that the processing ran before the decree, and none remade it since.

    A later version cannot make a processing older than its first version said.
    """
    remade = any(
        version.effective_from is not None and DECREE.in_force_from <= version.effective_from <= case.at
        for version in case.processing.material_versions()
    )
    return case.processing.versions[0].started_on < DECREE_DATE and not remade


def _rule_11(case: Case) -> Outcome | None:
    return Outcome(Reason.NO_CONSENT, Article.IV) if case.standing.latest is None else None


def _rule_12(case: Case) -> Outcome | None:
    return _latest_is(case, EventKind.REFUSED, Reason.CONSENT_REFUSED)


def _rule_13(case: Case) -> Outcome | None:
    return _latest_is(case, EventKind.WITHDRAWN, Reason.CONSENT_WITHDRAWN)


def _latest_is(case: Case, kind: EventKind, reason: Reason) -> Outcome | None:
    standing = case.standing
    if standing.latest is None or standing.latest.kind is not kind:
        return None
    return Outcome(reason, Article.IV, standing.consent)


def _rule_14(case: Case) -> Outcome | None:
    return _grant_lacks(case, Reason.CONSENT_INVALID)


def _rule_15(case: Case) -> Outcome | None:
    return _grant_lacks(case, Reason.CONSENT_SUPERSEDED)


def _rule_16(case: Case) -> Outcome | None:
    return _grant_lacks(case, Reason.CONSENT_EXPIRED)


def _rule_17(case: Case) -> Outcome | None:
    return _grant_lacks(case, Reason.CONSENT_SCOPE)


def _grant_lacks(case: Case, reason: Reason) -> Outcome | None:
    standing, grant = case.standing, case.standing.grant
    if grant is None or not _LACKS[reason](case, standing, grant):
        return None
    return Outcome(reason, Article.IV, grant.event)


_LACKS: Final[Mapping[Reason, Callable[[Case, Standing, Grant], bool]]] = {
    Reason.CONSENT_INVALID: lambda case, _, grant: (
        bool(defects(grant, case.processing, case.at)) or invalidated(grant, case.processing, case.at)
    ),
    Reason.CONSENT_SUPERSEDED: lambda case, _, grant: case.processing.superseded(grant.event.version or 0, case.at),
    Reason.CONSENT_EXPIRED: lambda case, standing, _: case.at >= standing.expires_at,
    Reason.CONSENT_SCOPE: lambda case, _, grant: not case.touched <= covered(grant, case.processing),
}


def _rule_18(case: Case) -> Outcome | None:
    return Outcome(Reason.OTHER_PARTY, Article.IV) if _party_in_the_way(case, unasked_too=True) else None


def _party_in_the_way(case: Case, *, unasked_too: bool) -> bool:
    """Return whether another party's consent is missing, or the request does not say who the participants are.

    Args:
        case: the case.
        unasked_too: whether a local party who never decided counts as missing; in the transition of 2017 it does not.

    """
    if case.version.party_mode is PartyMode.USER_ONLY:
        return False
    participants = case.request.participants
    return participants is None or not all(_party_consents(case, each, unasked_too) for each in participants)


def _party_consents(case: Case, participant: Participant, unasked_too: bool) -> bool:  # noqa: FBT001 - passed on
    """Return whether a participant is no obstacle: the subject, an outsider where allowed, or a local one in force."""
    if participant.ref == case.request.subject:
        return True
    if not participant.local:
        return case.version.party_mode is not PartyMode.ALL_PARTIES
    standing = case.standing_of(participant.ref)
    if not unasked_too and not standing.ever_decided:
        return True
    return _in_force(case, standing)


def _in_force(case: Case, standing: Standing) -> bool:
    """Return whether the latest decision is a grant that passes rules 14 to 17."""
    grant = standing.grant
    return grant is not None and not any(lacks(case, standing, grant) for lacks in _LACKS.values())


def _local_others(case: Case) -> list[bytes]:
    """Return the local participants, where the party mode asks for their consents."""
    asks = case.version.party_mode is not PartyMode.USER_ONLY
    return [each.ref for each in case.request.participants or () if each.local] if asks else []


def _others_relied_on(case: Case) -> list[Standing]:
    """Return the standings of the local participants whose grants are in force, where their consents are asked for."""
    return [standing for standing in map(case.standing_of, _local_others(case)) if _in_force(case, standing)]


def _rule_19(case: Case) -> Outcome | None:
    relied = [case.standing, *_others_relied_on(case)]
    until = min(each.expires_at for each in relied)
    return Outcome(Reason.CONSENT_IN_FORCE, Article.IV, case.standing.latest, permitted=True, valid_until=until)


RULES: Final = (
    Rule("3", "Is the processing suspended or retired at that instant, or not yet approved?", _rule_3),
    Rule("4", "Would a human read, by the request or by the register?", _rule_4),
    Rule("6", "Does the request touch an element that the processing did not declare?", _rule_6),
    Rule("7", "Is the purpose one of the five of III, on a channel that III covers?", _rule_7),
    Rule("7b", "Is it sorting or detection, with content of a text message that III leaves out?", _rule_7b),
    Rule("8", "Is the purpose none of III's and none of IV's?", _rule_8),
    Rule("9", "Is the content of a text message touched for a purpose of IV?", _rule_9),
    Rule("9b", "Is the user, or a party whose consent is asked for, a mailbox that several people share?", _rule_9b),
    Rule("10", "Does the transition of 2017 (NOTA) permit it?", _rule_10),
    Rule("11", "Has the user never decided on this processing, or closed the account since?", _rule_11),
    Rule("12", "Is the user's latest decision a refusal?", _rule_12),
    Rule("13", "Is it a withdrawal?", _rule_13),
    Rule(
        "14",
        "Is it a grant that was unlawfully collected, or to a version or on a text that was invalidated?",
        _rule_14,
    ),
    Rule("15", "Is it a grant to an older version, with a material version in force since?", _rule_15),
    Rule("16", "Is it a grant that has reached its expiry?", _rule_16),
    Rule("17", "Does it leave out an element that the request touches?", _rule_17),
    Rule("18", "Is the consent of another party missing, or are the parties not said?", _rule_18),
    Rule("19", "Otherwise the consent is in force.", _rule_19),
)
