"""Ledger entries: a consent event with all that proves it, as recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
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


def without_age(capacity: Json | None) -> Json | None:
    """What is said of who decided, without the person's age; None where nothing else is said."""
    return {name: said for name, said in (capacity or {}).items() if name != "age_band"} or None


def collection_of(evidence: Json | None, capacity: Json | None, *, text_known: bool) -> Collection:
    """What the rules look at, from evidence and capacity as received or as stored; what is left out is lawful."""
    said = {**(evidence or {}), **(capacity or {})}
    return _collection(
        said.get("positive_act", PositiveAct.BUTTON_CLICKED),
        said.get("default_state", DefaultState.UNSELECTED),
        bool(said.get("separate_from_terms", True)),
        bool(said.get("conditional", False)),
        text_known,
        said.get("age_band"),
        said.get("given_by", GivenBy.SELF),
        _text(said.get("presented_text_sha256")) if text_known else None,
    )


def _text(digest: object) -> str | None:
    return digest.lower() if isinstance(digest, str) else None


@lru_cache(maxsize=4_096)
def _collection(  # noqa: PLR0917 - the members of a collection: there are few that differ, and many consents share one
    positive_act: str,
    default_state: str,
    separate_from_terms: bool,  # noqa: FBT001
    conditional: bool,  # noqa: FBT001
    text_known: bool,  # noqa: FBT001
    age_band: str | None,
    given_by: str,
    text: str | None,
) -> Collection:
    return Collection(
        PositiveAct(positive_act),
        DefaultState(default_state),
        separate_from_terms,
        conditional,
        text_known,
        AgeBand(age_band) if age_band is not None else None,
        GivenBy(given_by),
        text,
    )
