"""Register entries: all that they tell people, the text that asks, and whether the evidence of a grant fits it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Self, cast

from app.core.article import PARIS, Purpose
from app.core.consent import ConsentEvent, PositiveAct
from app.core.consent_text import Asked, ConsentText, Who, consent_text
from app.core.errors import CollectionTimeError, InvalidEvidenceError
from app.core.fold import Standing, fold
from app.core.period import PeriodPolicy, Retention
from app.core.processing import (
    TOLD_FACTS,
    Invalidation,
    Processing,
    ProcessingVersion,
    Recipient,
    StatusChange,
    Transfer,
    changed_facts,
    told,
)
from app.core.register import ControllerKind, FieldChange, GateProposal, Words, version_changes
from app.words import LANGUAGES

_NAMED: Final = (
    "dct:conformsTo",
    "dpv:hasApplicableLaw",
    "dpv:hasCountry",
    "dpv:hasJurisdiction",
    "dpv:hasLegalBasis",
    "dpv:hasProcessing",
    "dpv:hasPurpose",
    "dpv:isExercisedAt",
    "dpv:isIndicatedBy",
    "schema:additionalType",
)
"""The members whose texts are IRIs; the texts of all others are words."""
CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "legal-eu": "https://w3id.org/dpv/legal/eu#",
    "loc": "https://w3id.org/dpv/loc#",
    "dct": "http://purl.org/dc/terms/",
    "schema": "https://schema.org/",
    **{name: {"@id": name, "@type": "@id"} for name in _NAMED},
}
"""The context of JSON-LD. The terms are those of DPV 2.2 (https://w3id.org/dpv/2.2)."""
PURPOSES: Final[Mapping[Purpose, str]] = {
    Purpose.DISPLAY: "dpv:TechnicalServiceProvision",
    Purpose.SORTING: "dpv:TechnicalServiceProvision",
    Purpose.ROUTING: "dpv:TechnicalServiceProvision",
    Purpose.UNSOLICITED_CONTENT_DETECTION: "dpv:MisusePreventionAndDetection",
    Purpose.MALWARE_DETECTION: "dpv:EnforceSecurity",
    Purpose.ADVERTISING: "dpv:Advertising",
    Purpose.STATISTICS: "dpv:ServiceUsageAnalytics",
    Purpose.SERVICE_IMPROVEMENT: "dpv:ImproveExistingProductsAndServices",
    Purpose.OTHER: "dpv:Purpose",
}
"""The term of the vocabulary for each purpose of the article, which has narrower ones."""


_IN_JSON: Final = (
    "categories_of_persons",
    "recipients",
    "transfers",
    "storage_location",
    "automated_decisions",
    "conditional",
    "derived_data_erased_within",
)
"""The told facts that have no column of their own."""


@dataclass(frozen=True, slots=True)
class Particulars:
    """What the page and the record of GDPR 30 tell, and no rule reads; all optional.

    `consequences` of refusing are what the operator asserts, by language; addresses are https; `justification` says why
    a processing of III has data recipients or keeps data for over 30 days.
    """

    security_measures: str | None = None
    dpia_reference: str | None = None
    privacy_policy: str | None = None
    legal_notice: str | None = None
    accessibility_statement: str | None = None
    logo: str | None = None
    consequences: Mapping[str, str] | None = None
    justification: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what is stated, as it is kept."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read what was kept; ignore members that later code added."""
        names = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in kept.items() if name in names})


def facts_as_json(version: ProcessingVersion) -> dict[str, Any]:
    """Return the told facts without a column, as they are kept and shown; one that is not stated is left out."""
    facts = {fact.name: fact.as_json(fact.of(version)) for fact in TOLD_FACTS if fact.name in _IN_JSON}
    return {name: value for name, value in facts.items() if value is not None and value != []}


def facts_from_json(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a version from what `facts_as_json` returned."""
    erased = kept.get("derived_data_erased_within")
    return {
        "categories_of_persons": tuple(kept.get("categories_of_persons", ())),
        "recipients": frozenset(Recipient(**each) for each in kept.get("recipients", ())),
        "transfers": frozenset(Transfer(**each) for each in kept.get("transfers", ())),
        "storage_location": kept.get("storage_location"),
        "automated_decisions": kept.get("automated_decisions"),
        "conditional": kept.get("conditional"),
        "derived_data_erased_within": Retention.parse(erased) if erased is not None else None,
    }


_NEXT_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version: the facts that rules look at, its words in each language, and when it was recorded.

    `contact`: the controller's data-protection contact, as people are told it; None when none is registered.
    `controllers` are ids in the order in which they are named. `reason`: why the caller that added the version did so.
    """

    facts: ProcessingVersion
    name: Mapping[str, str]
    notice: Mapping[str, str]
    recorded_at: datetime
    contact: str | None = None
    controllers: tuple[str, ...] = ()
    particulars: Particulars = field(default_factory=Particulars)
    reason: str | None = None

    @property
    def words(self) -> Words:
        """What people read besides the told facts: changing it without a material version takes a second person."""
        more = self.particulars
        return {
            "name": dict(self.name),
            "notice": dict(self.notice),
            "consequences": more.consequences,
            "data_protection_contact": self.contact,
            "privacy_policy": more.privacy_policy,
            "legal_notice": more.legal_notice,
            "accessibility_statement": more.accessibility_statement,
            "logo": more.logo,
        }

    @property
    def texts(self) -> Words:
        """The words, and what only the register holds, by the names of the API."""
        return {**self.words, **self.particulars.as_json()}

    def notice_hash(self, language: str) -> str | None:
        """Return the SHA-256 (hex) of the UTF-8 notice in a language (BCP 47: `fr`, `fr-FR`); None without one."""
        text = self.notice.get(language.lower().split("-")[0])
        return None if text is None else sha256(text.encode()).hexdigest()

    def holds_text(self, digest: str) -> bool:
        """Return whether some notice of this version has that SHA-256 (hex)."""
        return bool(self.notices(digest))

    def notices(self, digest: str) -> list[str]:
        """Return the notices of this version that have that SHA-256 (hex)."""
        return [text for text in self.notice.values() if sha256(text.encode()).hexdigest() == digest.lower()]


@dataclass(frozen=True)
class ProcessingRecord:
    """One processing as registered.

    `controller` is the legal name of the first controller of its latest version, `controller_names` has those of all
    that its versions name, by id. `changes` of status and invalidations stand in the order of their instants, which no
    two of them share.
    """

    id: str
    controller: str
    purpose: Purpose
    registered_at: datetime
    versions: tuple[VersionRecord, ...]
    changes: tuple[StatusChange | Invalidation, ...]
    controller_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def status_changes(self) -> tuple[StatusChange, ...]:
        """The changes of status."""
        return tuple(each for each in self.changes if isinstance(each, StatusChange))

    @property
    def invalidations(self) -> tuple[Invalidation, ...]:
        """What was invalidated."""
        return tuple(each for each in self.changes if isinstance(each, Invalidation))

    def next_instant(self, now: datetime) -> datetime:
        """Return now, or the instant just after the last change if a clock stood still or was set back."""
        return max([now, *(each.at + _NEXT_INSTANT for each in self.changes[-1:])])

    def struck(self, version: VersionRecord, at: datetime) -> bool:
        """Return whether a version or one of its notices was invalidated by an instant: it is no longer asked about."""
        digests = (None, *(version.notice_hash(language) for language in version.notice))
        return any(self.facts.invalidated(version.facts.number, digest, at) for digest in digests)

    def says_what_was_struck(self, version: VersionRecord, at: datetime) -> bool:
        """Return whether a version says again what was invalidated: a notice, or all that an invalidated one told."""
        return self.struck(version, at) or any(
            self.struck(other, at) and not changed_facts(other.facts, version.facts) and other.notice == version.notice
            for other in self.versions
        )

    def names_of(self, version: VersionRecord) -> tuple[str, ...]:
        """Return the legal names of a version's controllers, in their order."""
        return tuple(self.controller_names.get(each, each) for each in version.controllers) or (self.controller,)

    @cached_property
    def facts(self) -> Processing:
        """What the rules look at."""
        return Processing(
            id=self.id,
            purpose=self.purpose,
            versions=tuple(version.facts for version in self.versions),
            status_changes=self.status_changes,
            invalidations=self.invalidations,
        )

    def version(self, number: int) -> VersionRecord | None:
        """Return the version of that number, if there is one."""
        return next((version for version in self.versions if version.facts.number == number), None)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A version that needed a second person, and its proposal at the gate."""

    version: VersionRecord
    made: GateProposal


@dataclass(frozen=True, slots=True)
class Registered:
    """A register entry as people see it: what was approved, and what was ever proposed, in ascending number."""

    record: ProcessingRecord
    proposals: Sequence[Proposal] = ()

    @property
    def waiting(self) -> Proposal | None:
        """The proposal that is not answered yet: there is one at most."""
        return next((each for each in self.proposals if each.made.ruling is None), None)

    @property
    def last_number(self) -> int:
        """The highest number that a version ever had, rejected ones included."""
        return max(each.facts.number for each in (*self.record.versions, *(each.version for each in self.proposals)))


@dataclass(frozen=True, slots=True)
class ControllerVersion:
    """What is known of a controller from an instant on; another legal name is another version of the same controller.

    `country` is an ISO 3166-1 alpha-2 code.
    """

    number: int
    legal_name: str
    recorded_at: datetime
    postal_address: str | None = None
    contact: str | None = None
    data_protection_officer: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class ControllerRecord:
    """A controller: a legal person, by its identifier, with its versions in ascending number."""

    id: str
    kind: ControllerKind
    identifier: str | None
    registered_at: datetime
    versions: tuple[ControllerVersion, ...]

    @property
    def legal_name(self) -> str:
        """Its name of today."""
        return self.versions[-1].legal_name


# Whether the evidence of a grant holds together: what it leaves out proves nothing, and is never filled in.
#
# Grants only: a refusal or a withdrawal narrows, so it is recorded no matter what is said around it.

_IN_WRITING: Final = frozenset({"web_form", "in_app", "api"})
METHODS_OF: Final[Mapping[PositiveAct, frozenset[str]]] = {
    PositiveAct.BUTTON_CLICKED: _IN_WRITING,
    PositiveAct.BOX_TICKED: _IN_WRITING | {"paper"},
    PositiveAct.SIGNED: _IN_WRITING | {"paper"},
    PositiveAct.SPOKEN: frozenset({"phone"}),
    PositiveAct.NONE: _IN_WRITING | {"paper", "phone"},
}
"""The methods by which each act can be done: a button cannot be clicked by phone."""


_WHOLE: Final = frozenset(
    {
        "method",
        "positive_act",
        "default_state",
        "separate_from_terms",
        "conditional",
        "language",
        "notice_version",
        "presented_text_sha256",
        "authentication",
    }
)
_ZEROS: Final = "0" * 64
_NAMED_BY_DOCUMENT: Final = frozenset({"phone"})
"""Methods of which a grant names the recording, or the script, by its hash."""


def proves(evidence: Mapping[str, Any], version: VersionRecord, at: datetime) -> bool:
    """Return whether an imported grant's evidence is complete, and its text was registered or shown by a signed form.

    Complete evidence may still contradict itself: `check_evidence` refuses that.
    """
    required = _WHOLE | ({"document_sha256"} if evidence.get("method") in _NAMED_BY_DOCUMENT else set())
    return evidence.keys() >= required and (at >= version.recorded_at or _is_signed_form(evidence))


def _is_signed_form(evidence: Mapping[str, Any]) -> bool:
    signed = evidence["method"] == "paper" and evidence["positive_act"] == PositiveAct.SIGNED.value
    return signed and evidence.get("document_sha256") is not None


def check_evidence(evidence: Mapping[str, Any], version: VersionRecord) -> None:
    """Refuse the evidence of a grant that contradicts itself or the version granted.

    Args:
        evidence: the evidence in the API's words, with `presented_text_sha256`.
        version: the version granted.

    Raises:
        InvalidEvidenceError: the hash of the text, or how the person was identified, is missing; the act cannot be done
            by the method; a call names no recording or script; a document's hash is of nothing; the notice is of
            another version; or the language is not that of the text, or none of the version's.

    """
    if evidence.get("authentication") is None:
        raise InvalidEvidenceError("A grant says how the person was identified.", field="evidence.authentication")
    if evidence.get("presented_text_sha256") is None:
        raise InvalidEvidenceError(
            "A grant says which text was shown, by its SHA-256.", field="evidence.presented_text_sha256"
        )
    if evidence["method"] not in METHODS_OF[PositiveAct(evidence["positive_act"])]:
        raise InvalidEvidenceError("This act cannot be done by this method.", field="evidence.positive_act")
    document = evidence.get("document_sha256")
    if document is None and evidence["method"] in _NAMED_BY_DOCUMENT:
        message = "A grant by phone names its recording, or the script that was read, by its SHA-256."
        raise InvalidEvidenceError(message, field="evidence.document_sha256")
    if document == _ZEROS:
        raise InvalidEvidenceError("This is no document's hash.", field="evidence.document_sha256")
    if evidence["notice_version"] != version.facts.number:
        raise InvalidEvidenceError(
            "A grant names the notice by the number of the version granted.", field="evidence.notice_version"
        )
    _check_language(evidence, version)


def _check_language(evidence: Mapping[str, Any], version: VersionRecord) -> None:
    if version.notice_hash(evidence["language"]) is None:
        raise InvalidEvidenceError("The version has no text in this language.", field="evidence.language")
    shown = evidence["presented_text_sha256"]
    if version.holds_text(shown) and version.notice_hash(evidence["language"]) != shown.lower():
        raise InvalidEvidenceError("The text of this hash is in another language.", field="evidence.language")


def check_started(version: VersionRecord, at: datetime) -> None:
    """Refuse a grant collected before the processing was put in place, by the calendar in Paris.

    Raises:
        CollectionTimeError: it was.

    """
    if at.astimezone(PARIS).date() < version.facts.started_on:
        message = "The processing was put in place after that day (`started_on`)."
        raise CollectionTimeError(message, field="collected_at")


def check_text_existed(evidence: Mapping[str, Any], version: VersionRecord, at: datetime) -> None:
    """Refuse a grant collected before the register held the version: only a signed form shows that its text existed.

    Raises:
        CollectionTimeError: it was collected earlier, and no signed form is named by its `document_sha256`.

    """
    if at < version.recorded_at and not _is_signed_form(evidence):
        raise CollectionTimeError(
            "The text did not exist: the version was registered after that time. Only a form signed on paper, named by "
            "document_sha256, may be older.",
            field="collected_at",
        )


def present(
    now: datetime, consents: Mapping[bytes, Sequence[ConsentEvent]], record: ProcessingRecord | None = None
) -> datetime:
    """Return the instant to judge a live request at: now, or the latest recorded as done if a clock was set back."""
    done = [event.collected_at for events in consents.values() for event in events]
    if record is not None:
        done += [change.at for change in record.changes]
        done += [each.recorded_at for each in record.versions if each.facts.in_force_at(each.recorded_at)]
    return max([now, *done])


def standing_now(
    events: Sequence[ConsentEvent], record: ProcessingRecord, now: datetime, policy: PeriodPolicy
) -> Standing:
    """Return where a person stands on a processing, of whom all events are given, at the instant of `present`."""
    return fold(events, record.facts, present(now, {b"": events}, record), policy)


# What pages say of a version: the text that asks for consent to it, and what changed.


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
    changes: Sequence[FieldChange] = (),
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


def told_changes(record: ProcessingRecord, before: VersionRecord, after: VersionRecord) -> list[FieldChange]:
    """Return what differs between two versions, with controllers by their names."""
    changes = version_changes(before.facts, after.facts, words_before=before.texts, words_after=after.texts)
    return [_by_name(each, record.controller_names) if each.field == "controllers" else each for each in changes]


def _by_name(change: FieldChange, names: Mapping[str, str]) -> FieldChange:
    before, after = (
        [names.get(each, each) for each in cast("list[str]", ids)] for ids in (change.before, change.after)
    )
    return replace(change, before=before, after=after)
