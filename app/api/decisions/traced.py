"""What the span of a decision says of it: outcomes, and a registered processing; nothing of whom it is about."""

from collections.abc import Mapping
from typing import Final

from app.api.decisions.reading import Batch
from app.core.decision import Reason
from app.operations.decisions.judging import AnsweredRequest, Judged, Question
from app.telemetry.traces.spans import Value

_BEFORE_THE_REGISTER: Final = frozenset({Reason.LAW_VERSION_NOT_HELD, Reason.UNKNOWN_PROCESSING})
"""Reasons that are given although the processing may not be registered: its id is then whatever the caller wrote."""


def told_in_trace(answered: AnsweredRequest, read: Question | Batch) -> Mapping[str, Value]:
    """The attributes of one answered request."""
    judged = [each for each in answered.answers if isinstance(each, Judged)]
    if isinstance(read, Batch):
        permits = sum(each.decision.permitted for each in judged)
        return {"sceau.decision.questions": len(answered.answers), "sceau.decision.permits": permits}
    if not judged:
        return {}
    decision = judged[0].decision
    told: dict[str, Value] = {
        "sceau.decision.permitted": decision.permitted,
        "sceau.decision.reason": decision.reason.value,
    }
    if decision.reason not in _BEFORE_THE_REGISTER:
        told["sceau.decision.processing"] = read.processing
    return told
