"""Sign what an export carries, and check a database that it was loaded into against the log that came with it.

The signature covers the whole file and the log's last head, so that only the holder of the log's key can edit it. What
was changed in the deployment before the export shows in the log's entries.
"""

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.audit.trail import ActKind, record_act
from app.db.session import ReadSession, WriteSession
from app.db.transfer import RestoreRefusedError
from app.journal.store import count_without_fact
from app.operations.proof.append_entries import grow, held_keys
from app.operations.proof.bundle import NoLogError
from app.operations.service.deployment import Deployment
from app.proof import store
from app.proof.notes import signed_note
from app.proof.tree import WIDTH
from app.proof.verifier.notes import Checkpoint, Note, NoteError, VerifierKey, followed, opened
from app.proof.verifier.trees import EMPTY_ROOT, leaf_hash

_WORD: Final = "export"
"""The second line of what is signed: a checkpoint has a number there, and a rotation another word."""
_TOGETHER: Final = 8 * WIDTH


@dataclass(frozen=True, slots=True)
class ExportEnd:
    """How an export ends: a signed note, how many rows it has, and the SHA-256 of all lines before the end, as hex."""

    note: str
    rows: int
    sha256: str


async def sign_export(session: ReadSession, deployment: Deployment, rows: int, sha256: str) -> str:
    """Return the note that an export ends with, signed by the log's newest key.

    Args:
        session: sees the database as the export has it.
        deployment: holds the master key.
        rows: how many rows the export has.
        sha256: that of all lines, as hex.

    Raises:
        NoLogError: the log has no head yet.
        VaultError: the master key that wraps the newest key is not held.

    """
    signed = await store.latest_checkpoint(session)
    if signed is None:
        raise NoLogError("nothing was entered in the log yet")
    keys = await held_keys(session, deployment, "")
    head = Checkpoint.parse(Note.parse(signed.note).text)
    return signed_note(_text(head, rows, sha256), [keys.signer])


async def check_export(
    session: WriteSession, deployment: Deployment, end: ExportEnd, trusted: Sequence[VerifierKey]
) -> None:
    """Compare the rows of an export, once all are loaded, with what was signed and entered; make the log's tiles.

    Raises:
        RestoreRefusedError: the rows are not what the log says.
        VaultError: the master key that wraps the log's newest key is not held.

    """
    head = await _signed_head(session, deployment, end, trusted)
    await _check_entries(session, head)
    if destroyed := await store.count_destroyed(session):
        raise RestoreRefusedError(f"the export lacks what opens entries that no run of retention names: {destroyed}")
    if unentered := Counter(kind for kind, _ in await store.unentered(session, head.size)):
        raise RestoreRefusedError(f"the export holds rows that are not in its log: {_counts_text(unentered)}")
    await _check_queue(session)
    if notes := await count_without_fact(session):
        raise RestoreRefusedError(f"the export lacks what {notes} of the rows of journal_note are about")
    await record_act(session, ActKind.DEPLOYMENT_RESTORED, None, detail={"rows": end.rows, "entries": head.size})


async def _signed_head(
    session: ReadSession, deployment: Deployment, end: ExportEnd, trusted: Sequence[VerifierKey]
) -> Checkpoint:
    """Return the last head of the log, if the export is as it was signed.

    A key that follows a trusted one is trusted too, if the export's own log says so with the signatures of both.
    """
    signed = await store.latest_checkpoint(session)
    try:
        keys = followed(trusted, await store.rotations(session))
        note = Note.parse(end.note)
        signers = note.signed_by(keys)
        head = opened(signed.note, keys) if signed is not None and signers else None
    except NoteError as error:
        raise RestoreRefusedError(f"the export is not what its log's key signed: {error}") from error
    if head is None:
        raise RestoreRefusedError("the export is not signed by a key of --key, nor by one that follows it")
    if note.text != _text(head, end.rows, end.sha256):
        raise RestoreRefusedError("the export is not what its log's key signed: it was changed")
    if (await held_keys(session, deployment, "")).signer.key not in signers:
        raise RestoreRefusedError("the export is not signed by the key with which its log goes on")
    return head


def _text(head: Checkpoint, rows: int, sha256: str) -> str:
    """Return the text that is signed."""
    return f"{head.origin}\n{_WORD}\n{rows}\n{sha256}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


async def _check_entries(session: WriteSession, head: Checkpoint) -> None:
    """Compare each row that was entered with its entry, and the tree of all entries with its head."""
    size, root, wrong = 0, EMPTY_ROOT, Counter[str]()
    while entries := await store.entries_from(session, size, _TOGETHER):
        if [each.position for each in entries] != list(range(size, size + len(entries))):
            break
        records = await store.records(session, [(each.kind, each.id) for each in entries])
        wrong.update(each.kind for each in entries if not store.is_as_entered(each, records.get((each.kind, each.id))))
        root = await grow(session, size, [leaf_hash(each.content) for each in entries])
        size += len(entries)
    if (size, root) != (head.size, head.root) or await store.size_of_log(session) != size:
        raise RestoreRefusedError("the export's log does not have the entries that its head was signed for")
    if wrong:
        raise RestoreRefusedError(f"the export holds rows that are not what its log entered: {_counts_text(wrong)}")


async def _check_queue(session: ReadSession) -> None:
    """Check that the rows which wait for the log are there."""
    behind, gone = 0, Counter[str]()
    while queued := await store.waiting(session, _TOGETHER, behind):
        names = {(each.kind, each.id) for each in queued}
        left = names - await store.entered_already(session, names)
        gone.update(kind for kind, _ in left - (await store.records(session, left)).keys())
        behind = queued[-1].number
    if gone:
        raise RestoreRefusedError(f"the export lacks rows that wait for its log: {_counts_text(gone)}")


def _counts_text(counts: Counter[str]) -> str:
    return ", ".join(f"{number} of {kind}" for kind, number in sorted(counts.items()))
