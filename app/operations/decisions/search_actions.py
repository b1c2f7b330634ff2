"""Search for the processings that a question would be permitted about (AuthZEN 8.6): the register, asked one by one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.core.decision import DecisionRequest
from app.db.session import ReadSession
from app.operations.decisions.evaluate_requests import affordable, evaluate_requests
from app.operations.service.deployment import Deployment
from app.register.store import list_ids

_BATCH: Final = 100
_SCANNED_AT_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class ActionsPage:
    """Processings that would be permitted, by id, and the id after which the next page begins; None at the end."""

    names: Sequence[str]
    next_after: str | None


async def search_actions(
    session: ReadSession,
    deployment: Deployment,
    question: DecisionRequest,
    among: Collection[str] | None,
    *,
    after: str,
    limit: int,
) -> ActionsPage:
    """The next processings that would be permitted now, by id; `among` these only, None for all.

    A page looks at a bounded number of processings, so it may hold fewer results than wanted and not be the last.
    """
    found: list[str] = []
    most = affordable(question, _SCANNED_AT_MOST)
    scanned, size = 0, min(_BATCH, most)
    while scanned < most:
        names = await list_ids(session, among, after=after, limit=size)
        questions = [replace(question, processing=name) for name in names]
        evaluated = await evaluate_requests(session, deployment.policy, questions)
        for name, decision in zip(names, evaluated.decisions, strict=True):
            if len(found) == limit:
                return ActionsPage(found, after)
            if decision.permitted:
                found.append(name)
            after = name
        if len(names) < size:
            return ActionsPage(found, None)
        scanned += len(names)
    return ActionsPage(found, after)
