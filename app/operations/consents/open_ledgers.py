"""Open many ledgers at once, in a few statements; each is then recorded in as if it had been opened alone."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from app.db.session import WriteSession
from app.ledger.aliases import accounts_behind, try_accounts_behind
from app.ledger.entries import LedgerEntry
from app.ledger.locators import hold_names, hold_refs, try_names
from app.ledger.many_locators import LocatedOne, WantedSubject, begin_account, locate_many
from app.ledger.store import load_ledgers
from app.ledger.vault_store import keep_id
from app.operations.consents.append_to_ledger import OpenLedger
from app.operations.service.deployment import Deployment, SubjectName
from app.register.remembered import RegisterEntries

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
    by_locator: dict[bytes, _Opened] = field(default_factory=dict)
    locator_of: dict[SubjectName, bytes] = field(default_factory=dict)
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


async def open_ledgers(
    session: WriteSession,
    deployment: Deployment,
    names: Collection[SubjectName],
    processings: Collection[str],
    *,
    waiting: bool = True,
    register: RegisterEntries | None = None,
) -> OpenLedgers:
    """Hold the people behind some names until the end of the transaction, and open the ledger of each name.

    Args:
        session: a transaction that holds nobody yet: people are held in one order.
        deployment: whose names they are.
        names: names that IDNA takes; two may lead to one ledger.
        processings: whose register entries each ledger gets besides those that it names already.
        register: what remembers entries of the register; None to read them.
        waiting: wait for people whom others hold; else they are told (`OpenLedgers.is_busy`), and not held.

    """
    opened = OpenLedgers(session, deployment)
    wanted = await _wanted(deployment, names, opened)
    if waiting:
        every = _locators(wanted)
        await hold_names(session, every)
        await hold_refs(session, await accounts_behind(session, every))
        held_by_others = frozenset[bytes]()
    else:
        held_by_others = await _hold_free(session, wanted, opened)
    now = await session.now()
    found = dict(zip(wanted, await locate_many(session, list(wanted.values())), strict=True))
    if held_by_others:
        # Of somebody with other names it is not known here which of them others hold: such people count as busy.
        opened.busy |= {name for name, each in found.items() if each.linked or each.located.ref in held_by_others}
    located = {name: each for name, each in found.items() if name not in opened.busy}
    known = await load_ledgers(session, [each.located.ref for each in located.values() if not each.new])
    named = {entry.event.processing for entries in known.values() for entry in entries} | set(processings)
    entries = await (register or RegisterEntries()).read(session, {each for each in named if each is not None})
    for locator, one in located.items():
        held = one.located
        ledger = OpenLedger(held.ref, held.locators, held.closed_until, known.get(held.ref, ()), now, entries)
        opened.by_locator[locator] = _Opened(ledger, one)
    return opened


async def _wanted(
    deployment: Deployment, names: Collection[SubjectName], opened: OpenLedgers
) -> dict[bytes, WantedSubject]:
    """The subjects to look for, by the first locator of their names, which `opened` is told."""
    pseudonyms, makers = deployment.pseudonyms, deployment.pseudonyms.makers()
    wanted = {}
    for number, name in enumerate(names):
        locators = pseudonyms.locators(name.type, name.id)
        opened.locator_of[name] = locators[0]
        wanted[locators[0]] = WantedSubject(dict(zip(locators, makers, strict=True)), name.type)
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    return wanted


async def _hold_free(
    session: WriteSession, wanted: dict[bytes, WantedSubject], opened: OpenLedgers
) -> frozenset[bytes]:
    """Hold the names and accounts that nobody else holds; names that others hold are taken out, and told as busy.

    Returns:
        The accounts of these people that others hold.

    """
    taken = await try_names(session, _locators(wanted))
    opened.busy = {name for name, each in wanted.items() if not taken.issuperset(each.found_by)}
    for name in opened.busy:
        del wanted[name]
    return await try_accounts_behind(session, _locators(wanted))


def _locators(wanted: Mapping[bytes, WantedSubject]) -> list[bytes]:
    return [locator for each in wanted.values() for locator in each.found_by]
