"""Segments of the decision log: what they hold, how they are made, merged and read. Format: docs/decision-log.md.

A segment has the decisions of one hour (UTC), or some of them, sorted by person. Its data are blocks of at most
`BLOCK_ROWS` decisions, each compressed separately, so that the decisions about one person are read without the others.
Its directory says where each block lies and holds what most decisions share. Nothing here reads or writes a database.
"""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from struct import Struct as Packed
from struct import calcsize, pack, unpack
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import zstandard
from msgspec import Struct
from msgspec.structs import asdict, astuple

BLOCK_ROWS: Final = 1_024
REF_BYTES: Final = 16
"""The length of the references of persons and of correspondences, in bytes."""
HOUR: Final = timedelta(hours=1)
NOBODY: Final = bytes(REF_BYTES)
"""The reference used where nothing is recorded of the person, or nobody was looked up."""
MICROSECONDS: Final = 1_000_000
_HOUR_MICROSECONDS: Final = 3_600 * MICROSECONDS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNKNOWN_PROCESSING: Final = "unknown_processing"
_SHAPES_AT_MOST: Final = 10_000


class Shape(Struct, frozen=True, array_like=True, gc=False):
    """What many decisions share: the question, the answer, and the facts on which the answer was made.

    `elements` None: the question named none. `version` is the processing's version then in force. `versions` and
    `changes` are the numbers of its versions that were known, and of its changes of status and invalidations, in order
    of their instants. `policy` says how periods were counted (`P1Y/start_of_day`). `rules` is a digest of the rules,
    `build` the version of Sceau.
    """

    processing: str
    elements: tuple[str, ...] | None
    channel: str
    territory: str
    permitted: bool
    reason: str
    rule: str
    law_version: str | None
    automated: bool
    private: bool
    version: int | None
    versions: int
    changes: int
    party_mode: str | None
    policy: str
    rules: str
    build: str


@lru_cache(_SHAPES_AT_MOST)
def one_of_each(shape: Shape) -> Shape:
    """Return the one object of all equal shapes, or of most: decisions are then grouped without comparing them."""
    return shape


class LogFacts(Struct, frozen=True, gc=False):
    """A shape with what differs from person to person; it is the same for every correspondence.

    `known` is the ledger order of the subject's last known event, 0 where there was none. `participants` is the number
    of other parties that the question named; None where it did not name them, or they did not matter. There is no
    digest of them: it would lead from an id to the row, whatever else is sealed. `relied` says who was looked at
    besides the subject, sealed (`app.operations.decisions.judging.DecidedBy`).
    """

    shape: Shape
    consent: UUID | None
    valid_until: datetime | None
    known: int
    participants: int | None
    relied: bytes | None

    def by_name(self) -> dict[str, Any]:
        """Return the facts by name, the shape's members first."""
        members = {**asdict(self.shape), **asdict(self)}
        del members["shape"]
        return members


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One decision as logged: its id, when it was taken, who asked, the references of person and correspondence.

    `person` is `NOBODY` where nothing is recorded of the person, or nobody was looked up.
    """

    id: UUID
    at: datetime
    caller: UUID
    person: bytes
    correspondence: bytes
    facts: LogFacts

    @property
    def subject_ref(self) -> bytes:
        """The person's reference as shown; in place of `NOBODY`, one for this decision only, which leads nowhere."""
        return self.person if self.person != NOBODY else sha256(b"person\n" + self.id.bytes).digest()[:REF_BYTES]

    @property
    def correspondence_ref(self) -> bytes:
        """The correspondence's reference as shown; in place of `NOBODY`, one for this decision only."""
        if self.person != NOBODY:
            return self.correspondence
        return sha256(b"correspondence\n" + self.id.bytes).digest()[:REF_BYTES]


AnswerCounts = Sequence[tuple[str, bool, str, int]]
"""How often each answer was given: processing ("" for an unknown one), permitted, reason, number."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is stored."""

    id: UUID
    from_at: datetime
    to_at: datetime
    rows: int
    counts: AnswerCounts
    directory: bytes
    data: bytes

    @property
    def day(self) -> date:
        """The day (UTC) to which it belongs."""
        return self.from_at.date()

    @property
    def counts_json(self) -> str:
        """Its counts as JSON, in the form in which the database writes them."""
        return json.dumps(self.counts, ensure_ascii=False)

    @property
    def columns(self) -> dict[str, object]:
        """The values of its columns, by name; its counts are JSON."""
        stored = ("id", "day", "from_at", "to_at", "rows", "directory", "data", "sha256")
        return {"counts": self.counts_json, **{name: getattr(self, name) for name in stored}}

    @property
    def sha256(self) -> bytes:
        """The digest of its whole content, to which the proof log commits."""
        ends = f"{microseconds_of(self.from_at)} {microseconds_of(self.to_at)} {self.rows} {self.counts_json}"
        return sha256(ends.encode() + self.directory + self.data).digest()


# --- on the wire: MessagePack arrays, in the order of these members -------------------------------------------------


class BlockPlace(Struct, frozen=True, array_like=True, gc=False):
    """Where a block lies, after the previous one: the reference of its first person, and its size in bytes."""

    first: bytes
    size: int


class Directory(Struct, array_like=True):
    """The directory of a segment. `begins`: microseconds since 1970, from which its times are counted.

    `shapes`: each with the id of the caller who asked.
    """

    begins: int
    shapes: list[tuple[bytes, Shape]]
    blocks: list[BlockPlace]

    def span(self, ref: bytes | None) -> tuple[int, list[BlockPlace]]:
        """Return the blocks that may have decisions about a person (None: everyone), after the offset of the first one.

        `NOBODY` has none: decisions logged without a reference are not one person's.
        """
        offset = 0
        places: list[BlockPlace] = []
        for place, block in enumerate(self.blocks if ref != NOBODY else ()):
            is_behind = ref is not None and block.first > ref
            following = self.blocks[place + 1].first if place + 1 < len(self.blocks) else None
            is_before = ref is not None and following is not None and following < ref
            if is_before and not places:
                offset += block.size
            elif not is_before and not is_behind:
                places.append(block)
        return offset, places


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Block(Struct, array_like=True):
    """The columns of some rows, sorted by person: five about the rows, the others about their cases.

    `runs`: how many rows each person has. `tails`: the last ten bytes of each id; the first six are its time in
    milliseconds (RFC 9562, 5.7). `correspondences` has one for each row with a person. `case`: for each row, the place
    of its case; `end`: for each case, the place of its `valid_until` in `ends`.

    `people`, `times` and `case` are streams of bytes (`_streams`), of numbers of 16, 4 and 2 bytes.
    """

    people: bytes
    runs: list[_Count]
    times: bytes
    tails: bytes
    correspondences: bytes
    case: bytes
    shape: list[_Count]
    consents: bytes
    ends: list[int | None]
    end: list[_Count]
    known: list[int]
    participants: list[int | None]
    relied: list[bytes | None]


_NO_CONSENT: Final = bytes(16)
_TAIL: Final = 10
_TIME: Final = 4
_PLACE: Final = 2
_ROW: Final = Packed(f">{REF_BYTES}sQ{_TAIL}s{REF_BYTES}sI")
"""A row while it is sorted: person, microseconds since 1970, tail of the id, correspondence, number of the case."""
_TIME_IN_ROW: Final = itemgetter(slice(REF_BYTES, REF_BYTES + calcsize("Q")))
_encode = msgspec.msgpack.Encoder().encode
_read_directory = msgspec.msgpack.Decoder(Directory).decode
_read_columns = msgspec.msgpack.Decoder(list[bytes]).decode


class Collector:
    """Collects decisions of one hour, and makes one segment of them."""

    def __init__(self) -> None:
        """Start empty."""
        self._cases: list[tuple[int, LogFacts]] = []  # by number; so what is known by its identity is kept
        self._numbers: dict[int, dict[int, int]] = {}  # by caller and identity of the facts
        self._shapes: dict[tuple[int, int], int] = {}  # by caller and identity of the shape
        self._directory: list[tuple[bytes, Shape]] = []
        self._same: dict[LogFacts, LogFacts] = {}
        self._rows: list[bytes] = []

    def case(self, caller: int, facts: LogFacts) -> int:
        """Return the number under which these facts (this object) of a caller's decisions are kept here.

        Facts are not compared: those of a remembered decision are one object, and a comparison takes longer than all
        else that is done with them.
        """
        numbers = self._numbers.get(caller)
        if numbers is None:
            numbers = self._numbers[caller] = {}
        number = numbers.get(id(facts))
        if number is None:
            number = numbers[id(facts)] = len(self._cases)
            self._cases.append((caller, facts))
        return number

    def add(self, at: int, identifier: bytes, ref: bytes, correspondence: bytes, case: int) -> None:
        """Add one decision: its time (microseconds since 1970), its id, the two references, and its case's number.

        `at` must fall in the millisecond with which the id begins.
        """
        self._rows.append(_ROW.pack(ref, at, identifier[-_TAIL:], correspondence, case))

    def put(self, decision: LoggedDecision) -> None:
        """Add a decision that was read from a segment."""
        case = self.case(decision.caller.int, self._same.setdefault(decision.facts, decision.facts))
        at = microseconds_of(decision.at)
        self.add(at, decision.id.bytes, decision.person, decision.correspondence, case)

    def sealed(self, identifier: UUID) -> Segment:
        """Return the segment of all decisions that were added."""
        return next(filter(None, self.sealing(identifier)))

    def sealing(self, identifier: UUID, block_rows: int = BLOCK_ROWS) -> Iterator[Segment | None]:
        """Make the segment of all decisions that were added, a block at a time: None before each block, then it."""
        rows = sorted(self._rows)
        times = list(map(_TIME_IN_ROW, rows))
        begins, ends = (int.from_bytes(most(times)) for most in (min, max))
        counted: Counter[int] = Counter()
        compress = zstandard.ZstdCompressor().compress
        places: list[BlockPlace] = []
        blocks: list[bytes] = []
        for place in range(0, len(rows), block_rows):
            yield None
            part = rows[place : place + block_rows]
            columns = tuple(zip(*_ROW.iter_unpack(b"".join(part)), strict=True))
            counted.update(columns[4])
            blocks.append(_encode([compress(_encode(each)) for each in astuple(self._block(columns, begins))]))
            places.append(BlockPlace(part[0][:REF_BYTES], len(blocks[-1])))
        yield Segment(
            identifier,
            instant_of(begins),
            instant_of(ends),
            len(rows),
            self._counts(counted),
            compress(_encode(Directory(begins, self._directory, places))),
            b"".join(blocks),
        )

    def _shape(self, caller: int, shape: Shape) -> int:
        number = self._shapes.setdefault((caller, id(shape)), len(self._directory))
        if number == len(self._directory):
            self._directory.append((caller.to_bytes(16), shape))
        return number

    def _counts(self, counted: Mapping[int, int]) -> AnswerCounts:
        answers: Counter[tuple[str, bool, str]] = Counter()
        for case, number in counted.items():
            shape = self._cases[case][1].shape
            processing = "" if shape.reason == _UNKNOWN_PROCESSING else shape.processing
            answers[processing, shape.permitted, shape.reason] += number
        return [(*answer, number) for answer, number in sorted(answers.items())]

    def _block(self, columns: Sequence[tuple[Any, ...]], begins: int) -> _Block:
        # Works on whole columns: a loop over rows takes four times as long, during which no decision is answered.
        people, times, tails, correspondences, numbers = columns
        runs = Counter(people)  # in their order, which is that of the rows
        own = {number: place for place, number in enumerate(dict.fromkeys(numbers))}
        cases = [self._cases[number] for number in own]
        until = [None if facts.valid_until is None else microseconds_of(facts.valid_until) for _, facts in cases]
        ends = {end: place for place, end in enumerate(dict.fromkeys(until))}
        return _Block(
            people=_streams(b"".join(runs), REF_BYTES),
            runs=list(runs.values()),
            times=_streams(pack(f">{len(times)}I", *(time - begins for time in times)), _TIME),
            tails=b"".join(tails),
            correspondences=b"".join(correspondences[runs.get(NOBODY, 0) :]),  # `NOBODY` comes first
            case=_streams(pack(f">{len(numbers)}H", *(own[number] for number in numbers)), _PLACE),
            shape=[self._shape(caller, facts.shape) for caller, facts in cases],
            consents=b"".join(_NO_CONSENT if facts.consent is None else facts.consent.bytes for _, facts in cases),
            ends=list(ends),
            end=[ends[each] for each in until],
            known=[facts.known for _, facts in cases],
            participants=[facts.participants for _, facts in cases],
            relied=[facts.relied for _, facts in cases],
        )


def _streams(numbers: bytes, size: int) -> bytes:
    """Return numbers of `size` bytes as streams: the first byte of each, then the second of each, and so on.

    A compressor then sees what the first bytes have in common (BYTE_STREAM_SPLIT of Parquet). With the count of the
    numbers as `size`, this turns streams back into numbers.
    """
    return b"".join(numbers[byte::size] for byte in range(size))


def directory_of(content: bytes) -> Directory:
    """Parse a directory.

    Raises:
        ValueError: the content is not a directory.
        zstandard.ZstdError: the content is not a directory.

    """
    return _read_directory(zstandard.ZstdDecompressor().decompress(content))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions are read; None asks for all. `since` is included, `until` is not.

    `consents`: only decisions that rest on one of these events.
    """

    since: datetime | None = None
    until: datetime | None = None
    ref: bytes | None = None
    processings: Container[str] | None = None
    permitted: bool | None = None
    reason: str | None = None
    identifier: UUID | None = None
    consents: Container[UUID] | None = None

    def is_among(self, counts: AnswerCounts) -> bool:
        """Return whether a segment with these counts may have such a decision."""
        return any(
            (self.processings is None or not processing or processing in self.processings)
            and self.permitted in {None, permitted}
            and self.reason in {None, reason}
            for processing, permitted, reason, _ in counts
        )

    def has(self, facts: LogFacts) -> bool:
        """Return whether a decision with these facts is wanted, if its time, id and person are."""
        return (
            (self.processings is None or facts.shape.processing in self.processings)
            and self.permitted in {None, facts.shape.permitted}
            and self.reason in {None, facts.shape.reason}
            and (self.consents is None or facts.consent in self.consents)
        )


ALL: Final = Wanted()


def facts_in(directory: Directory, places: Iterable[BlockPlace], content: bytes) -> Iterator[tuple[LogFacts, int]]:
    """Yield the facts of the decisions in some blocks, each with the number of its decisions there."""
    for block in _blocks(places, content):
        number = Counter(_numbers(block.case, "H"))
        for place, (_, facts) in _facts(directory, block):
            yield facts, number[place]


def decisions_in(
    directory: Directory, places: Iterable[BlockPlace], content: bytes, wanted: Wanted = ALL
) -> Iterator[LoggedDecision]:
    """Yield the wanted decisions of some blocks, by person and time.

    Args:
        directory: the directory of their segment.
        places: the places of the blocks, from the directory.
        content: the bytes of the blocks, one after the other.
        wanted: which decisions.

    Raises:
        ValueError: the content is not what such a segment holds.
        IndexError: likewise, a place is named that it does not have.
        OverflowError: likewise, an instant is beyond the year 9999.
        zstandard.ZstdError: likewise.

    """
    since = None if wanted.since is None else microseconds_of(wanted.since)
    until = None if wanted.until is None else microseconds_of(wanted.until)
    tail = None if wanted.identifier is None else wanted.identifier.bytes[-_TAIL:]
    for block in _blocks(places, content):
        if tail is not None and tail not in block.tails:
            continue
        times, case = _numbers(block.times, "I"), _numbers(block.case, "H")
        if case and max(case) >= len(block.shape):
            raise ValueError("a row names a case that its block lacks")
        rows = list(_rows(block, wanted.ref))
        # Of one person, as in an export that reads a block of each segment, a few cases are worth being made.
        case_places = None if wanted.ref is None else sorted({case[place] for _, those, _ in rows for place in those})
        facts = {place: each for place, each in _facts(directory, block, case_places) if wanted.has(each[1])}
        for ref, those, about in rows if facts else ():
            for place in those:
                at = directory.begins + times[place]
                if case[place] not in facts or (since is not None and at < since):
                    continue
                if until is not None and at >= until:
                    continue
                own = block.tails[place * _TAIL : (place + 1) * _TAIL]
                identifier = UUID(bytes=(at // 1_000).to_bytes(6) + own)
                if wanted.identifier not in {None, identifier}:
                    continue
                first = (about + place - those.start) * REF_BYTES
                correspondence = block.correspondences[first : first + REF_BYTES] if ref != NOBODY else NOBODY
                caller, log_facts = facts[case[place]]
                yield LoggedDecision(identifier, instant_of(at), caller, ref, correspondence, log_facts)


def _rows(block: _Block, wanted: bytes | None) -> Iterator[tuple[bytes, range, int]]:
    """Yield each person of a block (None: all), the places of their rows, and the number of others' rows before them.

    Rows of nobody are not counted: they have no correspondence.
    """
    row = about = 0
    for person, number in enumerate(block.runs):
        ref = block.people[person * REF_BYTES : (person + 1) * REF_BYTES]
        if wanted is None or wanted == ref:
            yield ref, range(row, row + number), about
        row += number
        about += number if ref != NOBODY else 0


def _blocks(places: Iterable[BlockPlace], content: bytes) -> Iterator[_Block]:
    offset = 0
    decompress = zstandard.ZstdDecompressor().decompress
    for place in places:
        columns = _read_columns(content[offset : offset + place.size])
        block = msgspec.convert([msgspec.msgpack.decode(decompress(each)) for each in columns], _Block)
        rows, cases = sum(block.runs), len(block.shape)
        block.people, block.times = _streams(block.people, len(block.runs)), _streams(block.times, rows)
        block.case = _streams(block.case, rows)
        about = rows - (block.runs[0] if block.people.startswith(NOBODY) else 0)
        lengths = [len(each) for each in astuple(block)]
        ends, people = len(block.ends), len(block.runs)
        fitting = [people * REF_BYTES, people, rows * _TIME, rows * _TAIL, about * REF_BYTES, rows * _PLACE]
        if lengths != [*fitting, cases, cases * REF_BYTES, ends, *[cases] * 4]:
            raise ValueError("the columns of a block do not fit together")
        yield block
        offset += place.size


def _numbers(numbers: bytes, form: str) -> Sequence[int]:
    """Return the numbers of a `struct` format, the highest byte first."""
    return unpack(f">{len(numbers) // calcsize(form)}{form}", numbers)


def _facts(
    directory: Directory, block: _Block, case_places: Iterable[int] | None = None
) -> Iterator[tuple[int, tuple[UUID, LogFacts]]]:
    """Yield the places of some cases of a block (None: of all), each with its caller and facts."""
    for place in range(len(block.shape)) if case_places is None else case_places:
        caller, shape = directory.shapes[block.shape[place]]
        consent = block.consents[place * REF_BYTES : (place + 1) * REF_BYTES]
        until = block.ends[block.end[place]]
        facts = LogFacts(
            one_of_each(shape),
            None if consent == _NO_CONSENT else UUID(bytes=consent),
            None if until is None else instant_of(until),
            *(block.known[place], block.participants[place], block.relied[place]),
        )
        yield place, (UUID(bytes=caller), facts)


def microseconds_of(at: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def instant_of(microseconds: int) -> datetime:
    """Return the instant (UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


def hour_begun(at: datetime) -> datetime:
    """Return when the hour (UTC) of an instant began."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hour_of(microseconds: int) -> int:
    """Return the hour (UTC) of an instant, counted from 1970: no segment spans two."""
    return microseconds // _HOUR_MICROSECONDS


# Decisions as they leave the deployment: the columns of docs/decision-log.md, a line of JSON each. An auditor gets a
# merged segment as such lines, in which people and correspondences have names that are valid in this segment only. The
# proof log commits to the lines, so a decision that was changed, removed or added is detected without the database.

OWN: Final = ("id", "at", "caller", "subject_ref", "correspondence_ref", "decision")
"""The columns outside `LogFacts`. The other people who were looked at are sealed, and left out."""
_as_json = msgspec.json.Encoder().encode


def row_of(decision: LoggedDecision, named: Callable[[bytes], str]) -> Mapping[str, Any]:
    """Return the columns of a decision. `named` gives the name of a reference."""
    facts = decision.facts.by_name()
    del facts["relied"]
    refs = (named(decision.subject_ref), named(decision.correspondence_ref))
    own = (str(decision.id), decision.at, str(decision.caller), *refs, facts.pop("permitted"))
    facts["consent"] = None if decision.facts.consent is None else str(decision.facts.consent)
    return {**dict(zip(OWN, own, strict=True)), **facts}


def line_of(row: Mapping[str, Any]) -> bytes:
    """Return a line of JSON; instants are in UTC, as in RFC 3339."""
    return _as_json(row) + b"\n"


def name_in(segment: UUID, ref: bytes) -> str:
    """Return the name of a reference in the lines of a segment; the reference is random, so it cannot be guessed."""
    return sha256(segment.bytes + ref).hexdigest()[: 2 * REF_BYTES]


def open_lines(segment: UUID, directory: bytes, data: bytes) -> Iterator[tuple[LoggedDecision, bytes]]:
    """Yield the decisions of a segment, each with its line."""
    parsed = directory_of(directory)
    for decision in decisions_in(parsed, parsed.blocks, data):
        yield decision, line_of(row_of(decision, lambda ref: name_in(segment, ref)))


def open_sha256(segment: Segment) -> str:
    """Return the SHA-256 (hex) of a segment's lines, to which the proof log commits for readers without a database."""
    digest = sha256()
    for _, line in open_lines(segment.id, segment.directory, segment.data):
        digest.update(line)
    return digest.hexdigest()
