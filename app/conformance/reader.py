"""Reads a golden file. The defaults are those of its format: version 1, evidence lawful, capacity self, and so on.

Every problem is an `UnreadableFileError` that names file, line and key: a case that is misread proves nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from uuid import UUID

from app.conformance.document import Field, read_document
from app.conformance.register import read_elements, read_period, read_register
from app.core.article import FRANCE, TERRITORIES, TIME_ZONES, Article, Channel, Element
from app.core.case import Consents
from app.core.consent import (
    AgeBand,
    CheckedHow,
    Collection,
    ConsentEvent,
    DefaultState,
    EventKind,
    GivenBy,
    PositiveAct,
    StatedBy,
    age_weight,
)
from app.core.decision import DecisionRequest, Participant, Reason
from app.core.period import Counting, PeriodPolicy
from app.core.processing import Processing

# Each value keeps the words of the file (subject ids, evidence) beside the core's own values, so that the same cases
# can be replayed elsewhere, such as through the HTTP API.


@dataclass(frozen=True, slots=True)
class GoldenEvent:
    """One event of a case. `evidence` and `capacity` hold what the file says, and nothing for what it leaves out."""

    subject_id: str
    event: ConsentEvent
    evidence: Mapping[str, str | bool]
    capacity: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """The question of a case and the instant it is judged at; `participant_ids` stand in the request's order."""

    subject_id: str
    participant_ids: tuple[str, ...]
    request: DecisionRequest
    at: datetime


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case expects of the decision: any of `decision`, `reason`, `article` and `valid_until`.

    Only what the file names is compared. None means that the decision must not carry it.
    """

    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One golden case; `line` is where it begins in its file. Events stand in ledger order.

    `shared`: the ids that are mailboxes of several people.
    """

    name: str
    line: int
    events: tuple[GoldenEvent, ...]
    request: GoldenRequest
    expect: Expectation
    shared: frozenset[str]

    @property
    def consents(self) -> Consents:
        """The events by subject, as the core takes them."""
        by_subject: dict[bytes, list[ConsentEvent]] = {}
        for each in self.events:
            by_subject.setdefault(ref_of(each.subject_id), []).append(each.event)
        return by_subject


@dataclass(frozen=True, slots=True)
class GoldenFile:
    """A file of cases that share one register and one way of counting periods."""

    path: Path
    processings: Mapping[str, Processing]
    cases: Sequence[GoldenCase]
    policy: PeriodPolicy


def ref_of(subject_id: str) -> bytes:
    """The subject_ref for an id within a file: the id's bytes, as a file has no key and no person to protect."""
    return subject_id.encode()


_ABOUT_ALL: Final = frozenset({EventKind.WITHDRAWN, EventKind.CLOSED, EventKind.ERASED, EventKind.AGE_STATED})
"""The kinds that may leave the processing out: they are then about the person."""

_EVENT: Final = frozenset({"processing", "version", "elements", "evidence", "capacity", "territory"})
_REQUEST: Final = frozenset({"elements", "automated", "channel", "private", "territory", "participants"})
_EXPECT: Final = frozenset({"decision", "reason", "article", "valid_until"})
_FLAGS: Final = frozenset({"separate_from_terms", "conditional", "text_known"})
_TEXTS: Final = frozenset({"method", "language", "notice_version", "presented_text_sha256"})


def read_file(path: Path) -> GoldenFile:
    """Read a file of golden cases.

    Raises:
        UnreadableFileError: the file departs from the format, or holds no case.

    """
    top = read_document(path).members({"processings", "cases"}, {"policy"})
    register = read_register(top["processings"])
    cases = tuple(_case(each, register) for each in top["cases"].items())
    if not cases:
        top["cases"].refuse("no case: a check that runs nothing proves nothing")
    policy = _policy(top["policy"]) if "policy" in top else PeriodPolicy()
    return GoldenFile(path, register, cases, policy)


def _policy(field: Field) -> PeriodPolicy:
    said = field.members(set(), {"counting", "ceiling"})
    default = PeriodPolicy()
    return PeriodPolicy(
        counting=said["counting"].word(Counting) if "counting" in said else default.counting,
        ceiling=read_period(said["ceiling"]) if "ceiling" in said else default.ceiling,
    )


def _case(field: Field, register: Mapping[str, Processing]) -> GoldenCase:
    said = field.members({"name", "request", "expect"}, {"events", "shared"})
    events = said["events"].items() if "events" in said else []
    return GoldenCase(
        name=said["name"].text(),
        line=field.line,
        events=tuple(_event(each, order, register) for order, each in enumerate(events, start=1)),
        request=_request(said["request"]),
        expect=_expectation(said["expect"]),
        shared=frozenset(each.text() for each in said["shared"].items()) if "shared" in said else frozenset(),
    )


def _event(field: Field, order: int, register: Mapping[str, Processing]) -> GoldenEvent:
    said = field.members({"subject", "decision", "collected_at"}, _EVENT)
    kind = said["decision"].word(EventKind)
    if "processing" not in said and kind not in _ABOUT_ALL:
        field.refuse(f"missing key processing: a decision {kind.value!r} is specific to one")
    processing, version = _target(said, register)
    evidence = _evidence(said["evidence"]) if "evidence" in said else {}
    capacity = _capacity(said["capacity"], kind) if "capacity" in said else {}
    if kind is EventKind.AGE_STATED and "age_band" not in capacity:
        field.refuse("missing key capacity.age_band: an age is stated by it")
    event = ConsentEvent(
        id=UUID(int=order),
        kind=kind,
        processing=processing,
        collected_at=said["collected_at"].instant(),
        order=order,
        version=version,
        elements=_named_elements(said["elements"]) if "elements" in said else None,
        collection=_collection(kind, evidence, capacity),
        territory=_territory(said["territory"]) if "territory" in said else FRANCE,
    )
    return GoldenEvent(said["subject"].text(), event, evidence, capacity)


def _target(said: Mapping[str, Field], register: Mapping[str, Processing]) -> tuple[str | None, int | None]:
    """The processing and version of this file that an event is about; None and None if it is about all processings."""
    if "processing" not in said:
        if "version" in said:
            said["version"].refuse("a version of which processing? name it, or leave both out")
        return None, None
    name = said["processing"].text()
    version = said["version"].whole() if "version" in said else 1
    if name not in register:
        said["processing"].refuse(f"this file registers no processing {name!r}")
    if register[name].version(version) is None:
        said.get("version", said["processing"]).refuse(f"this file registers no version {version} of {name!r}")
    return name, version


def _territory(field: Field) -> str:
    code = field.text()
    if code not in TERRITORIES:
        field.refuse(f"a consent is collected in one of: {', '.join(TIME_ZONES)}")
    return code


def _named_elements(field: Field) -> frozenset[Element]:
    elements = read_elements(field)
    if not elements:
        field.refuse("an empty list covers nothing; leave the key out to cover all that the version declares")
    return elements


def _evidence(field: Field) -> dict[str, str | bool]:
    said = field.members(set(), _FLAGS | _TEXTS | {"default_state", "positive_act"})
    found: dict[str, str | bool] = {}
    for name, value in said.items():
        if name == "default_state":
            found[name] = value.word(DefaultState)
        elif name == "positive_act":
            found[name] = value.word(PositiveAct)
        else:
            found[name] = value.flag() if name in _FLAGS else value.text()
    return found


def _capacity(field: Field, kind: EventKind) -> dict[str, str]:
    """Who decided and how old they are; the last three members belong to an age that is stated by itself."""
    words: dict[str, type[StrEnum]] = {"age_band": AgeBand, "given_by": GivenBy}
    if kind is EventKind.AGE_STATED:
        words |= {"stated_by": StatedBy, "checked_how": CheckedHow}
    said = field.members(set(), {*words, *(["under_15_until"] if kind is EventKind.AGE_STATED else [])})
    found: dict[str, str] = {
        name: value.day().isoformat() if name == "under_15_until" else value.word(words[name])
        for name, value in said.items()
    }
    if "under_15_until" in found and found.get("age_band") != AgeBand.UNDER_15:
        said["under_15_until"].refuse("until when somebody is under 15 is said with age_band under_15")
    return found


def _collection(kind: EventKind, evidence: Mapping[str, str | bool], capacity: Mapping[str, str]) -> Collection:
    lawful = Collection()
    age_band, until = capacity.get("age_band"), capacity.get("under_15_until")
    given_by = GivenBy(str(capacity.get("given_by", lawful.given_by)))
    stated_by = StatedBy(str(capacity.get("stated_by", StatedBy.SELF))) if kind is EventKind.AGE_STATED else None
    checked_how = CheckedHow(str(capacity.get("checked_how", CheckedHow.NOT_CHECKED)))
    text_known = bool(evidence.get("text_known", lawful.text_known))
    text = evidence.get("presented_text_sha256") if text_known else None
    return Collection(
        positive_act=PositiveAct(str(evidence.get("positive_act", lawful.positive_act))),
        default_state=DefaultState(str(evidence.get("default_state", lawful.default_state))),
        separate_from_terms=bool(evidence.get("separate_from_terms", lawful.separate_from_terms)),
        conditional=bool(evidence.get("conditional", lawful.conditional)),
        text_known=text_known,
        age_band=AgeBand(str(age_band)) if age_band is not None else None,
        given_by=given_by,
        text=None if text is None else str(text).lower(),
        age_weight=age_weight(stated_by, checked_how, given_by),
        under_15_until=date.fromisoformat(until) if until is not None else None,
    )


def _request(field: Field) -> GoldenRequest:
    said = field.members({"subject", "action", "at"}, _REQUEST)
    subject = said["subject"].text()
    default = DecisionRequest(ref_of(subject), said["action"].text())
    participants = _participants(said["participants"]) if "participants" in said else None
    request = DecisionRequest(
        subject=default.subject,
        processing=default.processing,
        elements=read_elements(said["elements"]) if "elements" in said else default.elements,
        automated=said["automated"].flag() if "automated" in said else default.automated,
        channel=said["channel"].word(Channel) if "channel" in said else default.channel,
        private=said["private"].flag() if "private" in said else default.private,
        territory=said["territory"].text() if "territory" in said else default.territory,
        participants=None
        if participants is None
        else tuple(Participant(ref_of(name), local) for name, local in participants),
    )
    ids = tuple(name for name, _ in participants or ())
    return GoldenRequest(subject, ids, request, said["at"].instant())


def _participants(field: Field) -> list[tuple[str, bool]]:
    every = [each.members({"id", "local"}) for each in field.items()]
    return [(said["id"].text(), said["local"].flag()) for said in every]


def _expectation(field: Field) -> Expectation:
    said = field.members(set(), _EXPECT)
    if not said:
        field.refuse("nothing is expected: a case that compares nothing proves nothing")
    values: dict[str, object] = {}
    for name, value in said.items():
        if name == "decision":
            values[name] = value.flag()
        elif name == "reason":
            values[name] = value.word(Reason)
        elif value.is_null:
            values[name] = None
        else:
            values[name] = value.word(Article) if name == "article" else value.instant()
    return Expectation(values)
