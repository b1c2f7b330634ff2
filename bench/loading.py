"""Fills a database with consents: one subject each, as many as are wanted, by COPY.

The rows are what the API would have written; foreign keys are not checked while they come in, since the rows are
consistent by construction and ten million look-ups would only make the run longer.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import psycopg

from app.ledger.identifiers import Pseudonyms
from bench.progress import say
from bench.questions import COLLECTED, EVIDENCE, EXPIRES, PROCESSING, SUBJECT_TYPE, name_of

_CHUNK: Final = 250_000
_BY: Final = str(UUID(int=0))
_SAID: Final = json.dumps({**EVIDENCE, "presented_text_sha256": "ab" * 32})
_LOCATOR: Final = "COPY subject_locator (locator, subject_ref, name, made_by, began_at) FROM STDIN"
_SUBJECT: Final = "COPY subject (subject_ref, created_at) FROM STDIN"
_EVENT: Final = (
    "COPY consent_event (subject_ref, seq, id, kind, processing, version, elements, collected_at, recorded_at,"
    " imported, expires_at, counting, evidence, text_known, recorded_by) FROM STDIN"
)
_CONSENT: Final = "COPY consent (subject_ref, id, processing, version, decision, collected_at, expires_at) FROM STDIN"


def load_consents(  # noqa: PLR0917 - what is loaded, in the order of a sentence
    url: str,
    pseudonyms: Pseudonyms,
    first: int,
    count: int,
    collected: datetime = COLLECTED,
    expires: datetime = EXPIRES,
) -> float:
    """Add consents of the subjects numbered from `first`; returns the seconds that it took.

    Args:
        url: the database, as its server's administrator.
        pseudonyms: those of the deployment.
        first: the number of the first subject.
        count: how many.
        collected: when all of them were collected.
        expires: when all of them lapse.

    """
    at, until = collected.isoformat(), expires.isoformat()
    began = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for start in range(first, first + count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, first + count))
            # Sorted, so that each chunk passes over the indexes once, in their order.
            located = ((pseudonyms.locator(SUBJECT_TYPE, name_of(number)), number) for number in numbers)
            refs = sorted((sha256(locator).hexdigest(), locator.hex(), number) for locator, number in located)
            with connection.transaction():
                for statement, lines in (
                    (_SUBJECT, _subjects(refs, at)),
                    (_LOCATOR, _locators(refs, pseudonyms.makers()[0], at)),
                    (_EVENT, _events(refs, at, until)),
                    (_CONSENT, _rows(refs, at, until)),
                ):
                    with connection.cursor().copy(statement) as copy:
                        for line in lines:
                            copy.write(line)
            say(f"loaded {numbers.stop:,} of {first + count:,} consents")
        connection.execute("VACUUM ANALYZE subject, subject_locator, consent_event, consent")
        connection.execute("CHECKPOINT")
    return (datetime.now(UTC) - began).total_seconds()


def _id(number: int) -> str:
    return f"0199d7a4-0000-7000-8000-{number:012x}"


def _subjects(refs: list[tuple[str, str, int]], at: str) -> Iterator[str]:
    for ref, _, _ in refs:
        yield f"\\\\x{ref}\t{at}\n"


def _locators(refs: list[tuple[str, str, int]], made_by: str, at: str) -> Iterator[str]:
    for ref, locator, number in refs:
        yield f"\\\\x{locator}\t\\\\x{ref}\t{_id(number)}\t{made_by}\t{at}\n"


def _events(refs: list[tuple[str, str, int]], at: str, until: str) -> Iterator[str]:
    rest = f"{at}\t{at}\tf\t{until}\tstart_of_day\t{_SAID}\tt\t{_BY}\n"
    for ref, _, number in refs:
        yield f"\\\\x{ref}\t1\t{_id(number)}\tgranted\t{PROCESSING}\t1\t{{content,subject_line}}\t{rest}"


def _rows(refs: list[tuple[str, str, int]], at: str, until: str) -> Iterator[str]:
    for ref, _, number in refs:
        yield f"\\\\x{ref}\t{_id(number)}\t{PROCESSING}\t1\tgranted\t{at}\t{until}\n"
