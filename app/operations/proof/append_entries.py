"""Append what was recorded to the log, sign its new head, and keep what witnesses say of it: nothing else grows it.

A head is signed only if the tree still begins with every known head: the last one in the database, and the last one
that was kept outside it. A log that cannot show that is left as it is, and never begun anew.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import RefusalError
from app.db.session import ReadSession, WriteSession, uuid7
from app.journal.files import KeptHeads
from app.journal.store import load_epoch
from app.keyring import PROOF_KEYS, RECEIPT_KEYS, all_keys, keys_in_force
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import ensure_key, opened
from app.proof import anchors, store
from app.proof.anchors import Anchor, AnchorWay, AuthorityError, StampAnswer
from app.proof.entries import SALT_BYTES, LogEntry, Record, entry_of
from app.proof.notes import Signer, signed_checkpoint, signed_note
from app.proof.store import StoredCheckpoint, Waiting
from app.proof.tree import (
    HASH_BYTES,
    HEIGHT,
    WIDTH,
    TileName,
    grown,
    root_at,
    subtree_of,
    tiles_needed,
    widths_at,
)
from app.proof.verifier.anchors import cosignatures_of
from app.proof.verifier.bodies import MERGE_DELAY
from app.proof.verifier.notes import SIGNATURE, Checkpoint, Note, NoteError, VerifierKey, rotation_text
from app.proof.verifier.notes import opened as opened_checkpoint
from app.proof.verifier.trees import leaf_hash, root_of


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The key that signs now, and every key that may have signed something of this log."""

    signer: Signer
    verifiers: Sequence[VerifierKey]


async def name_of_log(session: ReadSession, otherwise: str) -> str:
    """Return the origin of the log: that of its first checkpoint for good, even if the public address changes.

    Raises:
        LogRefusedError: the last checkpoint in the database cannot be read as one.

    """
    signed = await store.latest_checkpoint(session)
    try:
        return otherwise if signed is None else Checkpoint.parse(Note.parse(signed.note).text).origin
    except NoteError as error:
        raise LogRefusedError(f"the last checkpoint in the database: {error}") from error


async def verifier_keys(session: ReadSession, otherwise: str) -> list[VerifierKey]:
    """Return every key that ever signed the log, the newest first; `otherwise` names a log without a checkpoint yet."""
    origin = await name_of_log(session, otherwise)
    return [VerifierKey(origin, SIGNATURE, key.public) for key in await all_keys(session, PROOF_KEYS)]


async def log_keys(session: WriteSession, deployment: Deployment, otherwise: str) -> LogKeys:
    """Return the keys of the log, after making the first one if there is none.

    `otherwise` names a log that has no checkpoint yet.

    Raises:
        VaultError: the master key that wraps the newest key is not held.

    """
    await ensure_key(session, deployment, PROOF_KEYS)
    return await held_keys(session, deployment, otherwise)


async def held_keys(session: ReadSession, deployment: Deployment, otherwise: str) -> LogKeys:
    """Return the keys of a log that has one.

    Raises:
        VaultError: the master key that wraps the newest key is not held.

    """
    now = await session.now()
    newest = (await keys_in_force(session, PROOF_KEYS, now))[0]
    origin = await name_of_log(session, otherwise)
    signer = Signer.of(origin, Ed25519PrivateKey.from_private_bytes(opened(deployment, PROOF_KEYS, newest)))
    return LogKeys(signer, await verifier_keys(session, otherwise))


async def receipt_keys(session: ReadSession, otherwise: str) -> list[VerifierKey]:
    """Return every key that ever signed receipts, the newest first."""
    name = receipts_name(await name_of_log(session, otherwise))
    return [VerifierKey(name, SIGNATURE, key.public) for key in await all_keys(session, RECEIPT_KEYS)]


async def every_key(session: ReadSession, otherwise: str) -> list[VerifierKey]:
    """Return the keys of the log, and those of receipts, each the newest first."""
    return [*await verifier_keys(session, otherwise), *await receipt_keys(session, otherwise)]


def receipts_name(log: str) -> str:
    """Return the name under which receipts are signed, from that of the log."""
    return f"{log.removesuffix('/ledger')}/receipts"


async def state_rotation(session: WriteSession, deployment: Deployment) -> None:
    """State that the newest key of the log follows the one before, signed by both; do nothing before the first head.

    Not for a key that leaked: its finder could sign the same for a key of theirs.

    Raises:
        VaultError: the master key that wraps one of the two is not held.

    """
    newest, *before = await all_keys(session, PROOF_KEYS)
    name = await name_of_log(session, "")
    if not before or not name:
        return
    old, new = (
        Signer.of(name, Ed25519PrivateKey.from_private_bytes(opened(deployment, PROOF_KEYS, each)))
        for each in (before[0], newest)
    )
    note = signed_note(rotation_text(old.key, new.key), [old, new])
    await state(session, "key", {"key": str(new.key), "rotation": note})


async def state_keys(session: WriteSession, keys: LogKeys) -> None:
    """Append a statement to the log for each key that signs checkpoints or receipts and has none yet."""
    stated = await store.stated_keys(session)
    for key in map(str, await every_key(session, keys.signer.key.name)):
        if key not in stated:
            await state(session, "key", {"key": key})


async def state(session: WriteSession, kind: str, content: Mapping[str, Any]) -> UUID:
    """Make a statement of now, which the log takes like a row; return its id."""
    now = await session.now()
    identifier = uuid7(now)
    await store.add_statement(session, identifier, kind, now, content)
    return identifier


log = structlog.get_logger("sceau.proof")
_AHEAD: Final = timedelta(minutes=10)
"""How far the database's clock may have been set back since something was recorded."""
MOST: Final = 2_000
"""The most entries in one transaction."""


class LogRefusedError(RefusalError):
    """Nothing was appended, because the log is not what was signed before; the message is one line that says what."""


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """How a deployment keeps its log.

    `origin`: the name of a log that has none yet. `settings`: those that decide, to be stated in the log; None where
    this process may have others than the service.
    """

    origin: str
    heads: KeptHeads
    settings: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Appended:
    """What one transaction did. `note`: the new head, to be kept outside once it is committed; None without one."""

    entries: int
    note: str | None
    is_all: bool


async def append_entries(
    session: WriteSession, deployment: Deployment, plan: ProofPlan, *, waits: bool = False
) -> Appended:
    """Append what waits, at most `MOST` entries, and sign the new head.

    `waits`: wait while another process appends, instead of leaving it to that one.

    Raises:
        LogRefusedError: the log does not begin with a head that was signed before.
        HeadsUnreadableError: the head that was kept outside cannot be read.
        VaultError: the master key that wraps the signing key is not held.

    """
    if waits:
        await session.await_turn("proof append")
    elif not await session.take_turn("proof append"):
        return Appended(0, None, is_all=True)
    keys = await log_keys(session, deployment, plan.origin)
    if plan.settings is not None and await store.latest_statement(session, "settings") != plan.settings:
        await state(session, "settings", plan.settings)
    for standing in await store.changed_since_stated(session, MOST):  # whoever changed it, and however
        await state(session, "standing", standing)
    await state_keys(session, keys)
    size = await store.size_of_log(session)
    await _check_heads(session, keys, plan.heads, size)
    claims = _Claims(await store.claimed_until(session), await session.now())
    behind = 0
    while True:
        queued = await store.waiting(session, MOST, behind)
        entries, is_all = await _entries(session, queued, claims), len(queued) < MOST
        if await _take_out(session, queued, entries) or is_all:
            break
        behind = queued[-1].number  # no entry can be made of any of these
    if not entries:
        signed = await store.latest_checkpoint(session)  # its run may have ended before it was kept
        return Appended(0, signed.note if signed else None, is_all=is_all)
    await store.add_entries(session, size, entries)
    root = await grow(session, size, [each.leaf for _, each in entries])
    before = await store.latest_checkpoint(session)
    # A clock may have been set back since: of two heads, the later one must never have fewer entries.
    signed_at = claims.now if before is None else max(claims.now, before.signed_at)
    head = Checkpoint(keys.signer.key.name, size + len(entries), root, await load_epoch(session), signed_at)
    note = signed_checkpoint(head, [keys.signer])
    await store.add_checkpoint(session, StoredCheckpoint(head.size, signed_at, note), claims.latest or signed_at)
    return Appended(len(entries), note, is_all=is_all)


async def _check_heads(session: ReadSession, keys: LogKeys, heads: KeptHeads, size: int) -> None:
    signed, kept = await store.latest_checkpoint(session), heads.last()
    if signed is None and (kept is not None or size):
        raise LogRefusedError("the database has no checkpoint, and there was one: the log is not begun anew")
    if signed is not None and signed.size != size:
        raise LogRefusedError(f"the log has {size} entries, and its last checkpoint in the database {signed.size}")
    for where, note in (("in the database", signed.note if signed else None), ("kept outside", kept)):
        if note is None:
            continue
        try:
            head = opened_checkpoint(note, keys.verifiers)
        except NoteError as error:
            raise LogRefusedError(f"the last checkpoint {where} is not this log's: {error}") from error
        if head.size > size:
            raise LogRefusedError(f"the log has {size} entries, and the checkpoint {where} has {head.size}")
        if await root_of_log(session, head.size) != head.root:
            fault = f"the log does not begin with the checkpoint {where} of {head.size} entries"
            damaged = await _damaged_tile(session, size)
            raise LogRefusedError(fault if damaged is None else f"{fault}: tile {damaged} is not that of its entries")


async def root_of_log(session: ReadSession, size: int) -> bytes:
    """Return the root of the log when it had so many entries, from its tiles."""
    try:
        return await store.from_tiles(session, lambda subtree: root_at(size, subtree))
    except (KeyError, ValueError) as error:
        damaged = await _damaged_tile(session, size)
        raise LogRefusedError(f"a tile of the log is missing or short: {damaged}") from error


async def _damaged_tile(session: ReadSession, size: int) -> TileName | None:
    """Return the first tile that does not match what is below it: the entries, or the tiles that it is made of."""
    level, width = 0, size
    below: list[bytes] = []
    while width:
        above: list[bytes] = []
        for start in range(0, width, WIDTH):
            name = TileName(level, start // WIDTH, min(WIDTH, width - start))
            if level == 0:
                hashes = [leaf_hash(each.content) for each in await store.entries_from(session, start, name.width)]
            else:
                hashes = below[start : start + name.width]
            stored = (await store.tiles(session, [(level, name.index)])).get((level, name.index), b"")
            if stored[: name.width * HASH_BYTES] != b"".join(hashes):
                return name
            above += [root_of(hashes)] * (name.width == WIDTH)
        level, width, below = level + 1, width // WIDTH, above
    return None


@dataclass(slots=True)
class _Claims:
    """The times that entries claim, in the log's order. `latest`: the latest so far; `now`: when these are entered."""

    latest: datetime | None
    now: datetime

    def entry(self, record: Record) -> LogEntry | None:
        """Return the entry of a record; None if its time lies in the future, where the service records nothing.

        Raises:
            ValueError: it has a time, a number or a text that canonical JSON cannot hold.

        """
        claimed = datetime.fromisoformat(record.at)
        if claimed > self.now + _AHEAD:
            return None
        late = self.latest is not None and claimed < self.latest - MERGE_DELAY
        made = entry_of(record, secrets.token_bytes(SALT_BYTES), self.now, late=late)
        self.latest = claimed if self.latest is None else max(self.latest, claimed)
        return made


async def _entries(session: ReadSession, queued: Sequence[Waiting], claims: _Claims) -> list[tuple[Waiting, LogEntry]]:
    """Return an entry for each queued row that the log lacks. A row of which none can be made stays queued."""
    first = {(each.kind, each.id): each for each in reversed(queued)}
    entered = await store.entered_already(session, first)
    records = await store.records(session, [name for name in first if name not in entered])
    made: list[tuple[Waiting, LogEntry]] = []
    for row in sorted(first.values(), key=lambda waiting: waiting.number):
        record = records.get((row.kind, row.id))
        if record is not None:
            with suppress(ValueError):  # such a row stays in the queue, and `_take_out` logs it
                if (entry := claims.entry(record)) is not None:
                    made.append((row, entry))
    return made


async def _take_out(
    session: WriteSession, queued: Sequence[Waiting], entries: Sequence[tuple[Waiting, LogEntry]]
) -> int:
    """Take out of the queue what is entered now or was before, and return how many; log what is left there."""
    now = {(each.kind, each.id) for each, _ in entries}
    entered = now | await store.entered_already(session, {(each.kind, each.id) for each in queued} - now)
    done = [each for each in queued if (each.kind, each.id) in entered]
    odd = [each for each in queued if (each.kind, each.id) not in entered]
    await store.done_with(session, done)
    if odd:
        log.warning("rows cannot be entered in the log", number=len(odd), first_in_queue=odd[0].number)
    return len(done)


async def grow(session: WriteSession, size: int, leaves: Sequence[bytes]) -> bytes:
    """Write the tiles that change when leaves are added to a tree of that size; return the root of the grown tree."""
    edge = {(level, (size >> HEIGHT * level) // WIDTH) for level in range(8)}
    after = size + len(leaves)
    tiles = await store.tiles(session, edge | tiles_needed(lambda subtree: root_at(after, subtree)))

    def partial(level: int) -> bytes:
        tile, width = divmod(size >> HEIGHT * level, WIDTH)
        hashes = tiles.get((level, tile), b"")[: width * HASH_BYTES]
        if len(hashes) != width * HASH_BYTES:
            raise LogRefusedError(f"a tile of the log is missing or short: {TileName(level, tile, width)}")
        return hashes

    changed = grown(size, leaves, partial)
    await store.put_tiles(session, changed)
    now = {**tiles, **changed}
    return root_at(after, subtree_of(lambda level, index: now[level, index]))


class CosignatureRefusedError(Exception):
    """Nothing was kept; the message is one line that says why."""


async def keep_cosignatures(session: WriteSession, content: str, witnesses: Sequence[VerifierKey]) -> list[str]:
    """Keep the cosignatures of known witnesses on a checkpoint of this log; return the names of those that are new.

    Raises:
        CosignatureRefusedError: it is not a checkpoint of this log, no known witness has cosigned it, or the
            cosignature of one is wrong.

    """
    try:
        head = opened_checkpoint(content, await verifier_keys(session, ""))
        signed = cosignatures_of(content, witnesses)
    except NoteError as error:
        raise CosignatureRefusedError(str(error)) from error
    own = await store.latest_checkpoint(session, at_least=head.size)
    if own is None or Note.parse(own.note).text != Note.parse(content).text:
        raise CosignatureRefusedError(f"this log has signed no such checkpoint of {head.size} entries")
    if not signed:
        raise CosignatureRefusedError("no witness that was named has cosigned it")
    new, now = [], await session.now()
    for signature in signed:
        anchor = Anchor(head.size, AnchorWay.COSIGNATURE, signature.at, signature.line.encode(), str(signature.key))
        if await anchors.add_anchor(session, uuid7(now), now, anchor):
            new.append(signature.key.name)
    return new


# Read the log of proofs: checkpoints, tiles and anchors.


async def read_checkpoint(session: ReadSession, *, cosigned: bool = False) -> str | None:
    """Return the last checkpoint, with those of its cosignatures that are kept; None while there is none.

    `cosigned`: return the last one that a witness has cosigned.
    """
    if cosigned:
        size = await anchors.cosigned_size(session)
        head = None if size is None else await store.latest_checkpoint(session, at_least=size)
    else:
        head = await store.latest_checkpoint(session)
    return None if head is None else head.note + await cosignature_lines(session, head.size)


async def read_tile(session: ReadSession, name: TileName) -> bytes | None:
    """Return the hashes of a tile as wide as asked for; None if the log at its last head has none so wide."""
    head = await store.latest_checkpoint(session)
    if head is None:
        return None
    full, partial = widths_at(head.size, name.level)
    if name.width > (WIDTH if name.index < full else partial if name.index == full else 0):
        return None
    stored = (await store.tiles(session, [(name.level, name.index)])).get((name.level, name.index), b"")
    hashes = stored[: name.width * HASH_BYTES]
    return hashes if len(hashes) == name.width * HASH_BYTES else None


_TOGETHER: Final = 200


async def cosignature_lines(session: ReadSession, size: int) -> str:
    """Return the signature lines of the witnesses that cosigned the checkpoint of a size; empty if none did."""
    return _lines(await anchors.anchors_of(session, [size]))


async def anchor_files(session: ReadSession, first: int, last: int) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the files of a bundle about checkpoints from one size to another, both included, by their names.

    Each stamp comes with the checkpoint as it was stamped: without cosignatures, which came later.
    """
    sizes = await anchors.sizes_anchored(session, first, last)
    for at in range(0, len(sizes), _TOGETHER):
        some = sizes[at : at + _TOGETHER]
        notes = await anchors.notes_of(session, some)
        kept = await anchors.anchors_of(session, some)
        for size in some:
            of_it, note = [each for each in kept if each.size == size], notes.get(size, "")
            for stamp in (each for each in of_it if each.way is AnchorWay.STAMP):
                yield f"data/stamps/{size}.checkpoint", note.encode()
                yield f"data/stamps/{size}.tsr", stamp.content
            if lines := _lines(of_it):
                yield f"data/cosigned/{size}.checkpoint", f"{note}{lines}".encode()


def _lines(kept: Sequence[Anchor]) -> str:
    return "".join(each.content.decode() for each in kept if each.way is AnchorWay.COSIGNATURE)


_EVERY: Final = timedelta(minutes=55)
"""How old the last stamp is before another is asked for: with a look each five minutes, one an hour."""
_CLOCKS_DIFFER: Final = timedelta(minutes=10)


async def checkpoint_to_stamp(session: ReadSession, *, at_once: bool = False) -> StoredCheckpoint | None:
    """Return the newest checkpoint if it is not stamped and the last stamp is an hour old (or `at_once`); else None."""
    newest, last = await store.latest_checkpoint(session), await anchors.last_stamped(session)
    if newest is None or last is None:
        return newest
    size, kept_at = last
    if size >= newest.size or (not at_once and await session.now() - kept_at < _EVERY):
        return None
    return newest


async def keep_stamp(session: WriteSession, checkpoint: StoredCheckpoint, answer: StampAnswer) -> bool:
    """Keep the stamp of a checkpoint; the log states it with its next entries.

    Returns: False where another run was faster, or the checkpoint is not that of the log any more.

    Raises:
        AuthorityError: the stamp's time is before the checkpoint was signed, or in the future.

    """
    now = await session.now()
    if not checkpoint.signed_at - _CLOCKS_DIFFER <= answer.stamp.at <= now + _CLOCKS_DIFFER:
        raise AuthorityError("time")
    if (await anchors.notes_of(session, [checkpoint.size])).get(checkpoint.size) != checkpoint.note:
        return False  # it was read from a server that is no longer the primary, whose log went another way
    anchor = Anchor(checkpoint.size, AnchorWay.STAMP, answer.stamp.at, answer.content)
    return await anchors.add_anchor(session, uuid7(now), now, anchor)
