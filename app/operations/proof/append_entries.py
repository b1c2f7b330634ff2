"""Append what was recorded to the log, and sign its new head: the only thing that ever grows it.

A head is signed only if the tree still begins with every head that is known: the last one in the database, and the last
one that was kept outside it. A log that cannot show that is left as it is, and never begun anew.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.db.session import ReadSession, WriteSession
from app.operations.proof.log_keys import LogKeys, log_keys
from app.operations.service.deployment import Deployment
from app.proof import store
from app.proof.entries import SALT_BYTES, LogEntry, entry_of
from app.proof.heads import KeptHeads
from app.proof.notes import signed_checkpoint
from app.proof.store import Waiting
from app.proof.tiles import HEIGHT, WIDTH, grown, subtree_of, tiles_needed
from app.proof.tree import root_at
from app.proof.verifier.notes import Checkpoint, NoteError

MOST: Final = 2_000
"""Entries in one transaction at most."""


class LogRefusedError(Exception):
    """Nothing was appended, for the log is not what was signed before; the message is one line that says what."""


@dataclass(frozen=True, slots=True)
class ProofPlan:
    """How a deployment keeps its log.

    `origin`: its name, where it has none yet. `settings`: what decides beside the ledger, to be stated in the log.
    """

    origin: str
    heads: KeptHeads
    settings: Mapping[str, Any]


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
    await _state_settings(session, plan.settings)
    size = await store.size_of_log(session)
    await _check_heads(session, keys, plan.heads, size)
    more = await store.queue_some_of_before(session, MOST)
    queued = await store.waiting(session, MOST)
    entries = await _entries(session, queued)
    await store.done_with(session, queued)
    is_all = len(queued) < MOST and not more
    if not entries:
        return Appended(0, None, is_all=is_all)
    await store.add_entries(session, size, entries)
    root = await _grow(session, size, [each for _, each in entries])
    note = signed_checkpoint(Checkpoint(keys.signer.key.name, size + len(entries), root), [keys.signer])
    await store.add_checkpoint(session, size + len(entries), await session.now(), note)
    return Appended(len(entries), note, is_all=is_all)


async def _state_settings(session: WriteSession, settings: Mapping[str, Any]) -> None:
    """State the settings that decide, where they are not those that were stated last."""
    if await store.latest_statement(session, "settings") != settings:
        now = await session.now()
        await store.add_statement(session, session.new_id(now), "settings", now, settings)


async def _check_heads(session: ReadSession, keys: LogKeys, heads: KeptHeads, size: int) -> None:
    signed, kept = await store.latest_checkpoint(session), heads.last()
    if heads.directory is not None and (signed is None) != (kept is None):
        gone = "the database has no checkpoint" if signed is None else "no checkpoint is kept outside the database"
        raise LogRefusedError(f"{gone}, and there was one: the log is not begun anew")
    for where, note in (("in the database", signed.note if signed else None), ("kept outside", kept)):
        if note is None:
            continue
        try:
            head = keys.opened(note)
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
    """Entries of what waits, but for what stands in the log already."""
    first = {(each.kind, each.id): each for each in reversed(queued)}
    known = await store.entered_already(session, first)
    records = await store.records(session, [name for name in first if name not in known])
    in_order = sorted(((first[name], record) for name, record in records.items()), key=lambda each: each[0].number)
    return [(each, entry_of(record, secrets.token_bytes(SALT_BYTES))) for each, record in in_order]


async def _grow(session: WriteSession, size: int, entries: Sequence[LogEntry]) -> bytes:
    """Write the tiles that change; the root of the grown tree."""
    edge = {(level, (size >> HEIGHT * level) // WIDTH) for level in range(8)}
    after = size + len(entries)
    held = await store.tiles(session, edge | tiles_needed(lambda subtree: root_at(after, subtree)))

    def partial(level: int) -> bytes:
        return held.get((level, (size >> HEIGHT * level) // WIDTH), b"")

    changed = grown(size, [each.leaf for each in entries], partial)
    await store.put_tiles(session, changed)
    now = {**held, **changed}
    return root_at(after, subtree_of(lambda level, index: now[level, index]))
