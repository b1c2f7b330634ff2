"""Write the locators of subjects anew from the ids in the vault: for another key, or another way to normalise ids.

Two keys overlap (docs/operating.md): while SCEAU_PSEUDONYM_KEY holds a second one, every subject is recorded under
both, and when all are, the two may change places; when the old one is no longer given, its rows are deleted.
"""

from typing import Final

from app.db.session import ChangeKind, WriteSession
from app.ledger.identifiers import keys_in_use, load_names
from app.ledger.locators import (
    Rewritten,
    keep_keys,
    lacks_rows,
    made_by_others,
    next_subjects,
    replace_rows,
)
from app.operations.service.deployment import Deployment

_BATCH: Final = 1_000


async def rewrite_locators(session: WriteSession, deployment: Deployment, *, after: bytes) -> bytes:
    """Write the rows of the next subjects as they should be, in the order of subject_ref.

    Only the keys in use write rows, and they stay in use until the transaction ends: a process with other keys changes
    none. Rows of names that are no longer kept stay as they are, unless a key that is no longer given made them.

    Returns:
        The last subject_ref that was looked at; empty when there was none left, or other keys are in use.

    """
    await keep_keys(session)
    if not await _are_in_use(session, deployment):
        return b""
    subjects = await next_subjects(session, after=after, limit=_BATCH)
    if not subjects:
        return b""
    changed: list[Rewritten] = []
    for ref, kept in (await load_names(session, subjects)).items():
        for name in kept:
            located = subjects[ref].get(name.id)
            wanted = deployment.pseudonyms.found_by(name.type, deployment.vault.open(name.sealed))
            if located is None or wanted == located.rows:
                continue
            session.narrow()  # a replica that remembers the subject by a row that goes must forget it
            for locator in {*wanted, *located.rows}:
                session.change(ChangeKind.SUBJECT, locator)
            changed.append(Rewritten(ref, name.id, located, wanted))
    await replace_rows(session, changed)
    return max(subjects)


async def rewriting_is_due(session: WriteSession, deployment: Deployment) -> bool:
    """Return whether some row was made by a key that is no longer given, or some name lacks a row of a given key."""
    makers = deployment.pseudonyms.makers()
    if not await _are_in_use(session, deployment):
        return False
    return await made_by_others(session, makers) or any([await lacks_rows(session, maker) for maker in makers])


async def _are_in_use(session: WriteSession, deployment: Deployment) -> bool:
    """Return whether this process's keys are those in use, in any order."""
    return {*await keys_in_use(session)} == {*deployment.pseudonyms.makers()}
