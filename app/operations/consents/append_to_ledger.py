"""The one way into the ledger: under the subject's lock, append events, project them, and tell replicas and others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from app.core.consent import ConsentEvent, EventKind
from app.core.projection import ConsentRow, project
from app.db.session import WriteSession
from app.events.kinds import ClosureCause
from app.events.outbox import DomainEvent, put_in_outbox
from app.ledger.entries import LedgerEntry
from app.ledger.projection import project_subject
from app.ledger.store import append_entries
from app.register.records import ProcessingRecord
from app.register.store import load_processings
from app.snapshot.changes import ChangeKind, record_change

_NEXT_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class OpenLedger:
    """One subject's ledger, held by this transaction: what it holds, and the instant read under its lock.

    `closed_until`: when an earlier account of the same id was closed, if one was; `another_until`: that of another
    person. `locators`: what replicas remember
    the subject by. `register`: the entries that were read under the lock, each once, and handed on; None where there is
    none. `projected`: what the ledger amounted to when it had so many entries, for the next decision of the same
    transaction. `shared`: several people share this mailbox.
    """

    ref: bytes
    locators: tuple[bytes, ...]
    closed_until: datetime | None
    entries: Sequence[LedgerEntry]
    now: datetime
    register: dict[str, ProcessingRecord | None] = field(default_factory=dict)
    projected: dict[int, tuple[ConsentRow, ...]] = field(default_factory=dict)
    shared: bool = False
    another_until: datetime | None = None

    @property
    def next_order(self) -> int:
        """The ledger order of the next event."""
        return self.entries[-1].event.order + 1 if self.entries else 1

    @property
    def events(self) -> list[ConsentEvent]:
        """The events, in ledger order."""
        return [entry.event for entry in self.entries]

    def with_entry(self, entry: LedgerEntry) -> "OpenLedger":
        """The ledger once this was appended to it."""
        return replace(self, entries=[*self.entries, entry])

    @property
    def after_everything(self) -> datetime:
        """Now, or just after the latest event if a clock was set back: when a live narrowing decision takes effect."""
        latest = max((entry.event.collected_at for entry in self.entries), default=None)
        return self.now if latest is None else max(self.now, latest + _NEXT_INSTANT)


async def append(session: WriteSession, ledger: OpenLedger, *entries: LedgerEntry) -> list[ConsentRow]:
    """Append events to the ledger, its projection and the change table, in this transaction.

    Returns:
        The consents that they ended, oldest first.

    """
    await append_entries(session, entries)
    for entry in entries:
        # By the locator a replay finds a person who has another pseudonym since a restore.
        session.note("ledger", {"entry": entry, "locator": ledger.locators[0] if ledger.locators else None})
    events = [*ledger.events, *(entry.event for entry in entries)]
    named = {event.processing for event in events if event.processing is not None}
    records = await entries_of_register(session, ledger, named)
    register = {identifier: record.facts for identifier, record in records.items()}
    known = ledger.projected.pop(len(ledger.entries), None)
    before = {row.id: row for row in (project(ledger.events, register) if known is None else known)}
    rows = ledger.projected[len(events)] = project(events, register)
    await project_subject(session, ledger.ref, rows, before)
    for locator in ledger.locators:
        await record_change(session, ChangeKind.SUBJECT, locator)
    return [row for row in rows if row.ended_by is not None and row.id in before and before[row.id].ended_by is None]


async def entries_of_register(
    session: WriteSession, ledger: OpenLedger, ids: Collection[str]
) -> Mapping[str, ProcessingRecord]:
    """Entries of the register by id, read once under a subject's lock; one that is not registered is left out."""
    missing = set(ids) - ledger.register.keys()
    if missing:
        ledger.register.update(dict.fromkeys(missing) | await load_processings(session, missing))
    return {each: record for each in ids if (record := ledger.register[each]) is not None}


async def tell(
    session: WriteSession, ref: bytes, kind: EventKind, at: datetime, *, consent: UUID, processing: str
) -> None:
    """Put into the outbox that something happened to a consent; a closure told from here is that of the account."""
    data = {"consent": str(consent), "processing": processing}
    if kind is EventKind.CLOSED:
        data["cause"] = ClosureCause.ACCOUNT_CLOSED
    await put_in_outbox(session, DomainEvent(ref, kind, at, data))
