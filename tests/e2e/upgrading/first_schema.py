"""A database as the first release left it (revision 0001), filled by COPY with consents of many people."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

import psycopg

from app.db.migrate import upgrade
from app.db.owner import owner_engine
from app.ledger.pseudonym import Pseudonyms
from app.ledger.subject_ids import SubjectIds
from app.ledger.vault import Vault
from tests.support.api import BOOTSTRAP, MASTER_KEY, PSEUDONYM_KEY
from tests.support.consents import EVIDENCE, notice_of

FIRST: Final = "0001"
PROCESSING: Final = "ads-mail"
_BY: Final = UUID(int=1)
_NOTICE: Final = notice_of(PROCESSING)
_SAID: Final = {**EVIDENCE, "language": "fr", "presented_text_sha256": sha256(_NOTICE["fr"].encode()).hexdigest()}
_COPIES: Final = {
    "subject": "subject_ref, type, created_at",
    "subject_vault": "subject_ref, master_key_id, wrapped_key, sealed_id, stored_at",
    "consent_event": "subject_ref, seq, id, kind, processing, version, elements, collected_at, recorded_at, imported,"
    " expires_at, counting, evidence, text_known, recorded_by",
    "consent": "subject_ref, id, processing, version, decision, collected_at, expires_at",
}
_CHUNK: Final = 50_000


def name_of(number: int) -> str:
    """The id of a person."""
    return f"person{number}@example.fr"


def make_first(owner_url: str) -> None:
    """Make the first release's schema."""
    engine = owner_engine(owner_url)
    with engine.begin() as connection:
        upgrade(connection, FIRST)
    engine.dispose()


def fill(administrator_url: str, people: int) -> None:
    """Put in a caller, a processing and one consent of each person, as the first release would have written them."""
    now = datetime.now(UTC)
    registered, collected = now - timedelta(days=40), now - timedelta(days=30)
    with psycopg.connect(administrator_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO caller (id, name, key_sha256, scopes, created_at) VALUES (%s, 'first', %s, %s, %s)",
            [_BY, sha256(BOOTSTRAP.encode()).digest(), SCOPES, registered],
        )
        connection.execute(
            "INSERT INTO processing VALUES (%s, 'Exemple SAS', 'advertising', %s, %s)", [PROCESSING, registered, _BY]
        )
        connection.execute(
            "INSERT INTO processing_version (processing, number, effective_from, provider_kind, service, elements,"
            " automated, party_mode, started_on, consent_validity, material, name, notice, data_recipients, retention,"
            " recorded_at, recorded_by) VALUES (%s, 1, %s, 'operator', 'mail', '{content,subject_line}', true,"
            " 'user_only', '2020-01-01', 'P1Y', false, %s, %s, '{}', 'P30D', %s, %s)",
            [PROCESSING, registered, json.dumps({"fr": "Publicité"}), json.dumps(_NOTICE), registered, _BY],
        )
        connection.execute("SET session_replication_role = replica")
        for first in range(0, people, _CHUNK):
            _fill_some(connection, range(first, min(first + _CHUNK, people)), collected)
        connection.execute("VACUUM ANALYZE")


SCOPES: Final = [
    "audit:read",
    "consents:read",
    "consents:write",
    "decisions:evaluate",
    "register:read",
    "register:write",
]


def _fill_some(connection: psycopg.Connection[tuple[object, ...]], numbers: range, collected: datetime) -> None:
    vault, pseudonyms = _keys()
    at, until = collected.isoformat(), (collected + timedelta(days=300)).isoformat()
    refs = [(pseudonyms.locator("user", name_of(number)), number) for number in numbers]
    for table, columns in _COPIES.items():
        with connection.transaction(), connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for row in _rows(table, refs, vault, at, until):
                copy.write_row(row)


def _keys() -> tuple[Vault, Pseudonyms]:
    name, _, key = MASTER_KEY.partition(":")
    return Vault({name: bytes.fromhex(key)}), Pseudonyms(bytes.fromhex(PSEUDONYM_KEY), SubjectIds())


def _rows(table: str, refs: list[tuple[bytes, int]], vault: Vault, at: str, until: str) -> Iterator[tuple[object, ...]]:
    said, elements = json.dumps(_SAID), ["content", "subject_line"]
    for ref, number in refs:
        identifier = UUID(int=(0x0199D7A400007000 << 64) + (0x8 << 60) + number)
        if table == "subject":
            yield ref, "user", at
        elif table == "subject_vault":
            sealed = vault.seal(ref, name_of(number))
            yield ref, sealed.master_key_id, sealed.wrapped_key, sealed.sealed_id, at
        elif table == "consent":
            yield ref, identifier, PROCESSING, 1, "granted", at, until
        else:
            yield (
                ref,
                1,
                identifier,
                "granted",
                PROCESSING,
                1,
                elements,
                at,
                at,
                False,
                until,
                "start_of_day",
                said,
                True,
                _BY,
            )
