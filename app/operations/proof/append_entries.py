"""Append what was recorded to the log, and sign its new head: the only thing that ever grows it.

A head is signed only if the tree still begins with every head that is known: the last one in the database, and the last
one that was kept outside it. A log that cannot show that is left as it is, and never begun anew.
"""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from app.db.session import ReadSession, WriteSession
from app.journal.store import load_epoch
from app.operations.proof.log_keys import LogKeys, log_keys, state_keys
from app.operations.service.deployment import Deployment
from app.proof import store
from app.proof.entries import SALT_BYTES, LogEntry, entry_of
from app.proof.heads import KeptHeads
from app.proof.notes import signed_checkpoint
from app.proof.store import Waiting
from app.proof.tiles import HASH_BYTES, HEIGHT, WIDTH, grown, subtree_of, tiles_needed
from app.proof.tree import root_at
from app.proof.verifier.notes import Checkpoint, NoteError, opened

log = structlog.get_logger("sceau.proof")
_AHEAD: Final = timedelta(minutes=10)
"""By how much the database's clock may have been set back since something was recorded."""
MOST: Final = 2_000
"""Entries in one transaction at most."""


class LogRefusedError(Exception):
    """Nothing was appended, for the log is not what was signed before; the message is one line that says what."""


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """How a deployment keeps its log.

    `origin`: its name, where it has none yet. `settings`: those that decide, to be stated in the log; None where this
    process may have others than the service.
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


async def append_entries(session: WriteSession, deployment: Deployment, plan: ProofPlan) -> Appended:
    """Append what waits, at most `MOST` entries, and sign the new head.

    Raises:
        LogRefusedError: the log does not begin with a head that was signed before.
        HeadsUnreadableError: the head that was kept outside cannot be read.
        VaultError: the master key that wraps the signing key is not held.

    """
    if not await store.take_turn(session):
        return Appended(0, None, is_all=True)
    keys = await log_keys(session, deployment, plan.origin)
    if plan.settings is not None:
        await _state_settings(session, plan.settings)
    await state_keys(session, keys)
    size = await store.size_of_log(session)
    await _check_heads(session, keys, plan.heads, size)
    queued = await store.waiting(session, MOST)
    entries = await _entries(session, queued)
    taken = await _take_out(session, queued, entries)
    while len(queued) == MOST and not taken:  # of none of these an entry can be made: what waits behind them goes on
        queued = await store.waiting(session, MOST, queued[-1].number)
        entries = await _entries(session, queued)
        taken = await _take_out(session, queued, entries)
    is_all = len(queued) < MOST or not taken
    if not entries:
        signed = await store.latest_checkpoint(session)  # perhaps of a run that ended before it could be kept
        return Appended(0, signed.note if signed else None, is_all=is_all)
    await store.add_entries(session, size, entries)
    root = await _grow(session, size, [each for _, each in entries])
    head = Checkpoint(keys.signer.key.name, size + len(entries), root, await load_epoch(session))
    note = signed_checkpoint(head, [keys.signer])
    await store.add_checkpoint(session, size + len(entries), await session.now(), note)
    return Appended(len(entries), note, is_all=is_all)


async def _state_settings(session: WriteSession, settings: Mapping[str, Any]) -> None:
    """State the settings that decide, where they are not those that were stated last."""
    if await store.latest_statement(session, "settings") != settings:
        now = await session.now()
        await store.add_statement(session, session.new_id(now), "settings", now, settings)


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
            head = opened(note, keys.known)
        except NoteError as error:
            raise LogRefusedError(f"the last checkpoint {where} is not this log's: {error}") from error
        if head.size > size:
            raise LogRefusedError(f"the log has {size} entries, and the checkpoint {where} has {head.size}")
        if await root_of_log(session, head.size) != head.root:
            raise LogRefusedError(f"the log does not begin with the checkpoint {where} of {head.size} entries")


async def root_of_log(session: ReadSession, size: int) -> bytes:
    """The root of the log when it had so many entries, by its tiles."""
    held = await store.tiles(session, tiles_needed(lambda subtree: root_at(size, subtree)))
    try:
        return root_at(size, subtree_of(lambda level, index: held[level, index]))
    except (KeyError, ValueError) as error:
        raise LogRefusedError("a tile of the log is missing or short") from error


async def _entries(session: ReadSession, queued: Sequence[Waiting]) -> list[tuple[Waiting, LogEntry]]:
    """Entries of what waits, but for what stands in the log already. A row of which none can be made stays queued."""
    first = {(each.kind, each.id): each for each in reversed(queued)}
    known = await store.entered_already(session, first)
    records = await store.records(session, [name for name in first if name not in known])
    made: list[tuple[Waiting, LogEntry]] = []
    latest = await session.now() + _AHEAD
    for each in sorted(first.values(), key=lambda waiting: waiting.number):
        record = records.get((each.kind, each.id))
        if record is not None:
            with suppress(ValueError):  # a time, a number or a text that canonical JSON does not have
                # The service records nothing in the future: such a row stays in the queue, and the log tells of it.
                if datetime.fromisoformat(record.at) <= latest:
                    made.append((each, entry_of(record, secrets.token_bytes(SALT_BYTES))))
    return made


async def _take_out(
    session: WriteSession, queued: Sequence[Waiting], entries: Sequence[tuple[Waiting, LogEntry]]
) -> int:
    """Take out of the queue what is entered now or was before, and give its number; the log says what is left there."""
    now = {(each.kind, each.id) for each, _ in entries}
    entered = now | await store.entered_already(session, {(each.kind, each.id) for each in queued} - now)
    done = [each for each in queued if (each.kind, each.id) in entered]
    odd = [each for each in queued if (each.kind, each.id) not in entered]
    await store.done_with(session, done)
    if odd:
        log.warning("rows cannot be entered in the log", number=len(odd), first_in_queue=odd[0].number)
    return len(done)


async def _grow(session: WriteSession, size: int, entries: Sequence[LogEntry]) -> bytes:
    """Write the tiles that change; the root of the grown tree."""
    edge = {(level, (size >> HEIGHT * level) // WIDTH) for level in range(8)}
    after = size + len(entries)
    held = await store.tiles(session, edge | tiles_needed(lambda subtree: root_at(after, subtree)))

    def partial(level: int) -> bytes:
        tile, width = divmod(size >> HEIGHT * level, WIDTH)
        hashes = held.get((level, tile), b"")[: width * HASH_BYTES]
        if len(hashes) != width * HASH_BYTES:
            raise LogRefusedError("a tile of the log is missing or short")
        return hashes

    changed = grown(size, [each.leaf for each in entries], partial)
    await store.put_tiles(session, changed)
    now = {**held, **changed}
    return root_at(after, subtree_of(lambda level, index: now[level, index]))
