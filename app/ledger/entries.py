"""Ledger entries: a consent event with all that proves it, as recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from app.core.consent import (
    AgeBand,
    CheckedHow,
    Collection,
    ConsentEvent,
    DefaultState,
    GivenBy,
    PositiveAct,
    StatedBy,
    age_weight,
)

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


_AGE: Final = frozenset({"age_band", "under_15_until"})
_HOW_STATED: Final = frozenset({"stated_by", "checked_how"})


def without_age(capacity: Json | None) -> Json | None:
    """What is said of who decided, without the person's age; None where nothing else is said."""
    return {name: said for name, said in (capacity or {}).items() if name not in _AGE} or None


def age_alone(evidence: Json | None, capacity: Json | None) -> tuple[Json | None, Json | None]:
    """The evidence and capacity of a statement of age, without what was decided with it; its giver stated it."""
    said = capacity or {}
    if (evidence or {}).get("stated_by") is None:
        by_parent = said.get("given_by") in {GivenBy.PARENT, GivenBy.BOTH}
        stated = {"stated_by": StatedBy.PARENT if by_parent else StatedBy.SELF, "checked_how": CheckedHow.NOT_CHECKED}
    else:
        stated = {name: value for name, value in (evidence or {}).items() if name in _HOW_STATED}
    return stated, {name: value for name, value in said.items() if name in _AGE}


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
        said.get("stated_by"),
        said.get("checked_how", CheckedHow.NOT_CHECKED),
        said.get("under_15_until"),
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
    stated_by: str | None,
    checked_how: str,
    under_15_until: str | None,
) -> Collection:
    weight = age_weight(
        StatedBy(stated_by) if stated_by is not None else None, CheckedHow(checked_how), GivenBy(given_by)
    )
    return Collection(
        PositiveAct(positive_act),
        DefaultState(default_state),
        separate_from_terms,
        conditional,
        text_known,
        AgeBand(age_band) if age_band is not None else None,
        GivenBy(given_by),
        text,
        weight,
        date.fromisoformat(under_15_until) if under_15_until is not None else None,
    )
