"""What pages say of the register: the text that asks for consent to a version, and the contacts for questions about it.

Of the contacts, a stranger sees only what every page that asks shows anyway: no processing, and nothing of exempt
ones, of proposals, or of what is planned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.core.article import Purpose
from app.core.consent_text import Asked, ConsentText, ToldChange, Who, consent_text
from app.core.period import PeriodPolicy
from app.core.processing import Status, told
from app.core.register import version_changes
from app.db.session import ReadSession
from app.register.records import ControllerRecord, ProcessingRecord, VersionRecord
from app.register.store import load_controllers, load_processings
from app.words import LANGUAGES


def consent_texts(
    purpose: Purpose, controllers: Sequence[Who], version: VersionRecord, policy: PeriodPolicy
) -> Mapping[str, ConsentText]:
    """Return a version's text in each language of the page, as a first request; `controllers` in order, one or more."""
    asked = asked_by(purpose, controllers, version, policy)
    return {language: consent_text(asked, language) for language in LANGUAGES}


def asked_by(
    purpose: Purpose,
    controllers: Sequence[Who],
    version: VersionRecord,
    policy: PeriodPolicy,
    *,
    changes: Sequence[ToldChange] = (),
    since: int | None = None,
) -> Asked:
    """Return what a version says to the person asked; `changes`: those since their answer about version `since`."""
    facts = version.facts
    return Asked(
        told={**told(facts), "consent_validity": policy.shorter(facts.consent_validity)},
        words=version.words,
        controllers=tuple(controllers),
        purpose=purpose,
        changes=tuple(changes),
        changed_since=since,
    )


def version_shown(record: ProcessingRecord, at: datetime) -> VersionRecord:
    """Return the version that a person is asked about: the one in force, else the first."""
    in_force = record.facts.version_at(at) or record.facts.versions[0]
    return record.version(in_force.number) or record.versions[0]


def who_is(record: ControllerRecord) -> Who:
    """Return a controller as people are shown it today."""
    latest = record.versions[-1]
    return Who(latest.legal_name, latest.postal_address, latest.contact, latest.data_protection_officer)


def told_changes(record: ProcessingRecord, before: VersionRecord, after: VersionRecord) -> list[ToldChange]:
    """Return what differs between two versions, with controllers by their names."""
    found = version_changes(before.facts, after.facts, words_before=before.said, words_after=after.said)
    return [_told(each.field, each.before, each.after, record) for each in found]


def _told(field: str, before: object, after: object, record: ProcessingRecord) -> ToldChange:
    if field == "controllers" and isinstance(before, list) and isinstance(after, list):
        names = record.controller_names
        return ToldChange(field, [names.get(each, each) for each in before], [names.get(each, each) for each in after])
    return ToldChange(field, before, after)


KEPT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Reachable:
    """A controller, and the contacts for data protection of what it answers for."""

    who: Who
    contacts: tuple[str, ...]


class ReachableOnes:
    """Who can be reached, remembered for a minute: anyone may ask, and the register may be large."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._kept: tuple[Reachable, ...] = ()
        self._until = 0.0

    def at(self, now: float) -> Sequence[Reachable] | None:
        """Return what is remembered; None once it is to be read again (`now`: an epoch time)."""
        return self._kept if now < self._until else None

    def keep(self, reachable: Sequence[Reachable], now: float) -> None:
        """Remember what was read at an instant."""
        self._kept, self._until = tuple(reachable), now + KEPT_SECONDS


async def whom_to_reach(session: ReadSession) -> list[Reachable]:
    """Return the controllers of what people were ever asked about, as named today, each once, in order of ids."""
    now = await session.now()
    contacts: dict[str, list[str]] = {}
    for record in (await load_processings(session)).values():
        begun = record.facts.status_at(now) is not Status.PROPOSED and record.facts.version_at(now) is not None
        if not record.facts.rests_on_consent or not begun:
            continue
        version = version_shown(record, now)
        for controller in version.controllers:
            contacts.setdefault(controller, []).extend([version.contact] if version.contact is not None else [])
    known = await load_controllers(session, contacts)
    return [Reachable(who_is(record), tuple(dict.fromkeys(contacts[each]))) for each, record in known.items()]
