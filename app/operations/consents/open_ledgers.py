"""Open many ledgers at once, in one round trip; each is then recorded in as if it had been opened alone."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.db.lookups import LookedUp, Lookup
from app.db.session import INSTANT, WriteSession
from app.ledger.aliases import accounts_held
from app.ledger.entries import LedgerEntry
from app.ledger.locators import names_held
from app.ledger.many_locators import LocatedOne, WantedSubject, begin_account, located_many
from app.ledger.store import ledgers_behind
from app.ledger.vault_store import keep_id
from app.operations.consents.append_to_ledger import OpenLedger
from app.operations.service.deployment import Deployment, SubjectName
from app.register.remembered import STAMP, RegisterEntries

_AT_A_STRETCH: Final = 25
"""How many names are worked on before others of this process have their turn: some milliseconds."""


@dataclass(slots=True)
class _Opened:
    """One ledger with what is recorded in it; `begun`: the account, and its id, are written."""

    ledger: OpenLedger
    one: LocatedOne
    begun: bool = False


@dataclass(slots=True)
class OpenLedgers:
    """Ledgers that a transaction holds, by name; two names may lead to one."""

    session: WriteSession
    deployment: Deployment
    locator_of: Mapping[SubjectName, bytes]
    by_locator: dict[bytes, _Opened] = field(default_factory=dict)
    busy: set[bytes] = field(default_factory=set)

    def is_busy(self, name: SubjectName) -> bool:
        """Whether others hold the person now, so that the ledger was not opened."""
        return self.locator_of[name] in self.busy

    def of(self, name: SubjectName) -> OpenLedger:
        """The ledger of a name, with what was recorded in it since it was opened."""
        return self.by_locator[self.locator_of[name]].ledger

    def has_other_names(self, name: SubjectName) -> bool:
        """Whether the person has other names, whose ledgers are not open."""
        return self.by_locator[self.locator_of[name]].one.linked

    async def recorded(self, name: SubjectName, entry: LedgerEntry) -> None:
        """Note that an entry was staged for the ledger of a name; with the first, the account begins, if it is new."""
        opened = self.by_locator[self.locator_of[name]]
        opened.ledger = opened.ledger.with_entry(entry)
        if opened.begun:
            return
        opened.begun = True
        held, now = opened.one.located, opened.ledger.now
        begin_account(self.session, opened.one, now)
        if not held.id_kept:
            await keep_id(self.session, held.ref, self.deployment.vault.seal(held.locators[0], name.id), now)


@dataclass(frozen=True, slots=True)
class Opening:
    """The look-ups that hold some people and find their ledgers, in one round trip; made before there is a transaction.

    The transaction that sends them holds nobody yet: people are held in one order. Those whom others hold are waited
    for, or are told as busy (`OpenLedgers.is_busy`), and not held.
    """

    deployment: Deployment
    waiting: bool
    locator_of: Mapping[SubjectName, bytes]
    wanted: Mapping[bytes, WantedSubject]
    names: Lookup[frozenset[bytes]]
    accounts: Lookup[dict[bytes, bool]]
    located: Lookup[list[LocatedOne]]
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
        located = found.of(self.located)
        one_of = dict(zip(self.wanted, located, strict=True))
        kept, held = found.of(self.names), found.of(self.accounts)
        opened = OpenLedgers(session, self.deployment, locator_of=self.locator_of)
        for locator, each in one_of.items():
            # Of somebody with other names it is not known here which of them others hold.
            held_by_others = not held.get(each.located.ref, True) or (each.linked and not all(held.values()))
            if not self.waiting and (held_by_others or not kept.issuperset(self.wanted[locator].found_by)):
                opened.busy.add(locator)
        free = {locator: each for locator, each in one_of.items() if locator not in opened.busy}
        session.committing.subjects.update(ref for ref, is_held in held.items() if is_held)
        session.committing.subjects.update(each.located.ref for each in free.values())
        known, now = found.of(self.ledgers), session.clock.read(found.of(INSTANT))
        refs = {each.located.ref for each in free.values()}
        named = {entry.event.processing for ref in refs for entry in known.get(ref, ())} | set(processings)
        entries = await register.read(session, {each for each in named if each is not None}, found.of(STAMP))
        for locator, one in free.items():
            at = one.located
            ledger = OpenLedger(at.ref, at.locators, at.closed_until, known.get(at.ref, ()), now, entries)
            opened.by_locator[locator] = _Opened(ledger, one)
        return opened


async def opening_of(deployment: Deployment, names: Collection[SubjectName], *, waiting: bool) -> Opening:
    """Prepare to open the ledgers of some names, which IDNA takes; two may lead to one ledger.

    Args:
        deployment: whose names they are.
        names: which.
        waiting: wait for people whom others hold.

    """
    pseudonyms, makers = deployment.pseudonyms, deployment.pseudonyms.makers()
    wanted: dict[bytes, WantedSubject] = {}
    locator_of: dict[SubjectName, bytes] = {}
    for number, name in enumerate(names):
        locators = pseudonyms.locators(name.type, name.id)
        locator_of[name] = locators[0]
        wanted[locators[0]] = WantedSubject(dict(zip(locators, makers, strict=True)), name.type)
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    every = [locator for each in wanted.values() for locator in each.found_by]
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
    session: WriteSession, deployment: Deployment, names: Collection[SubjectName], processings: Collection[str]
) -> OpenLedgers:
    """Hold the people behind some names until the end of the transaction, and open the ledger of each name."""
    opening = await opening_of(deployment, names, waiting=True)
    return await opening.open(session, await session.look_up(*opening.lookups), processings, RegisterEntries())
