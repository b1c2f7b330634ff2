"""What counts of a statement: when it was made, and what it says of who decided and how old they are.

The database's clock times what is recorded live; what is imported keeps its own past date.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.auth.callers import Caller, Scope
from app.core.age import makes_older
from app.core.article import PARIS, paris_midnight
from app.core.consent import EventKind
from app.core.errors import CollectionTimeError, InvalidEvidenceError
from app.core.register import RegisterApproval
from app.ledger.projection import collection_of, without_age
from app.operations.consents.ledgers import OpenLedger
from app.operations.service.deployment import Deployment, SubjectName, parent_reference

_AT_ONCE: Final = timedelta(seconds=10)
"""How late a grant may arrive on the day of an erasure."""


@dataclass(frozen=True, slots=True)
class CollectionTime:
    """The instant that counts, and whether it was imported rather than recorded live."""

    at: datetime
    imported: bool


def time_of_grant(
    ledger: OpenLedger, deployment: Deployment, caller: Caller, stated: datetime | None
) -> CollectionTime:
    """When a grant counts as collected.

    Raises:
        CollectionTimeError: in the future; further back than `max_backdating`, by a caller that may not import or where
            two persons decide; or before an earlier account of the same id was closed.

    """
    if stated is None:
        return CollectionTime(ledger.now, imported=False)
    if stated > ledger.now:
        raise CollectionTimeError("A grant cannot be collected in the future.", field="collected_at")
    found = _within(ledger, deployment, caller, stated)
    if found is not None and deployment.approval is RegisterApproval.TWO:
        message = "Older consents come in by an import, which a second person approves: POST /v1/imports."
        raise CollectionTimeError(message, field="collected_at")
    _refuse_before_closure(ledger, stated, "collected_at", imported=found is not None)
    return found or CollectionTime(stated, imported=False)


def time_of_narrowing(
    ledger: OpenLedger, deployment: Deployment, caller: Caller, stated: datetime | None, *, field: str
) -> CollectionTime:
    """When a refusal or withdrawal counts as made: after everything recorded, whatever time the caller states.

    Only a caller that may import, with a time further back than `max_backdating`, records one at its own past date.
    Where two persons decide, nobody does but by an import.

    Raises:
        CollectionTimeError: the stated time lies in the future by more than a clock's error, or is that of an import
            from before an earlier account of the same id was closed.

    """
    live = CollectionTime(ledger.after_everything, imported=False)
    if stated is None:
        return live
    if stated > ledger.now + deployment.max_backdating:
        raise CollectionTimeError("This time lies in the future.", field=field)
    if Scope.CONSENTS_IMPORT not in caller.scopes or deployment.approval is RegisterApproval.TWO:
        return live
    found = _within(ledger, deployment, caller, stated)
    if found is not None:
        _refuse_before_closure(ledger, stated, field, imported=True, narrows=True)
    return found or live


def time_of_history(
    ledger: OpenLedger, caller: Caller, stated: datetime | None, *, field: str, narrows: bool
) -> CollectionTime:
    """When a row of an import counts as collected: at its own date, whichever that is; `narrows`: it is a no.

    Raises:
        ScopeMissingError: the caller may not import.
        CollectionTimeError: it has no date, one that lies in the future, or one from before an earlier account of the
            same id was closed.

    """
    caller.require(Scope.CONSENTS_IMPORT)
    if stated is None:
        raise CollectionTimeError("A row of an import says when it was collected.", field=field)
    if stated > ledger.now:
        raise CollectionTimeError("This time lies in the future.", field=field)
    _refuse_before_closure(ledger, stated, field, imported=True, narrows=narrows)
    return CollectionTime(stated, imported=True)


def _refuse_before_closure(
    ledger: OpenLedger, stated: datetime, field: str, *, imported: bool, narrows: bool = False
) -> None:
    """Refuse what was collected before an earlier account of this id was closed: it is of whoever had the id then.

    A no is this person's where that account was: it was closed when its name was stated to be theirs. An import says
    nothing about the day of the closure either. Of an erasure nothing but the day is kept: on that day a grant is taken
    only as soon as it was collected, since a late repetition of one from before cannot be told apart.
    """
    closed = ledger.another_until if narrows else ledger.closed_until
    if closed is None:
        return
    day = closed.astimezone(PARIS).date()
    erased = closed == paris_midnight(day) and stated < ledger.now - _AT_ONCE
    same_day = (imported or erased) and stated.astimezone(PARIS).date() <= day
    if stated <= closed or same_day:
        raise CollectionTimeError(
            "An account of this id was closed after that time: this belongs to whoever had the id before.", field=field
        )


def _within(ledger: OpenLedger, deployment: Deployment, caller: Caller, stated: datetime) -> CollectionTime | None:
    """The stated time as an import when it is further back than live calls may say; None when it is not."""
    if stated >= ledger.now - deployment.max_backdating:
        return None
    if Scope.CONSENTS_IMPORT not in caller.scopes:
        minutes = int(deployment.max_backdating.total_seconds() // 60)
        raise CollectionTimeError(
            f"A grant may say that it was collected up to {minutes} minutes ago; "
            f"older ones need the scope {Scope.CONSENTS_IMPORT.value}.",
            field="collected_at",
        )
    return CollectionTime(stated, imported=True)


def refuse_own_parent(
    deployment: Deployment, capacity: Mapping[str, Any] | None, own: Collection[str], field: str
) -> None:
    """Refuse a child as its own parent, by whichever of its names.

    Args:
        deployment: whose keys a parent's reference is made with.
        capacity: as received, with the parent's name or reference.
        own: by what each name of the person would be known as a parent (hex).
        field: at fault.

    Raises:
        InvalidEvidenceError: it is.

    """
    if (without_parent_id(deployment, capacity) or {}).get("parent_ref") in own:
        raise InvalidEvidenceError("This is the person whose consent it is.", field=field)


def without_parent_id(deployment: Deployment, capacity: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Capacity with a parent's reference in the place of the parent's id, which is not kept."""
    if capacity is None or "parent" not in capacity:
        return capacity
    said = {name: value for name, value in capacity.items() if name != "parent"}
    parent = capacity["parent"]
    return {**said, "parent_ref": parent_reference(deployment, SubjectName(parent["type"], parent["id"])).hex()}


@dataclass(frozen=True, slots=True)
class RecordedCapacity:
    """What is recorded of who decided, and of their age; `widens`: it may permit more than was permitted."""

    said: Mapping[str, Any] | None
    widens: bool


def capacity_of(
    ledger: OpenLedger, deployment: Deployment, kind: EventKind, capacity: Mapping[str, Any] | None, at: datetime
) -> RecordedCapacity:
    """What is recorded of who decided, and of their age.

    A grant may permit more, and so may an age that makes the person older: another consent may have waited for it. A
    refusal or a withdrawal is recorded all the same where the database is known to be set back, without such an age:
    whoever tells it may have been revoked since the backup.

    Args:
        ledger: of the person.
        deployment: whose keys a parent's reference is made with.
        kind: of the decision.
        capacity: as received.
        at: when it was decided.

    """
    said = without_parent_id(deployment, capacity)
    if kind is EventKind.GRANTED:
        return RecordedCapacity(said, widens=True)
    if not makes_older(collection_of(None, said, text_known=True), ledger.events, at):
        return RecordedCapacity(said, widens=False)
    return RecordedCapacity(without_age(said), widens=False) if ledger.set_back else RecordedCapacity(said, widens=True)
