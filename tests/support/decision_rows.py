"""The decision log for tests: its decisions one by one, and alterations as by a superuser."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from msgspec import structs
from psycopg.types.json import Jsonb

from app.audit.segments import Collector, LogFacts, LoggedDecision, Segment, Shape, decisions_in, directory_of
from app.db.session import random_id
from tests.support.databases import TestDatabase

REFUSED = LogFacts(
    Shape(
        *("ads", None, "online", "FR", False, "no_consent", "11", None, True, True, 1, 1, 1, None),
        *("P1Y/start_of_day", "rules", "build"),
    ),
    *(None, None, 0, None, None),
)
"""What the log keeps of a denial to somebody of whom nothing is known."""


def logged_rows(database: TestDatabase) -> list[LoggedDecision]:
    """Every decision in the log, in the order in which they were taken."""
    with psycopg.connect(database.owner_url) as connection:
        rows = connection.execute("SELECT directory, data FROM decision_segment").fetchall()
    return sorted((each for row in rows for each in _decisions(*row)), key=lambda each: (each.at, each.id))


def _decisions(directory: bytes, data: bytes) -> list[LoggedDecision]:
    columns = directory_of(directory)
    return list(decisions_in(columns, columns.blocks, data))


def segment_of(decisions: Iterable[LoggedDecision], identifier: UUID | None = None) -> Segment:
    """A segment of some decisions of one hour."""
    collector = Collector()
    for each in decisions:
        collector.put(each)
    return collector.sealed(identifier or random_id())


def logged(at: datetime, facts: LogFacts = REFUSED, ref: bytes = b"\1" * 16) -> LoggedDecision:
    """A logged decision of an instant, about some subject and some correspondence."""
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000
    identifier = UUID(bytes=int(milliseconds).to_bytes(6) + random_id().bytes[6:])
    return LoggedDecision(identifier, at, random_id(), ref, b"\2" * 16, facts)


Change = Callable[[Sequence[LoggedDecision]], Sequence[LoggedDecision]]


def alter(database: TestDatabase, change: Change) -> None:
    """Rewrite every segment of which `change` makes other decisions, with digest and counts that fit."""
    with _with_every_right(database) as connection:
        segments = connection.execute("SELECT id, merged, directory, data FROM decision_segment").fetchall()
        altered = 0
        for identifier, merged, directory, data in segments:
            before = _decisions(directory, data)
            after = list(change(before))
            if after == before:
                continue
            altered += 1
            connection.execute("DELETE FROM decision_segment WHERE id = %s", [identifier])
            if after:
                insert(connection, segment_of(after, identifier), merged=merged)
        assert altered, "nothing was altered"


def insert(connection: psycopg.Connection, made: Segment, *, merged: bool = False) -> None:
    """Put a segment into the log."""
    connection.execute(
        "INSERT INTO decision_segment (id, day, from_at, to_at, rows, merged, counts, directory, data, sha256)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            *(made.id, made.day, made.from_at, made.to_at, made.rows, merged, Jsonb(made.counts)),
            *(made.directory, made.data, made.sha256),
        ],
    )


def add(database: TestDatabase, made: Segment, *, merged: bool = False) -> None:
    """Put a segment into the log, as a superuser can."""
    with _with_every_right(database) as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS decision_segment_{made.day:%Y%m%d} PARTITION OF decision_segment"
            f" FOR VALUES FROM ('{made.day}') TO ('{made.day + timedelta(days=1)}')"
        )
        insert(connection, made, merged=merged)


@contextmanager
def _with_every_right(database: TestDatabase):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def once(where: Callable[[LoggedDecision], bool], *made: Callable[[LoggedDecision], LoggedDecision]) -> Change:
    """A change that replaces the first matching decision by others, or removes it if there are none."""
    changed: list[LoggedDecision] = []

    def change(decisions: Sequence[LoggedDecision]) -> Sequence[LoggedDecision]:
        if changed or not any(map(where, decisions)):
            return decisions
        changed.append(next(filter(where, decisions)))
        return [*(each for each in decisions if each != changed[0]), *(make(changed[0]) for make in made)]

    return change


def every(where: Callable[[LoggedDecision], bool], **facts: Callable[[dict[str, Any]], object]) -> Change:
    """A change of some facts of every matching decision, each made of all its facts by name."""

    def change(decisions: Sequence[LoggedDecision]) -> Sequence[LoggedDecision]:
        return [
            with_facts(one, **{name: make(one.facts.by_name()) for name, make in facts.items()}) if where(one) else one
            for one in decisions
        ]

    return change


def with_facts(decision: LoggedDecision, **facts: object) -> LoggedDecision:
    """That decision with other facts."""
    return replace(decision, facts=but(decision.facts, **facts))


def but(facts: LogFacts, **others: object) -> LogFacts:
    """Those facts, but for some."""
    return facts_of(**{**facts.by_name(), **others})


def facts_of(**facts: Any) -> LogFacts:
    """The facts with these members, those of the shape among them."""
    shape = Shape(**{each.name: facts.pop(each.name) for each in structs.fields(Shape)})
    return LogFacts(shape, **facts)
