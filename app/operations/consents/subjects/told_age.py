"""Who decided and how old they are, as it is recorded: a parent by a reference, an age also where that may be lost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.core.age import makes_older
from app.core.consent import EventKind
from app.core.errors import InvalidEvidenceError
from app.db.session import WriteSession
from app.ledger.entries import collection_of, without_age
from app.ledger.locators import find_ref
from app.operations.consents.append_to_ledger import OpenLedger
from app.operations.service.deployment import Deployment, SubjectName
from app.operations.service.named_subject import parent_reference


async def refuse_own_parent(
    session: WriteSession, deployment: Deployment, parent: SubjectName, ledger: OpenLedger, field: str
) -> None:
    """Refuse a child as its own parent, by whichever of its names.

    Raises:
        InvalidEvidenceError: it is.

    """
    if await find_ref(session, *deployment.pseudonyms.locators(parent.type, parent.id)) == ledger.ref:
        raise InvalidEvidenceError("This is the person whose consent it is.", field=field)


def without_parent_id(deployment: Deployment, capacity: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Capacity with a parent's reference in the place of the parent's id, which is not kept."""
    if capacity is None or "parent" not in capacity:
        return capacity
    said = {name: value for name, value in capacity.items() if name != "parent"}
    parent = capacity["parent"]
    return {**said, "parent_ref": parent_reference(deployment, SubjectName(parent["type"], parent["id"])).hex()}


def capacity_to_record(
    session: WriteSession, ledger: OpenLedger, kind: EventKind, capacity: Mapping[str, Any] | None, at: datetime
) -> Mapping[str, Any] | None:
    """What is recorded of who decided, and of their age; marks what may permit more.

    A grant may, and so may an age that makes the person older: another consent may have waited for it. A refusal or a
    withdrawal is recorded all the same where the database is known to be set back, without such an age: whoever tells
    it may have been revoked since the backup.

    Args:
        session: the transaction.
        ledger: of the person.
        kind: of the decision.
        capacity: as received.
        at: when it was decided.

    """
    if kind is EventKind.GRANTED:
        session.widen()
        return capacity
    said = collection_of(None, capacity, text_known=True)
    if not makes_older(said, ledger.events, at):
        return capacity
    if session.committing.set_back:
        return without_age(capacity)
    session.widen()
    return capacity
