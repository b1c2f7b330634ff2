"""The one way into the ledger: open the ledgers of people, one or many, in one round trip, and append to them.

The transaction that opened a ledger holds it. What is appended is projected, and announced to replicas, in the same
transaction.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from app.core.article import PARIS, paris_midnight
from app.core.consent import BY_RANK, ConsentEvent, EventKind, State
from app.core.errors import NotFoundError
from app.core.fold import ConsentRow, Standing, is_lost, project
from app.core.period import PeriodPolicy
from app.core.renewal import FlagKind
from app.db.session import INSTANT, ChangeKind, LookedUp, Lookup, WriteSession
from app.events.outbox import ClosureCause, DomainEvent, put_in_outbox
from app.ledger.identifiers import KeptName, claim_document, documents_claimed, keep_name
from app.ledger.locators import (
    Located,
    MovedError,
    account_of,
    accounts_held,
    begin_account,
    last_unfound,
    located_many,
    names_held,
)
from app.ledger.projection import LedgerEntry, project_subject
from app.ledger.store import append_entries, ledgers_behind
from app.ledger.sweep import flags_of
from app.operations.service.deployment import Deployment, SubjectName
from app.operations.service.gate import how_many_decide
from app.register.records import ProcessingRecord, standing_now
from app.register.store import STAMP, RegisterEntries

_AT_A_STRETCH: Final = 25
"""How many names are worked on before other tasks of this process have their turn: some milliseconds."""
_NEXT_INSTANT: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OpenLedger:
    """One person's ledger, held by this transaction: its entries, and the instant read under its lock.

    `closed_until`: when an earlier account of the same id was closed, if one was; `another_until`: the same, for
    another person's account. `locators`: those by which replicas remember the person. `register`: the processings that
    the ledger names or that were asked for when it was opened; None for an id that is not registered. `keys`: identify
    the pseudonym keys by which the person is found. `projected`: the consents that the entries amount to, once
    computed. `shared`: several people share this mailbox. `set_back`: the database is known to have lost writes that
    were answered, and takes nothing that may permit more. `committed`: how many of the entries were recorded before
    this transaction, so that others may have acted on them. `policy`: how the deployment counts periods.
    """

    ref: bytes
    locators: tuple[bytes, ...]
    closed_until: datetime | None
    entries: Sequence[LedgerEntry]
    now: datetime
    register: Mapping[str, ProcessingRecord | None] = field(default_factory=dict)
    shared: bool = False
    another_until: datetime | None = None
    set_back: bool = False
    keys: tuple[str, ...] = ()
    projected: tuple[ConsentRow, ...] | None = None
    committed: int = 0
    policy: PeriodPolicy = field(default_factory=PeriodPolicy)

    @property
    def next_order(self) -> int:
        """The ledger order of the next event."""
        return self.entries[-1].event.order + 1 if self.entries else 1

    @property
    def events(self) -> list[ConsentEvent]:
        """The events, in ledger order."""
        return [entry.event for entry in self.entries]

    def with_entries(self, *entries: LedgerEntry) -> "OpenLedger":
        """Return the ledger with these entries appended."""
        return replace(self, entries=[*self.entries, *entries], projected=None)

    def registered(self, processing: str) -> ProcessingRecord:
        """Return the register's record of a processing that the ledger names, or that it was opened with.

        Raises:
            NotFoundError: no such processing.

        """
        record = self.register.get(processing)
        if record is None:
            raise NotFoundError("No such processing is registered.", field="processing")
        return record

    def standing(self, processing: str) -> Standing:
        """Return where the person stands on a processing now; raises as `registered` does."""
        return standing_now(self.events, self.registered(processing), self.now, self.policy)

    @property
    def consents(self) -> tuple[ConsentRow, ...]:
        """The consents that the entries amount to, oldest decision first."""
        if self.projected is not None:
            return self.projected
        return project(self.events, {name: record.facts for name, record in self.register.items() if record})

    @property
    def after_everything(self) -> datetime:
        """When a live narrowing decision takes effect: now, or just after the latest event if a clock was set back."""
        latest = max((entry.event.collected_at for entry in self.entries), default=None)
        return self.now if latest is None else max(self.now, latest + _NEXT_INSTANT)


Documents = Mapping[SubjectName, Collection[bytes]]
"""The documents (forms and recordings, each by its SHA-256) that are to stand for people, by their names."""
_NONE: Final[Documents] = {}


@dataclass(slots=True)
class OpenLedgers:
    """Ledgers that a transaction holds, by name; the names of one person lead to one.

    `begun`: the locators of names whose rows are all written. `documents`: the subject_ref that each document stands
    for, None while it stands for no person.
    """

    session: WriteSession
    deployment: Deployment
    locator_of: Mapping[SubjectName, bytes]
    located: dict[bytes, Located] = field(default_factory=dict)
    ledgers: dict[bytes, OpenLedger] = field(default_factory=dict)
    busy: set[bytes] = field(default_factory=set)
    begun: set[bytes] = field(default_factory=set)
    documents: dict[bytes, bytes | None] = field(default_factory=dict)
    decided: Deployment | None = None
    unfound: "datetime | Literal['not looked up'] | None" = "not looked up"

    async def as_decided(self) -> Deployment:
        """Return the deployment with how many people decide now, which may have changed since this process started."""
        if self.decided is None:
            approval = await how_many_decide(self.session, self.deployment.approval)
            self.decided = replace(self.deployment, approval=approval)
        return self.decided

    async def unfound_until(self) -> datetime | None:
        """Return until when the keys in use may not find a person who was erased; None if they find everyone.

        Only the day of an erasure is kept. After an exchange of the pseudonym key it stays under the key of that time.
        """
        if self.unfound == "not looked up":
            ended = await last_unfound(self.session, self.deployment.pseudonyms.makers())
            self.unfound = paris_midnight(ended.astimezone(PARIS).date() + _DAY) if ended is not None else None
        return self.unfound

    def claim(self, document: bytes, ref: bytes) -> bool:
        """Claim a document (SHA-256) for a person, unless it stands for another; return whether it stands for this one.

        It is locked like the person, before it is looked up, so that no other transaction claims it meanwhile.
        """
        stands = self.documents[document]
        if stands is None:
            self.documents[document] = stands = ref
            claim_document(self.session, document, ref)
        return stands == ref

    def is_busy(self, name: SubjectName) -> bool:
        """Return whether another transaction holds the person now, so that the ledger was not opened."""
        return self.locator_of[name] in self.busy

    def account(self, name: SubjectName) -> Located:
        """Return what a name leads to."""
        return self.located[self.locator_of[name]]

    def of(self, name: SubjectName) -> OpenLedger:
        """Return the ledger of a name, with what was recorded in it since it was opened."""
        account = self.account(name)
        closed_until, another_until = account.closed_until, account.another_until
        return replace(self.ledgers[account.ref], closed_until=closed_until, another_until=another_until)

    def grown(self, name: SubjectName, ledger: OpenLedger) -> None:
        """Note the new state of a name's ledger; with its first entry the account begins, if it is new."""
        self.ledgers[self.account(name).ref] = ledger
        self.begin(name)

    def begin(self, name: SubjectName) -> None:
        """Write what is still missing for a name: the account, if it is new, and the rows that lead to it."""
        locator, account = self.locator_of[name], self.account(name)
        if locator not in self.begun:
            self.begun.add(locator)
            write_account(self.session, self.deployment, name, account, self.ledgers[account.ref].now)


def new_account(deployment: Deployment, name: SubjectName, *, shared: bool = False) -> Located:
    """Return an account that begins with a name; `shared`: it is a mailbox of several people."""
    return replace(account_of(deployment.pseudonyms.found_by(name.type, name.id)), shared=shared)


def write_account(
    session: WriteSession,
    deployment: Deployment,
    name: SubjectName,
    account: Located,
    at: datetime,
    *,
    ended_at: datetime | None = None,
) -> None:
    """Write the rows that an account lacks for a name, and the name if the account is new; `ended_at`: begin closed."""
    begin_account(session, account, at, ended_at=ended_at)
    if account.new:
        sealed = deployment.vault.seal(account.locators[0], name.id)
        keep_name(session, KeptName(account.name, account.ref, name.type, sealed, at))


@dataclass(frozen=True, slots=True)
class Opening:
    """The look-ups that hold some people and find their ledgers, in one round trip; made before there is a transaction.

    The transaction that sends them must hold no person yet, because people are locked in one order. It waits for people
    held by others, or reports them as busy (`OpenLedgers.is_busy`) without holding them. Busy is also a
    name that leads elsewhere now, because the transaction waited for changed it. `documents_of`: by locator, the
    documents that are to stand for each person, held like the name.
    """

    deployment: Deployment
    locator_of: Mapping[SubjectName, bytes]
    wanted: Mapping[bytes, Mapping[bytes, str]]
    names: Lookup[frozenset[bytes]]
    accounts: Lookup[frozenset[bytes]]
    located: Lookup[list[Located]]
    ledgers: Lookup[dict[bytes, list[LedgerEntry]]]
    documents: Lookup[dict[bytes, bytes | None]] | None
    documents_of: Mapping[bytes, Collection[bytes]]

    @property
    def lookups(self) -> tuple[Lookup[Any], ...]:
        """The look-ups in the order of sending, so that what is read behind a lock is what its holder left."""
        documents = () if self.documents is None else (self.documents,)
        return (self.names, self.accounts, INSTANT, self.located, self.ledgers, STAMP, *documents)

    async def open(
        self, session: WriteSession, results: LookedUp, processings: Collection[str], register: RegisterEntries
    ) -> OpenLedgers:
        """Return the ledgers, once the look-ups were sent.

        Args:
            session: the transaction that sent them.
            results: what they returned.
            processings: those whose register entries each ledger gets besides the ones that it names already.
            register: the cache of register entries.

        """
        opened = OpenLedgers(session, self.deployment, locator_of=self.locator_of)
        if self.documents is not None:
            opened.documents |= self.documents.read(results[self.documents])
        kept, held = self.names.read(results[self.names]), self.accounts.read(results[self.accounts])
        located: list[Located] = self.located.read(results[self.located])
        for locator, account in zip(self.wanted, located, strict=True):
            theirs = {*self.wanted[locator], *self.documents_of[locator]}
            if kept.issuperset(theirs) and (account.new or account.ref in held):
                opened.located[locator] = account
            else:
                opened.busy.add(locator)
        accounts = {account.ref: account for account in opened.located.values()}
        session.committing.subjects.update(held, accounts)
        recorded, now = self.ledgers.read(results[self.ledgers]), session.clock.read(INSTANT.read(results[INSTANT]))
        named = {entry.event.processing for ref in accounts for entry in recorded.get(ref, ())} | set(processings)
        entries = await register.read(session, {each for each in named if each is not None}, STAMP.read(results[STAMP]))
        for ref, account in accounts.items():
            opened.ledgers[ref] = OpenLedger(
                ref,
                account.locators,
                None,
                recorded.get(ref, ()),
                now,
                entries,
                shared=account.shared,
                set_back=session.committing.set_back,
                keys=self.deployment.pseudonyms.makers(),
                committed=len(recorded.get(ref, ())),
                policy=self.deployment.policy,
            )
        return opened


async def opening_of(
    deployment: Deployment, names: Collection[SubjectName], *, documents: Documents = _NONE, waiting: bool
) -> Opening:
    """Prepare to open the ledgers of some names, all of which IDNA accepts; two may lead to one ledger.

    Args:
        deployment: the one whose names they are.
        names: the names.
        documents: what their grants will claim. They are held like the names: a document that another transaction
            claims is waited for, or its person is reported as busy.
        waiting: wait for people that others hold.

    """
    wanted: dict[bytes, Mapping[bytes, str]] = {}
    locator_of: dict[SubjectName, bytes] = {}
    documents_of: dict[bytes, set[bytes]] = {}
    for number, name in enumerate(names):
        found_by = deployment.pseudonyms.found_by(name.type, name.id)
        locator_of[name] = next(iter(found_by))
        wanted[locator_of[name]] = found_by
        documents_of.setdefault(locator_of[name], set()).update(documents.get(name, ()))
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    every = [locator for each in wanted.values() for locator in each]
    claimed = {document for each in documents_of.values() for document in each}
    return Opening(
        deployment,
        locator_of,
        wanted,
        names_held([*every, *claimed], waiting=waiting),
        accounts_held(every, waiting=waiting),
        located_many(list(wanted.values())),
        ledgers_behind(every),
        documents_claimed(claimed) if claimed else None,
        documents_of,
    )


async def open_ledgers(
    session: WriteSession,
    deployment: Deployment,
    names: Collection[SubjectName],
    processings: Collection[str] = (),
    *,
    documents: Documents = _NONE,
) -> OpenLedgers:
    """Hold the people behind some names until the end of the transaction, and open the ledger of each name."""
    opening = await opening_of(deployment, names, documents=documents, waiting=True)
    while True:
        with suppress(MovedError):
            async with session.attempt():
                results = await session.look_up(*opening.lookups)
                opened = await opening.open(session, results, processings, RegisterEntries())
                if opened.busy:
                    raise MovedError
                return opened


async def open_ledger(
    session: WriteSession, deployment: Deployment, name: SubjectName, processings: Collection[str] = ()
) -> OpenLedger:
    """Hold a person until the end of the transaction and open their ledger; the account begins, if it is new.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    opened = await open_ledgers(session, deployment, [name], processings)
    opened.begin(name)
    return opened.of(name)


async def append(
    session: WriteSession, ledger: OpenLedger, *entries: LedgerEntry, quiet: bool = False
) -> tuple[OpenLedger, list[ConsentEvent]]:
    """Append events to the ledger, its projection and the change table, and tell receivers of the consents that ended.

    Receivers must act on the end of every consent that permitted something, whatever ended it. They hear also of the
    other consents that a withdrawal or a closure ended, unless `quiet`.

    Returns:
        The ledger with the entries, and the consents that ended or permit no more with them, oldest first.

    """
    ledger = replace(ledger, projected=ledger.consents)
    append_entries(session, entries)
    for entry in entries:
        # By one of the locators a replay finds a person who has a new pseudonym since a restore.
        noted = {"entry": entry, "locators": ledger.locators, "keys": ledger.keys}
        session.note("ledger", noted, ("consent_event", str(entry.event.id)))
    grown = ledger.with_entries(*entries)
    grown = replace(grown, projected=grown.consents)
    project_subject(session, ledger.ref, grown.consents, {row.id: row for row in ledger.consents})
    for locator in ledger.locators:
        session.change(ChangeKind.SUBJECT, locator)
    endings = await _endings(session, ledger, grown)
    at = max(grown.now, *(entry.event.collected_at for entry in entries))
    is_erasure = any(entry.event.kind is EventKind.ERASED for entry in entries)
    told = [each for each in endings if each.is_lost or (each.state in _TOLD_ALWAYS and not quiet)]
    await put_in_outbox(session, *(_event_of(ledger.ref, each, at, is_erasure=is_erasure) for each in told))
    return grown, [each.consent for each in endings]


@dataclass(frozen=True, slots=True)
class _Ending:
    """A consent that ended, its state since, and whether it permitted something that nothing permits now."""

    consent: ConsentEvent
    state: State
    is_lost: bool


_TOLD_ALWAYS: Final = frozenset({State.WITHDRAWN, State.CLOSED})
_ENDED_BY_EVENT: Final = frozenset({*_TOLD_ALWAYS, State.REPLACED})
"""What receivers hear of a consent in one of these states; in every other it is not valid any more (`invalidated`)."""


async def _endings(session: WriteSession, before: OpenLedger, after: OpenLedger) -> list[_Ending]:
    """Return the consents that ended between two states of a ledger, oldest first.

    A consent that was not in force before is lost only where its permit was lost already, and the sweep has not yet
    told of that.
    """
    added = [entry.event for entry in after.entries[len(before.entries) :]]
    grants = (row for row in before.consents if row.decision is EventKind.GRANTED)
    stood = {row.id: row.processing for row in grants if row.ended_by is None}
    is_age = any(event.collection.age_band is not None for event in added)
    touched = {name for name in stood.values() if is_age or any(event.concerns(name) for event in added)}
    was, now = ({name: ledger.standing(name) for name in touched} for ledger in (before, after))
    over = {row.id for row in after.consents if row.ended_by is not None}
    recorded = {entry.event.id for entry in before.entries[: before.committed]}
    flagged: Collection[UUID] | None = None
    endings = []
    for consent in sorted(before.events, key=BY_RANK):
        if stood.get(consent.id) not in touched:
            continue
        standing, since = was[stood[consent.id]], now[stood[consent.id]]
        is_in_force = standing.state_of(consent) is State.IN_FORCE
        lost = (is_in_force or consent.id in over) and consent.id in recorded and is_lost(consent, standing, since)
        lost = lost and (is_in_force or is_lost(consent, standing, standing))
        if lost and not is_in_force:
            flagged = await _flagged(session, before.ref) if flagged is None else flagged
            lost = consent.id not in flagged
        if lost or consent.id in over:
            endings.append(_Ending(consent, since.state_of(consent), lost))
    return endings


async def _flagged(session: WriteSession, ref: bytes) -> frozenset[UUID]:
    """Return the person's consents whose end the sweep has told of."""
    return frozenset(flag["consent"] for flag in await flags_of(session, ref) if flag["kind"] != FlagKind.DUE)


def _event_of(ref: bytes, ending: _Ending, at: datetime, *, is_erasure: bool) -> DomainEvent:
    """Return what receivers are told; a closure told of here is that of the account."""
    word = ending.state if ending.state in _ENDED_BY_EVENT else FlagKind.INVALIDATED
    data = {"consent": str(ending.consent.id), "processing": ending.consent.processing}
    if word is State.CLOSED and not is_erasure:
        data["cause"] = ClosureCause.ACCOUNT_CLOSED
    return DomainEvent(ref, EventKind.ERASED if is_erasure else word, at, data, ends=ending.is_lost)
