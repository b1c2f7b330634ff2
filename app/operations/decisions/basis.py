"""What a decision was made on, put together so that the decision can be made again from the log (docs/proof.md)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.audit.basis import DecisionBasis
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest, Participant
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.operations.decisions.facts import Facts

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
