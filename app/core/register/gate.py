"""The gate: what may permit more waits for a second human being (docs/register.md, "Four eyes").

The rules are right about the facts that they are given; the gate is about who may give them. With the setting `two`,
nothing that can turn a deny into a permit, or loosen who may do so, takes effect by one human being. What only forbids
waits for nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID


class Gated(StrEnum):
    """What waits at the gate. Versions and imports wait in tables of their own, and are read by number and by name."""

    CONTROLLER_VERSION = "controller_version"
    RESUMPTION = "resumption"
    RESTORE = "restore"
    RETENTION = "retention"


class ProposalState(StrEnum):
    """Whether a proposal waits for a second person, was approved (or needed nobody), or was rejected."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a second person answered, when, and why."""

    approved: bool
    reason: str
    at: datetime
    by: UUID


def state_after(ruling: Ruling | None) -> ProposalState:
    """What became of a proposal; `ruling` None while it waits."""
    if ruling is None:
        return ProposalState.PROPOSED
    return ProposalState.APPROVED if ruling.approved else ProposalState.REJECTED


@dataclass(frozen=True, slots=True)
class GateProposal:
    """What one person wants to do, until another has answered; `ruling` None while it waits.

    `target`: the id of the processing or controller that it is about; "" for what is about the deployment. `wanted`:
    what is to be done, as JSON has it.
    """

    id: UUID
    kind: Gated
    target: str
    wanted: Mapping[str, Any]
    at: datetime
    by: UUID
    ruling: Ruling | None = None

    @property
    def state(self) -> ProposalState:
        """What became of it."""
        return state_after(self.ruling)


MOST_WAITING: Final = 200
"""How many proposals may wait at once: persons make them, and persons read them."""
