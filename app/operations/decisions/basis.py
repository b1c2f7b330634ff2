"""What a decision was made on, put together so that the decision can be made again from the log (docs/proof.md)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
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
) -> DecisionBasis:
    """What a decision is made on. Arguments as of `app.core.evaluate.evaluate`."""
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
        participants=None if others is None else len(others),
        participants_digest=None
        if others is None
        else sha256(b"".join(sorted(each.ref + bytes([each.local]) for each in others))).digest(),
        relied=_relied(request, consents, by, holders) if others or holders else None,
        policy=policy_text(by.policy),
        rules=by.rules,
        build=by.build,
    )


def _last(events: Sequence[ConsentEvent]) -> int:
    return max((event.order for event in events), default=0)


def _relied(
    request: DecisionRequest, consents: Mapping[bytes, Sequence[ConsentEvent]], by: DecidedBy, holders: Holders
) -> bytes:
    """Who was looked at: the subject, then each other party with an account here; how many have none.

    Each by the id of their last event that was known (null: nothing was), and of each holder of a shared mailbox.
    `named`: the subject is among the participants too.
    """
    others = sorted({each.ref for each in request.participants or () if each.local} - {request.subject})
    parties = [
        [_last_id(consents.get(ref, ())), [_last_id(each) for each in holders[ref]] if ref in holders else None]
        for ref in (request.subject, *others)
    ]
    elsewhere = sum(not each.local for each in request.participants or ())
    named = any(each.ref == request.subject and each.local for each in request.participants or ())
    told = {"parties": parties, "elsewhere": elsewhere, "named": named}
    return by.seal(json.dumps(told, separators=(",", ":")).encode())


def _last_id(events: Sequence[ConsentEvent]) -> str | None:
    return str(max(events, key=lambda event: event.order).id) if events else None
