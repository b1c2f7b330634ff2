"""The text that asks for consent to a version, as the consent page shows it: from the register to `app.core.page`."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.core.article import Purpose
from app.core.page.questions import Asked, ToldChange, Who
from app.core.page.text import ConsentText, consent_text
from app.core.period import PeriodPolicy
from app.core.register import version_changes
from app.core.version import told
from app.register.records import ControllerRecord, ProcessingRecord, VersionRecord
from app.words import LANGUAGES


def consent_texts(
    purpose: Purpose, controllers: Sequence[Who], version: VersionRecord, policy: PeriodPolicy
) -> Mapping[str, ConsentText]:
    """The text of a version in each language of the page, as a first request; `controllers` in order, at least one."""
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
    """What a version says to the person asked; `changes` since their answer about version `since`, if there are any."""
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
    """The version that a person is asked about: the one in force, else the first."""
    in_force = record.facts.version_at(at) or record.facts.versions[0]
    return record.version(in_force.number) or record.versions[0]


def who_is(record: ControllerRecord) -> Who:
    """A controller as people are told of it today."""
    latest = record.versions[-1]
    return Who(latest.legal_name, latest.postal_address, latest.contact, latest.data_protection_officer)


def told_changes(record: ProcessingRecord, before: VersionRecord, after: VersionRecord) -> list[ToldChange]:
    """What differs between two versions, controllers by their names."""
    found = version_changes(before.facts, after.facts, words_before=before.said, words_after=after.said)
    return [_told(each.field, each.before, each.after, record) for each in found]


def _told(field: str, before: object, after: object, record: ProcessingRecord) -> ToldChange:
    if field == "controllers" and isinstance(before, list) and isinstance(after, list):
        names = record.controller_names
        return ToldChange(field, [names.get(each, each) for each in before], [names.get(each, each) for each in after])
    return ToldChange(field, before, after)
