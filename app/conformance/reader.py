"""Reads a golden file. The defaults are those of its format: version 1, evidence lawful, capacity self, and so on.

Every problem is an `UnreadableFileError` that names file, line and key: a case that is misread proves nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final
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
class GoldenCase:
    """One golden case; `line` is where it begins in its file. Events stand in ledger order.

    `request`: the question; `at`: the instant at which it is judged.
    `expect`: any of `decision`, `reason`, `article` and `valid_until`. Only what the file names is compared; None means
    that the decision must not carry it. `shared`: the ids that are mailboxes of several people.
    """

    name: str
    line: int
    events: tuple[GoldenEvent, ...]
    request: DecisionRequest
    at: datetime
    expect: Mapping[str, object]
    shared: frozenset[str]

    @property
    def consents(self) -> Consents:
        """The events by subject, as the core takes them."""
        by_subject: dict[bytes, list[ConsentEvent]] = {}
        for event in self.events:
            by_subject.setdefault(ref_of(event.subject_id), []).append(event.event)
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
    parts = field.members(set(), {"counting", "ceiling"})
    default = PeriodPolicy()
    return PeriodPolicy(
        counting=parts["counting"].word(Counting) if "counting" in parts else default.counting,
        ceiling=read_period(parts["ceiling"]) if "ceiling" in parts else default.ceiling,
    )


def _case(field: Field, register: Mapping[str, Processing]) -> GoldenCase:
    parts = field.members({"name", "request", "expect"}, {"events", "shared"})
    events = parts["events"].items() if "events" in parts else []
    request, at = _request(parts["request"])
    return GoldenCase(
        name=parts["name"].text(),
        line=field.line,
        events=tuple(_event(each, order, register) for order, each in enumerate(events, start=1)),
        request=request,
        at=at,
        expect=_expectation(parts["expect"]),
        shared=frozenset(each.text() for each in parts["shared"].items()) if "shared" in parts else frozenset(),
    )


def _event(field: Field, order: int, register: Mapping[str, Processing]) -> GoldenEvent:
    parts = field.members({"subject", "decision", "collected_at"}, _EVENT)
    kind = parts["decision"].word(EventKind)
    if "processing" not in parts and kind not in _ABOUT_ALL:
        field.refuse(f"missing key processing: a decision {kind.value!r} is specific to one")
    processing, version = _target(parts, register)
    evidence = _evidence(parts["evidence"]) if "evidence" in parts else {}
    capacity = _capacity(parts["capacity"], kind) if "capacity" in parts else {}
    if kind is EventKind.AGE_STATED and "age_band" not in capacity:
        field.refuse("missing key capacity.age_band: an age is stated by it")
    event = ConsentEvent(
        id=UUID(int=order),
        kind=kind,
        processing=processing,
        collected_at=parts["collected_at"].instant(),
        order=order,
        version=version,
        elements=_named_elements(parts["elements"]) if "elements" in parts else None,
        collection=_collection(kind, evidence, capacity),
        territory=_territory(parts["territory"]) if "territory" in parts else FRANCE,
    )
    return GoldenEvent(parts["subject"].text(), event, evidence, capacity)


def _target(parts: Mapping[str, Field], register: Mapping[str, Processing]) -> tuple[str | None, int | None]:
    """The processing and version of this file that an event is about; None and None if it is about all processings."""
    if "processing" not in parts:
        if "version" in parts:
            parts["version"].refuse("a version of which processing? name it, or leave both out")
        return None, None
    name = parts["processing"].text()
    version = parts["version"].whole() if "version" in parts else 1
    if name not in register:
        parts["processing"].refuse(f"this file registers no processing {name!r}")
    if register[name].version(version) is None:
        parts.get("version", parts["processing"]).refuse(f"this file registers no version {version} of {name!r}")
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
    parts = field.members(set(), _FLAGS | _TEXTS | {"default_state", "positive_act"})
    evidence: dict[str, str | bool] = {}
    for name, value in parts.items():
        if name == "default_state":
            evidence[name] = value.word(DefaultState)
        elif name == "positive_act":
            evidence[name] = value.word(PositiveAct)
        else:
            evidence[name] = value.flag() if name in _FLAGS else value.text()
    return evidence


def _capacity(field: Field, kind: EventKind) -> dict[str, str]:
    """Who decided and how old they are; the last three members belong to an age that is stated by itself."""
    words: dict[str, type[StrEnum]] = {"age_band": AgeBand, "given_by": GivenBy}
    if kind is EventKind.AGE_STATED:
        words |= {"stated_by": StatedBy, "checked_how": CheckedHow}
    parts = field.members(set(), {*words, *(["under_15_until"] if kind is EventKind.AGE_STATED else [])})
    capacity: dict[str, str] = {
        name: value.day().isoformat() if name == "under_15_until" else value.word(words[name])
        for name, value in parts.items()
    }
    if "under_15_until" in capacity and capacity.get("age_band") != AgeBand.UNDER_15:
        parts["under_15_until"].refuse("until when somebody is under 15 is said with age_band under_15")
    return capacity


_COLLECTED: Final = _FLAGS | {"positive_act", "default_state", "age_band", "given_by"}
"""What the core takes of a decision's evidence and capacity as the file says it."""


def _collection(kind: EventKind, evidence: Mapping[str, str | bool], capacity: Mapping[str, str]) -> Collection:
    said: dict[str, Any] = {**evidence, **capacity}
    lawful, until = Collection(), said.get("under_15_until")
    stated_by = said.get("stated_by", StatedBy.SELF) if kind is EventKind.AGE_STATED else None
    checked_how, given_by = said.get("checked_how", CheckedHow.NOT_CHECKED), said.get("given_by", lawful.given_by)
    text = said.get("presented_text_sha256") if said.get("text_known", lawful.text_known) else None
    return Collection(
        text=None if text is None else text.lower(),
        age_weight=age_weight(stated_by, checked_how, given_by),
        under_15_until=date.fromisoformat(until) if until is not None else None,
        **{name: value for name, value in said.items() if name in _COLLECTED},
    )


def _request(field: Field) -> tuple[DecisionRequest, datetime]:
    parts = field.members({"subject", "action", "at"}, _REQUEST.keys())
    subject, processing = ref_of(parts["subject"].text()), parts["action"].text()
    facts: dict[str, Any] = {name: read(parts[name]) for name, read in _REQUEST.items() if name in parts}
    return DecisionRequest(subject, processing, **facts), parts["at"].instant()


def _participants(field: Field) -> tuple[Participant, ...]:
    every = [each.members({"id", "local"}) for each in field.items()]
    return tuple(Participant(ref_of(parts["id"].text()), parts["local"].flag()) for parts in every)


_REQUEST: Final[Mapping[str, Callable[[Field], object]]] = {
    "participants": _participants,
    "elements": read_elements,
    "automated": Field.flag,
    "channel": partial(Field.word, words=Channel),
    "private": Field.flag,
    "territory": Field.text,
}
"""How each member is read that a request may leave out."""


def _expectation(field: Field) -> dict[str, object]:
    parts = field.members(set(), _EXPECT)
    if not parts:
        field.refuse("nothing is expected: a case that compares nothing proves nothing")
    values: dict[str, object] = {}
    for name, value in parts.items():
        if name == "decision":
            values[name] = value.flag()
        elif name == "reason":
            values[name] = value.word(Reason)
        elif value.is_null:
            values[name] = None
        else:
            values[name] = value.word(Article) if name == "article" else value.instant()
    return values
