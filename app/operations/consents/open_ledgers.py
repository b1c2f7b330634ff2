"""Open ledgers, one or many, in one round trip; each of many is then recorded in as if it had been opened alone."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from app.db.lookups import LookedUp, Lookup
from app.db.session import INSTANT, WriteSession
from app.ledger.entries import LedgerEntry
from app.ledger.locators import (
    Located,
    MovedError,
    account_of,
    accounts_held,
    begin_account,
    located_many,
    names_held,
    until_held,
)
from app.ledger.store import ledgers_behind
from app.ledger.vault_store import KeptName, keep_name
from app.operations.consents.append_to_ledger import OpenLedger
from app.operations.service.deployment import Deployment, SubjectName
from app.register.remembered import STAMP, RegisterEntries

_AT_A_STRETCH: Final = 25
"""How many names are worked on before others of this process have their turn: some milliseconds."""


@dataclass(slots=True)
class OpenLedgers:
    """Ledgers that a transaction holds, by name; names of one person lead to one.

    `begun`: the names, by locator, whose rows are all written.
    """

    session: WriteSession
    deployment: Deployment
    locator_of: Mapping[SubjectName, bytes]
    located: dict[bytes, Located] = field(default_factory=dict)
    ledgers: dict[bytes, OpenLedger] = field(default_factory=dict)
    busy: set[bytes] = field(default_factory=set)
    begun: set[bytes] = field(default_factory=set)

    def is_busy(self, name: SubjectName) -> bool:
        """Whether others hold the person now, so that the ledger was not opened."""
        return self.locator_of[name] in self.busy

    def account(self, name: SubjectName) -> Located:
        """What a name leads to."""
        return self.located[self.locator_of[name]]

    def of(self, name: SubjectName) -> OpenLedger:
        """The ledger of a name, with what was recorded in it since it was opened."""
        account = self.account(name)
        closed_until, another_until = account.closed_until, account.another_until
        return replace(self.ledgers[account.ref], closed_until=closed_until, another_until=another_until)

    def recorded(self, name: SubjectName, entry: LedgerEntry) -> None:
        """Note that an entry was staged for the ledger of a name; with the first, the account begins, if it is new."""
        ref = self.account(name).ref
        self.ledgers[ref] = self.ledgers[ref].with_entry(entry)
        self.begin(name)

    def begin(self, name: SubjectName) -> None:
        """Write what is not written yet of a name: the account, if it is new, and rows that lead to it."""
        locator, account = self.locator_of[name], self.account(name)
        if locator not in self.begun:
            self.begun.add(locator)
            write_account(self.session, self.deployment, name, account, self.ledgers[account.ref].now)


def new_account(deployment: Deployment, name: SubjectName, *, shared: bool = False) -> Located:
    """An account that begins with a name; `shared`: it is a mailbox of several people."""
    pseudonyms = deployment.pseudonyms
    found_by = dict(zip(pseudonyms.locators(name.type, name.id), pseudonyms.makers(), strict=True))
    return replace(account_of(found_by), shared=shared)


def write_account(
    session: WriteSession,
    deployment: Deployment,
    name: SubjectName,
    account: Located,
    at: datetime,
    *,
    ended_at: datetime | None = None,
) -> None:
    """Write the rows that an account lacks for a name, and of a new one the name; `ended_at`: it begins closed."""
    begin_account(session, account, at, ended_at=ended_at)
    if account.new:
        sealed = deployment.vault.seal(account.locators[0], name.id)
        keep_name(session, KeptName(account.name, account.ref, name.type, sealed, at))


@dataclass(frozen=True, slots=True)
class Opening:
    """The look-ups that hold some people and find their ledgers, in one round trip; made before there is a transaction.

    The transaction that sends them holds nobody yet: people are held in one order. Those whom others hold are waited
    for, or are told as busy (`OpenLedgers.is_busy`), and not held. So is a name that leads elsewhere since others, who
    were waited for, have changed it.
    """

    deployment: Deployment
    waiting: bool
    locator_of: Mapping[SubjectName, bytes]
    wanted: Mapping[bytes, Mapping[bytes, str]]
    names: Lookup[frozenset[bytes]]
    accounts: Lookup[frozenset[bytes]]
    located: Lookup[list[Located]]
    ledgers: Lookup[dict[bytes, list[LedgerEntry]]]

    @property
    def lookups(self) -> tuple[Lookup[Any], ...]:
        """In the order in which they are to be sent; what is found behind a lock is what its holder had left."""
        return (self.names, self.accounts, INSTANT, self.located, self.ledgers, STAMP)

    async def open(
        self, session: WriteSession, found: LookedUp, processings: Collection[str], register: RegisterEntries
    ) -> OpenLedgers:
        """The ledgers, once the look-ups were sent.

        Args:
            session: the transaction that sent them.
            found: what they found.
            processings: whose register entries each ledger gets besides those that it names already.
            register: what remembers entries of the register.

        """
        opened = OpenLedgers(session, self.deployment, locator_of=self.locator_of)
        kept, held = found.of(self.names), found.of(self.accounts)
        located: list[Located] = found.of(self.located)
        for locator, one in zip(self.wanted, located, strict=True):
            if kept.issuperset(self.wanted[locator]) and (one.new or one.ref in held):
                opened.located[locator] = one
            else:
                opened.busy.add(locator)
        accounts = {one.ref: one for one in opened.located.values()}
        session.committing.subjects.update(held, accounts)
        known, now = found.of(self.ledgers), session.clock.read(found.of(INSTANT))
        named = {entry.event.processing for ref in accounts for entry in known.get(ref, ())} | set(processings)
        entries = await register.read(session, {each for each in named if each is not None}, found.of(STAMP))
        for ref, one in accounts.items():
            opened.ledgers[ref] = OpenLedger(
                ref, one.locators, None, known.get(ref, ()), now, entries, shared=one.shared
            )
        return opened


async def opening_of(deployment: Deployment, names: Collection[SubjectName], *, waiting: bool) -> Opening:
    """Prepare to open the ledgers of some names, which IDNA takes; two may lead to one ledger.

    Args:
        deployment: whose names they are.
        names: which.
        waiting: wait for people whom others hold.

    """
    pseudonyms, makers = deployment.pseudonyms, deployment.pseudonyms.makers()
    wanted: dict[bytes, Mapping[bytes, str]] = {}
    locator_of: dict[SubjectName, bytes] = {}
    for number, name in enumerate(names):
        locators = pseudonyms.locators(name.type, name.id)
        locator_of[name] = locators[0]
        wanted[locators[0]] = dict(zip(locators, makers, strict=True))
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    every = [locator for each in wanted.values() for locator in each]
    return Opening(
        deployment,
        waiting,
        locator_of,
        wanted,
        names_held(every, waiting=waiting),
        accounts_held(every, waiting=waiting),
        located_many(list(wanted.values())),
        ledgers_behind(every),
    )


async def open_ledgers(
    session: WriteSession, deployment: Deployment, names: Collection[SubjectName], processings: Collection[str] = ()
) -> OpenLedgers:
    """Hold the people behind some names until the end of the transaction, and open the ledger of each name."""
    opening = await opening_of(deployment, names, waiting=True)

    async def hold() -> OpenLedgers:
        found = await session.look_up(*opening.lookups)
        opened = await opening.open(session, found, processings, RegisterEntries())
        if opened.busy:
            raise MovedError
        return opened

    return await until_held(session, hold)


async def open_ledger(session: WriteSession, deployment: Deployment, name: SubjectName) -> OpenLedger:
    """Hold a person until the end of the transaction and open their ledger; the account begins, if it is new.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    opened = await open_ledgers(session, deployment, [name])
    opened.begin(name)
    return opened.of(name)
