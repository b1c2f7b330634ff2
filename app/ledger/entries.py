"""Ledger entries: a consent event with all that proves it, as recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.consent import AgeBand, Collection, ConsentEvent, DefaultState, GivenBy, PositiveAct

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One event of the ledger.

    `stated_at` is the time that the caller gave, kept beside the time that counts (`event.collected_at`). `imported`
    tells a decision recorded after the fact from a live one. `evidence` and `capacity` are as received.
    """

    subject_ref: bytes
    event: ConsentEvent
    recorded_at: datetime
    recorded_by: UUID
    imported: bool = False
    stated_at: datetime | None = None
    counting: str | None = None
    evidence: Json | None = None
    capacity: Json | None = None


def collection_of(evidence: Json | None, capacity: Json | None, *, text_known: bool) -> Collection:
    """What the rules look at, from evidence and capacity as received or as stored; what is left out is lawful."""
    said = {**(evidence or {}), **(capacity or {})}
    age_band = said.get("age_band")
    return Collection(
        positive_act=PositiveAct(said.get("positive_act", PositiveAct.BUTTON_CLICKED)),
        default_state=DefaultState(said.get("default_state", DefaultState.UNSELECTED)),
        separate_from_terms=bool(said.get("separate_from_terms", True)),
        conditional=bool(said.get("conditional", False)),
        text_known=text_known,
        age_band=AgeBand(age_band) if age_band is not None else None,
        given_by=GivenBy(said.get("given_by", GivenBy.SELF)),
    )
