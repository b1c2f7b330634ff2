"""What PostgreSQL itself does for a write of the same size: one read, four inserts and a COMMIT, by raw psycopg.

`python -m bench.apps.raw_write JSON` takes `url`, `seconds`, `connections`, `rows` (how many events one transaction
holds, by one multi-row INSERT for each table), and `pseudonym_key` and `consents`, which lead to the subjects. It
prints `{"events": …, "seconds": …}`. Nothing is judged, confirmed or answered; the statements of a transaction go in
one pipeline.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from app.ledger.identifiers import Pseudonyms
from bench.questions import EVIDENCE, PROCESSING, SUBJECT_TYPE, name_of

_BY: Final = UUID(int=1)
_SEQUENCES: Final = (1_000_000, 2_000_000_000)
"""Beyond every ledger order that the data has: no two runs meet."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to do: where, for how long, on how many connections, and how many events in a transaction."""

    url: str
    seconds: float
    connections: int
    rows: int
    pseudonym_key: str
    consents: int


_READ: Final = "SELECT subject_ref FROM subject_locator WHERE locator = ANY(%s) AND ended_at IS NULL"
_EVENT: Final = """INSERT INTO consent_event (subject_ref, seq, id, kind, processing, version, collected_at,
    recorded_at, imported, expires_at, counting, evidence, text_known, recorded_by) VALUES """
_CONSENT: Final = """INSERT INTO consent (subject_ref, id, processing, version, decision, collected_at, expires_at)
    VALUES """
_CHANGE: Final = "INSERT INTO change (kind, ref) VALUES "
_OUTBOX: Final = "INSERT INTO outbox (subject_ref, id, type, occurred_at, data) VALUES "


def _statements(some: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, list[Any]]]:
    """The four inserts about some subjects, given as (subject_ref, locator)."""
    at = datetime.now(UTC) - timedelta(seconds=1)
    until, evidence = at + timedelta(days=300), Jsonb(EVIDENCE)
    parts: dict[str, list[list[Any]]] = {_EVENT: [], _CONSENT: [], _CHANGE: [], _OUTBOX: []}
    for ref, locator in some:
        identifier, seq = uuid4(), random.randint(*_SEQUENCES)
        parts[_EVENT].append(
            [ref, seq, identifier, "granted", PROCESSING, 1, at, at, False, until, "start_of_day", evidence, True, _BY]
        )
        parts[_CONSENT].append([ref, identifier, PROCESSING, 1, "granted", at, until])
        parts[_CHANGE].append([1, locator])
        told = Jsonb({"consent": str(identifier), "processing": PROCESSING})
        parts[_OUTBOX].append([ref, uuid4(), "fr.sceau.consent.granted", at, told])
    return [
        (
            into + ", ".join("(" + ", ".join(["%s"] * len(rows[0])) + ")" for _ in rows),
            [value for row in rows for value in row],
        )
        for into, rows in parts.items()
    ]


async def _write(load: Load, mine: Sequence[tuple[bytes, bytes]], until: float) -> int:
    """Write on one connection until then; how many events."""
    events = 0
    async with await psycopg.AsyncConnection.connect(load.url, autocommit=True, prepare_threshold=1) as connection:
        while time.perf_counter() < until:
            some = random.sample(mine, load.rows)
            async with connection.pipeline():
                await connection.execute("BEGIN")
                await connection.execute(_READ, [[locator for _, locator in some]])
                for statement, values in _statements(some):
                    await connection.execute(statement, values)
                await connection.execute("COMMIT")
            events += load.rows
    return events


def _locators(load: Load) -> list[bytes]:
    """The locators of the subjects that were loaded last, a thousand for each connection.

    Sceau is measured on those that were loaded first: a write takes longer, the more is recorded about its subject.
    """
    pseudonyms = Pseudonyms(bytes.fromhex(load.pseudonym_key))
    numbers = range(max(0, load.consents - 1_000 * load.connections), load.consents)
    return [pseudonyms.locator(SUBJECT_TYPE, name_of(number)) for number in numbers]


async def _run(load: Load) -> dict[str, float]:
    async with await psycopg.AsyncConnection.connect(load.url, autocommit=True) as connection:
        found = await connection.execute(
            "SELECT subject_ref, locator FROM subject_locator WHERE locator = ANY(%s) AND ended_at IS NULL",
            [_locators(load)],
        )
        people = [(bytes(ref), bytes(locator)) for ref, locator in await found.fetchall()]
    began = time.perf_counter()
    shares = [people[number :: load.connections] for number in range(load.connections)]
    events = await asyncio.gather(*[_write(load, mine, began + load.seconds) for mine in shares])
    return {"events": sum(events), "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(Load(**json.loads(sys.argv[1]))))))
