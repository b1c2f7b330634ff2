"""Segments of the decision log: what was put in comes out, merged or not, and of one person without the others."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from app.audit.log_reading import UNREADABLE, LogMovesError, Resting, search
from app.audit.segments import (
    ALL,
    BLOCK_ROWS,
    NOBODY,
    Collector,
    LoggedDecision,
    Wanted,
    decisions_in,
    directory_of,
    facts_in,
    microseconds_of,
)
from app.audit.store import decision_segment
from app.core.register import Struck
from tests.support.databases import new_database
from tests.support.decision_rows import REFUSED, but, facts_of, insert, logged, segment_of
from tests.support.pools import in_a_session

HOUR = datetime(2026, 11, 24, 12, tzinfo=UTC)
PEOPLE = [bytes([number]) * 16 for number in (1, 2, 3, 200, 255)]
CONSENTS = [UUID(int=number) for number in (5, 6)]
ids = st.builds(UUID, bytes=st.binary(min_size=16, max_size=16))
facts = st.builds(
    facts_of,
    processing=st.sampled_from(["ads", "stats", "(no id)"]),
    elements=st.none() | st.lists(st.sampled_from(["content", "attachments"]), unique=True).map(tuple),
    channel=st.sampled_from(["online", "text_message"]),
    territory=st.sampled_from(["FR", "NC"]),
    permitted=st.booleans(),
    reason=st.sampled_from(["consent_in_force", "no_consent", "unknown_processing"]),
    rule=st.sampled_from(["11", "19"]),
    law_version=st.none() | st.just("2025-07-02"),
    consent=st.none() | st.sampled_from(CONSENTS),
    valid_until=st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    automated=st.booleans(),
    private=st.booleans(),
    version=st.none() | st.integers(1, 9),
    versions=st.integers(0, 9),
    changes=st.integers(0, 9),
    party_mode=st.none() | st.just("all_parties"),
    known=st.integers(0, 70_000),
    participants=st.none() | st.integers(0, 5),
    relied=st.none() | st.binary(max_size=40),
    policy=st.just("P1Y/start_of_day"),
    rules=st.sampled_from(["rules", "other"]),
    build=st.just("0.1.0"),
)


@st.composite
def decisions(draw: Any) -> LoggedDecision:
    """A decision of one hour, about one of few people."""
    at = HOUR + timedelta(microseconds=draw(st.integers(0, 3_599_999_999)))
    made = logged(at, draw(facts), draw(st.sampled_from(PEOPLE)))
    tail = made.id.bytes[:6] + draw(st.binary(min_size=10, max_size=10))
    made = replace(made, id=UUID(bytes=tail))
    return replace(made, caller=draw(ids), correspondence=draw(st.binary(min_size=16, max_size=16)))


def several(most: int) -> st.SearchStrategy[list[LoggedDecision]]:
    """Some decisions, each with an id of its own."""
    return st.lists(decisions(), min_size=1, max_size=most, unique_by=lambda each: each.id)


def _apart(parts):
    """The same parts, without what an earlier one has."""
    return [
        [each for each in part if not any(each.id == its.id for before in parts[:place] for its in before)]
        for place, part in enumerate(parts)
    ]


def _by_time(found):
    return sorted(found, key=lambda each: each.id)


def _all(segment, wanted=ALL):
    directory = directory_of(segment.directory)
    offset, places = directory.span(wanted.ref)
    return list(decisions_in(directory, places, segment.data[offset:], wanted))


@given(several(60))
def test_what_was_put_in_comes_out(put):
    """Every column of every decision, and the counts are those of the decisions."""
    segment = segment_of(put)
    assert _by_time(_all(segment)) == _by_time(put)
    assert (segment.rows, segment.from_at, segment.to_at) == (len(put), *_ends(put))
    shapes = [each.facts.shape for each in put]
    expected = Counter(("" if it.reason == "unknown_processing" else it.processing, it.permitted) for it in shapes)
    counted = Counter[tuple[str, bool]]()
    for processing, permitted, _, number in segment.counts:
        counted[processing, permitted] += number
    assert counted == expected


def _ends(put):
    times = [each.at for each in put]
    return min(times), max(times)


@given(st.lists(several(20), min_size=1, max_size=5))
def test_merging_keeps_every_decision(parts):
    """A segment that is made of others has what they had, and so has one that is made of it again."""
    parts = list(filter(None, _apart(parts)))
    merged = segment_of(each for part in parts for each in _all(segment_of(part)))
    assert _by_time(_all(merged)) == _by_time(each for part in parts for each in part)
    assert _by_time(_all(segment_of(_all(merged)))) == _by_time(_all(merged))


@given(several(60), st.sampled_from([*PEOPLE, b"\6" * 16]), facts)
def test_what_is_wanted_is_what_a_look_at_each_would_find(put, ref, like):
    """By person, answer, processing, reason, id and time: the same as by looking at every decision."""
    segment, middle = segment_of(put), put[len(put) // 2]
    for wanted, is_wanted in (
        (Wanted(ref=ref), lambda it: it.person == ref),
        (Wanted(permitted=like.shape.permitted), lambda it: it.facts.shape.permitted == like.shape.permitted),
        (Wanted(processings={like.shape.processing}), lambda it: it.facts.shape.processing == like.shape.processing),
        (Wanted(reason=like.shape.reason), lambda it: it.facts.shape.reason == like.shape.reason),
        (Wanted(identifier=middle.id), lambda it: it.id == middle.id),
        (Wanted(consents={CONSENTS[0]}), lambda it: it.facts.consent == CONSENTS[0]),
        (Wanted(since=middle.at), lambda it: it.at >= middle.at),
        (Wanted(until=middle.at), lambda it: it.at < middle.at),
    ):
        there = [each for each in put if is_wanted(each)]
        assert _by_time(_all(segment, wanted)) == _by_time(there)
        assert wanted.is_among(segment.counts) or not there


def test_of_one_person_few_blocks_arein_a_session():
    """Of a segment of many blocks, those of one person are two at most, and have all that is about them."""
    people = [number.to_bytes(16) for number in range(1, 3_001)]
    put = [logged(HOUR + timedelta(milliseconds=place), ref=ref) for ref in people for place in (1, 2, 3)]
    segment = segment_of(put)
    directory = directory_of(segment.directory)
    assert len(directory.blocks) == -(-len(put) // BLOCK_ROWS)
    for ref in (people[0], people[1_234], people[-1]):
        assert len(directory.span(ref)[1]) <= 2
        assert len(_all(segment, Wanted(ref=ref))) == 3
    assert sum(block.size for block in directory.span(None)[1]) == len(segment.data)
    assert sum(number for _, number in facts_in(directory, directory.blocks, segment.data)) == len(put)


def test_of_nobody_nothing_is_stored_that_could_be_linked():
    """Somebody of whom nothing is recorded has references of each decision's own, which the segment does not hold."""
    collector = Collector()
    case = collector.case(0, REFUSED)
    for number in range(3):
        made = logged(HOUR + timedelta(seconds=number))
        collector.add(microseconds_of(made.at), made.id.bytes, NOBODY, NOBODY, case)
    segment = collector.sealed(UUID(int=1))
    records = _all(segment)
    refs = {each.subject_ref for each in records} | {each.correspondence_ref for each in records}
    assert len(refs) == 6
    plain = [zstandard.ZstdDecompressor().decompress(each) for each in msgspec.msgpack.decode(segment.data)]
    assert not any(ref in column for ref in refs for column in plain)
    assert _all(segment_of(records, UUID(int=1))) == records  # merged again, they are as they were


@pytest.mark.parametrize("damage", [b"", b"\0", b"no segment"])
def test_what_is_no_segment_is_refused(damage):
    """Content that is none is an error that names it, never a decision."""
    segment = segment_of([logged(HOUR)])
    directory = directory_of(segment.directory)
    with pytest.raises(UNREADABLE):
        list(decisions_in(directory, directory.blocks, damage))
    with pytest.raises(UNREADABLE):
        directory_of(damage)


@given(several(20), st.data())
def test_a_damaged_column_loses_no_decision_in_silence(put, data):
    """Whatever stands in the place of a column: it is refused, or there are as many decisions as there were."""
    segment = segment_of(put)
    directory = directory_of(segment.directory)
    columns = msgspec.msgpack.decode(segment.data)
    place = data.draw(st.integers(0, len(columns) - 1))
    was = zstandard.ZstdDecompressor().decompress(columns[place])
    cut = data.draw(st.integers(0, len(was)))
    damaged = was[:cut] + data.draw(st.binary(max_size=2)) + was[cut + data.draw(st.integers(0, 2)) :]
    columns[place] = zstandard.ZstdCompressor().compress(damaged)
    content = msgspec.msgpack.encode(columns)
    block = msgspec.structs.replace(directory.blocks[0], size=len(content))
    try:
        number = len(list(decisions_in(directory, [block], content)))
    except UNREADABLE:
        number = None
    assert number in {None, len(put)}


# --- in the database


@pytest.fixture(scope="module")
def empty():
    """A database of which each example changes the log alone."""
    with new_database() as database:
        yield database


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    parts=st.lists(several(12), min_size=1, max_size=8),
    merged=st.integers(0, 4),
    limit=st.integers(1, 9),
    wanted=st.sampled_from([Wanted(), Wanted(ref=PEOPLE[0]), Wanted(permitted=True, processings={"ads"})]),
    hurry=st.booleans(),
)
def test_pages_are_what_sorting_everything_would_give(  # noqa: PLR0917 - the parts of an example
    empty, parts, merged, limit, wanted, hurry
):
    """Newest first, each once, however the log is cut, how many a page has, and how little time there is."""
    parts = _apart(parts)
    parts = [[each for part in parts[:merged] for each in part], *parts[merged:]]
    with psycopg.connect(empty.owner_url) as owner:
        owner.execute("TRUNCATE decision_segment")
        owner.execute(
            "CREATE TABLE IF NOT EXISTS decision_segment_20261124 PARTITION OF decision_segment"
            " FOR VALUES FROM ('2026-11-24') TO ('2026-11-25')"
        )
        for part in filter(None, parts):
            insert(owner, segment_of(part))

    async def pages(session):
        records: list[LoggedDecision] = []
        before = None
        while True:
            page = await search(session, wanted, before=before, limit=limit, seconds=-1 if hurry else 10)
            records += page.items
            assert len(page.items) <= limit
            assert before is None or page.before is None or page.before < before
            if (before := page.before) is None:
                return records

    everything = [each for part in parts for each in part]
    matching = [
        each for each in everything if wanted.has(each.facts) and (wanted.ref is None or wanted.ref == each.person)
    ]
    assert in_a_session(empty, pages) == sorted(matching, key=lambda each: each.id, reverse=True)


async def _found(session, wanted=ALL, **how):
    """What a search finds, on its first page."""
    return (await search(session, wanted, before=None, limit=9, seconds=9, **how)).items


def test_what_is_no_segment_hides_no_other(database):
    """A search passes over a segment that cannot be read, and over a second decision of one id, and finds the rest."""
    one, now = logged(datetime.now(UTC)), datetime.now(UTC)
    with psycopg.connect(database.owner_url) as owner:
        for part in ([one], [replace(one, correspondence=b"\3" * 16)]):
            insert(owner, segment_of(part))
        insert(owner, replace(segment_of([logged(now)]), directory=b"x"))
        insert(owner, replace(segment_of([logged(now)]), data=b"x"))
    assert [each.id for each in in_a_session(database, _found)] == [one.id, one.id]


def test_a_search_that_finds_nothing_pauses_between_blocks(database, monkeypatch):
    """The event loop gets the interpreter after each block, whether or not something wanted is in it."""
    now = datetime.now(UTC)
    made = segment_of(logged(now, ref=number.to_bytes(16)) for number in range(1, 4_000))
    with psycopg.connect(database.owner_url) as owner:
        insert(owner, made)
    pauses: list[float] = []
    monkeypatch.setattr("app.audit.log_reading.time", SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append))

    assert in_a_session(database, partial(_found, wanted=Wanted(consents=frozenset()))) == []
    assert len(pauses) == len(directory_of(made.directory).blocks) - 1 == 3


def test_the_log_is_read_only_where_it_is_held_still(database):
    """A session in which an hour could be merged between two statements is refused."""
    with psycopg.connect(database.owner_url) as owner:
        insert(owner, segment_of([logged(datetime.now(UTC))]))
    assert len(in_a_session(database, _found)) == 1
    with pytest.raises(LogMovesError):
        in_a_session(database, _found, writes=True)


@pytest.fixture
def small(database):
    """Two segments of an hour, with three decisions."""
    now = datetime.now(UTC).replace(minute=30)
    made = [segment_of([logged(now), logged(now)]), segment_of([logged(now)])]
    with psycopg.connect(database.app_url) as connection:
        for each in made:
            _add(connection, each)
    return made


_COLUMNS = "id, day, from_at, to_at, rows, counts, directory, data, sha256"


def _values(made):
    own = (made.id, made.day, made.from_at, made.to_at, made.rows, Jsonb(made.counts))
    return [*own, made.directory, made.data, made.sha256]


def _add(connection, made):
    _add_values(connection, _values(made))


def _add_values(connection, values):
    connection.execute(f"INSERT INTO decision_segment ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", values)


_MERGE = "SELECT sceau_merge_segments(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, true)"


def test_a_merged_segment_takes_the_place_of_those_it_was_made_of(database, small):
    """The service merges; a second time there is nothing to merge."""
    merged = segment_of(each for part in small for each in _all(part))
    with psycopg.connect(database.app_url, autocommit=True) as connection:
        connection.execute(_MERGE, [*_values(merged), [each.id for each in small]])
        segments = connection.execute("SELECT id, rows, merged FROM decision_segment").fetchall()
        assert segments == [(merged.id, 3, True)]
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute(_MERGE, [*_values(replace(merged, id=UUID(int=9))), [merged.id]])


@pytest.mark.parametrize(
    "what", ["one less", "another answer", "one that is not there", "nothing goes", "fewer than none"]
)
def test_the_service_merges_no_decision_away(database, small, what):
    """The database refuses a merged segment that has not the decisions, with their answers, of those that go."""
    decisions_ = [each for part in small for each in _all(part)]
    gone = [each.id for each in small]
    if what == "one less":
        decisions_ = decisions_[1:]
    elif what == "another answer":
        permitted = but(REFUSED, permitted=True)
        decisions_[0] = replace(decisions_[0], facts=permitted)
    elif what == "one that is not there":
        gone = [*gone, UUID(int=3)]
    elif what == "fewer than none":
        permits = but(REFUSED, permitted=True)
        decisions_ = [replace(each, facts=permits) for each in decisions_]
        counts = Jsonb([["ads", False, "no_consent", -3], ["ads", True, "no_consent", 3]])
        with psycopg.connect(database.app_url) as connection:
            odd = _values(replace(small[0], id=UUID(int=5)))
            _add_values(connection, [*odd[:5], counts, *odd[6:]])
        gone = [*gone, UUID(int=5)]
    else:
        gone = []
    with (
        psycopg.connect(database.app_url) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="has the decisions of those"),
    ):
        connection.execute(_MERGE, [*_values(segment_of(decisions_)), gone])


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM decision_segment",
        "UPDATE decision_segment SET rows = 9",
        "TRUNCATE decision_segment",
        "INSERT INTO decision_segment (id, merged) VALUES (gen_random_uuid(), true)",
        "DELETE FROM decision_count",
    ],
)
def test_the_service_only_adds_to_the_log(database, small, statement):
    """It may neither take out nor change, nor say of a segment that it is merged."""
    with psycopg.connect(database.app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_permits_that_rest_on_nothing_are_none(database, small):
    """What no consent in the ledger bears out is not listed as resting on it."""
    now = small[0].from_at
    facts_ = but(REFUSED, permitted=True, consent=CONSENTS[0])
    with psycopg.connect(database.app_url) as connection:
        _add(connection, segment_of([logged(now, facts_)]))

    async def found(session):
        wanted, resting = Wanted(processings={"ads"}, permitted=True), Resting("ads", Struck(1, None))
        return len(await _found(session, wanted)), len(await _found(session, wanted, resting=resting))

    assert in_a_session(database, found) == (1, 0)


def test_every_column_is_read_and_written():
    """The columns that a worker writes are all of the table's but one, which merging alone sets."""
    assert {column.name for column in decision_segment.columns} == {*_COLUMNS.split(", "), "merged"}
