"""Whose ledger a caller means by a type and an id: for reads, which see one account only, the one that is open now."""

from typing import Final

from app.db.session import ReadSession
from app.ledger.locators import REF_BYTES, find_ref
from app.operations.service.deployment import Deployment, SubjectName

NOBODY: Final = bytes(REF_BYTES)
"""No subject has this subject_ref: they are random."""


async def ref_of(session: ReadSession, deployment: Deployment, name: SubjectName) -> bytes:
    """The subject_ref of a name; one that nobody has when nothing is recorded, since a closure or an erasure perhaps.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    found = await find_ref(session, deployment.pseudonyms.locator(name.type, name.id))
    return NOBODY if found is None else found


def recorded_ref(ref: bytes) -> bytes | None:
    """A subject_ref as an act about it is recorded: None for nobody's, under which strangers would find one another."""
    return None if ref == NOBODY else ref


def parent_reference(deployment: Deployment, parent: SubjectName) -> bytes:
    """By what a parent is known in the ledger: the same for all of their children, and for nobody else.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    pseudonyms = deployment.pseudonyms
    name = pseudonyms.ids.normalise(parent.type, parent.id)
    return pseudonyms.opaque("parent", f"{parent.type}\n{name}")
