"""The text that asks for consent to a version, as the consent page shows it: from the register to `app.core.page`."""

from collections.abc import Mapping, Sequence

from app.core.article import Purpose
from app.core.page.changes import ToldChange
from app.core.page.questions import Asked, Receiver, Transfer, Who
from app.core.page.text import LANGUAGES, ConsentText, consent_text
from app.core.period import PeriodPolicy
from app.core.register.version_diff import version_changes
from app.core.retention import Retention
from app.register.particulars import Particulars
from app.register.records import ControllerRecord, ProcessingRecord, VersionRecord


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
    facts, particulars = version.facts, version.particulars
    erased = particulars.derived_data_erased_within
    return Asked(
        controllers=tuple(controllers),
        contact=version.contact,
        purpose=purpose,
        elements=facts.elements,
        automated=facts.automated,
        recipients=_receivers(facts.data_recipients, particulars),
        validity=policy.shorter(facts.consent_validity),
        retention=facts.retention,
        name=version.name,
        notice=version.notice,
        persons=particulars.categories_of_persons,
        transfers=tuple(Transfer(each.country, each.safeguards) for each in particulars.transfers),
        storage_location=particulars.storage_location,
        automated_decisions=particulars.automated_decisions,
        consequences=particulars.consequences,
        conditional=particulars.conditional,
        erased_within=Retention.parse(erased) if erased is not None else None,
        privacy_policy=particulars.privacy_policy,
        legal_notice=particulars.legal_notice,
        accessibility_statement=particulars.accessibility_statement,
        changes=tuple(changes),
        changed_since=since,
    )


def who_is(record: ControllerRecord) -> Who:
    """A controller as people are told of it today."""
    latest = record.versions[-1]
    return Who(latest.legal_name, latest.postal_address, latest.contact, latest.data_protection_officer)


def told_changes(record: ProcessingRecord, before: VersionRecord, after: VersionRecord) -> list[ToldChange]:
    """What differs between two versions, controllers by their names."""
    found = version_changes(before.facts, after.facts, told_before=before.told, told_after=after.told)
    return [_told(each.field, each.before, each.after, record) for each in found]


def _told(field: str, before: object, after: object, record: ProcessingRecord) -> ToldChange:
    if field == "controllers" and isinstance(before, list) and isinstance(after, list):
        names = record.controller_names
        return ToldChange(field, [names.get(each, each) for each in before], [names.get(each, each) for each in after])
    return ToldChange(field, before, after)


def _receivers(names: frozenset[str], particulars: Particulars) -> tuple[Receiver, ...]:
    if particulars.recipients:
        return tuple(Receiver(each.name, each.role, each.country) for each in particulars.recipients)
    return tuple(map(Receiver, sorted(names)))
