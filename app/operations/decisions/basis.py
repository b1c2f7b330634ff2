"""What a decision was made on, put together so that the decision can be made again from the log (docs/proof.md)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.audit.basis import DecisionBasis
from app.core.case import Holders
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import Processing

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


def basis_of(  # noqa: PLR0917 - the question and each of the facts
    request: DecisionRequest,
    processing: Processing | None,
    consents: Mapping[bytes, Sequence[ConsentEvent]],
    at: datetime,
    by: DecidedBy,
    holders: Holders,
    subject_ref: bytes | None,
) -> DecisionBasis:
    """What a decision is made on. Arguments as of `app.core.evaluate.evaluate`; `subject_ref` is that of the row."""
    version = processing.version_at(at) if processing is not None else None
    others = request.participants
    return DecisionBasis(
        automated=request.automated,
        private=request.private,
        version=version.number if version is not None else None,
        versions=len(processing.versions) if processing is not None else 0,
        changes=len(processing.status_changes) if processing is not None else 0,
        party_mode=version.party_mode.value if version is not None else None,
        known=_last(consents.get(request.subject, ())),
        participants=None if others is None else sum(map(len, _parties(request))) + _names_itself(request),
        relied=_relied(request, consents, by, holders, subject_ref) if others or holders else None,
        policy=policy_text(by.policy),
        rules=by.rules,
        build=by.build,
    )


def _last(events: Sequence[ConsentEvent]) -> int:
    return max((event.order for event in events), default=0)


def _relied(
    request: DecisionRequest,
    consents: Mapping[bytes, Sequence[ConsentEvent]],
    by: DecidedBy,
    holders: Holders,
    subject_ref: bytes | None,
) -> bytes:
    """Who was looked at: the subject, then each other party with an account here; how many have none.

    Each by the id of their last event that was known (null: nothing was), and of each holder of a shared mailbox.
    `named`: the subject is among the participants too. `row`: the subject_ref of the row that this belongs to.
    """
    here, elsewhere = _parties(request)
    parties = [
        [_last_id(consents.get(ref, ())), [_last_id(each) for each in holders[ref]] if ref in holders else None]
        for ref in (request.subject, *sorted(here))
    ]
    row = None if subject_ref is None else subject_ref.hex()
    told = {"row": row, "parties": parties, "elsewhere": len(elsewhere), "named": _names_itself(request)}
    return by.seal(json.dumps(told, separators=(",", ":")).encode())


def _parties(request: DecisionRequest) -> tuple[set[bytes], set[bytes]]:
    """The other parties with an account here, and those without; each once, and never the subject."""
    named = request.participants or ()
    here = {each.ref for each in named if each.local} - {request.subject}
    return here, {each.ref for each in named if not each.local} - {request.subject}


def _names_itself(request: DecisionRequest) -> bool:
    """Whether the subject is among the participants too, whatever is said of them there."""
    return any(each.ref == request.subject for each in request.participants or ())


def _last_id(events: Sequence[ConsentEvent]) -> str | None:
    return str(max(events, key=lambda event: event.order).id) if events else None
