"""Revision 0021 carries subjects over to random subject_refs behind locators, and back.

Ten thousand here; `tests/e2e/test_many_subjects.py` has a hundred thousand.
"""

from contextlib import contextmanager

import psycopg
import pytest

from app.db.migrate import downgrade, upgrade
from tests.database.conftest import connected
from tests.support.databases import fresh_database

SUBJECTS = 10_000
# One in ten closed the account, and its next holder consented anew; one in ten was erased.
FILL = """
INSERT INTO processing (id, controller, purpose, registered_at, registered_by)
VALUES ('ads', 'Exemple SAS', 'advertising', '2020-01-01Z', gen_random_uuid());
INSERT INTO subject (subject_ref, type, created_at)
SELECT sha256(n::text::bytea), 'user', '2026-01-01Z' FROM generate_series(1, {count}) AS n;
INSERT INTO subject_vault (subject_ref, master_key_id, wrapped_key, sealed_id, stored_at)
SELECT sha256(n::text::bytea), '1', 'wrapped', n::text::bytea, '2026-01-01Z'
FROM generate_series(1, {count}) AS n WHERE n % 10 <> 1;
CREATE TEMP TABLE told AS
SELECT n, sha256(n::text::bytea) AS ref, seq, gen_random_uuid() AS id,
    CASE WHEN seq = 2 THEN 'closed' WHEN seq = 3 AND n % 10 = 1 THEN 'erased' ELSE 'granted' END AS kind,
    '2026-01-01Z'::timestamptz + make_interval(days => seq) AS at
FROM generate_series(1, {count}) AS n, generate_series(1, 3) AS seq
WHERE seq = 1 OR n % 10 IN (0, 1);
INSERT INTO consent_event (subject_ref, seq, id, kind, processing, version, collected_at, recorded_at, imported,
    expires_at, evidence, text_known, recorded_by)
SELECT ref, seq, id, kind, CASE kind WHEN 'granted' THEN 'ads' END, CASE kind WHEN 'granted' THEN 1 END, at, at, false,
    CASE kind WHEN 'granted' THEN at + interval '300 days' END, CASE kind WHEN 'granted' THEN '{{}}'::jsonb END,
    CASE kind WHEN 'granted' THEN true END, gen_random_uuid() FROM told;
INSERT INTO consent (subject_ref, id, processing, version, decision, collected_at, expires_at)
SELECT ref, id, 'ads', 1, 'granted', at, at + interval '300 days' FROM told WHERE kind = 'granted';
INSERT INTO renewal_flag (subject_ref, processing, consent, kind, notice, id, flagged_at, expires_at)
SELECT ref, 'ads', id, 'expired', 0, gen_random_uuid(), at, at FROM told WHERE kind = 'granted' AND n % 5 = 0;
INSERT INTO outbox (subject_ref, id, type, occurred_at, data)
SELECT ref, gen_random_uuid(), 'fr.sceau.consent.granted', at, jsonb_build_object('consent', id)
FROM told WHERE kind = 'granted' AND n % 5 = 0;
INSERT INTO consent_link (token_sha256, id, subject_ref, kind, processings, authentication, by_person, created_at,
    created_by, expires_at, ledger_order)
SELECT sha256(id::text::bytea), id, ref, 'decide', '{{ads}}', 'mailbox', false, at - interval '1 hour', id,
    at + interval '1 day', seq - 1 FROM told WHERE kind = 'granted' AND n % 5 = 0;
INSERT INTO decision_log (subject_ref, at, id, caller, processing, correspondence_ref, channel, territory, permitted,
    reason, rule)
SELECT sha256(n::text::bytea), now(), gen_random_uuid(), gen_random_uuid(), 'ads', sha256('c'), 'online', 'FR', true,
    'consent_in_force', '19' FROM generate_series(1, {count}, 7) AS n;
INSERT INTO administrative_act (id, at, act, way, subject_ref, detail)
SELECT gen_random_uuid(), '2026-01-02Z', 'subject.closed', 'api', sha256(n::text::bytea), '{{}}'
FROM generate_series(1, {count}, 10) AS n;
"""
HELD = {
    "subject": "SELECT subject_ref, type FROM subject",
    "subject_vault": "SELECT subject_ref, sealed_id FROM subject_vault",
    "consent_event": "SELECT id, subject_ref, seq FROM consent_event",
    "consent": "SELECT id, subject_ref FROM consent",
    "renewal_flag": "SELECT id, subject_ref FROM renewal_flag",
    "outbox": "SELECT id, subject_ref FROM outbox",
    "consent_link": "SELECT id, subject_ref, ledger_order FROM consent_link",
    "decision_log": "SELECT id, subject_ref FROM decision_log",
    "administrative_act": "SELECT id, subject_ref FROM administrative_act WHERE act = 'subject.closed'",
}


@pytest.fixture(scope="module")
def carried():
    """Ten thousand of them."""
    with carried_over(SUBJECTS) as rows_of_each:
        yield SUBJECTS, *rows_of_each


@contextmanager
def carried_over(count):
    """The rows of before, of after, and of before again, of so many subjects."""
    with fresh_database() as database:
        with connected(database.owner_url) as connection:
            downgrade(connection, "0020")
        with psycopg.connect(database.owner_url) as owner:
            owner.execute(FILL.format(count=count))
        before = rows(database)
        with connected(database.owner_url) as connection:
            upgrade(connection)
        after, located = rows(database), locators(database)
        with connected(database.owner_url) as connection:
            downgrade(connection, "0020")
        yield before, after, located, rows(database)


def rows(database):
    """Every row that a subject_ref stands in, by table."""
    with psycopg.connect(database.owner_url) as owner:
        return {table: set(owner.execute(statement).fetchall()) for table, statement in HELD.items()}


def locators(database):
    """The locator, the subject_ref and whether the account is open, of each row."""
    with psycopg.connect(database.owner_url) as owner:
        return owner.execute("SELECT locator, subject_ref, ended_at IS NULL FROM subject_locator").fetchall()


def test_every_account_has_a_random_subject_ref_of_its_own(carried):
    """A ledger is split at its closures; nothing of before stands in any table but as a locator."""
    count, before, after, located, _ = carried
    old = {ref for ref, _ in before["subject"]}
    assert len(after["subject"]) == count + count // 10
    for table, held in after.items():
        assert not old & {value for row in held for value in row if isinstance(value, bytes) and len(value) == 32}, (
            table
        )
    assert {locator for locator, _, _ in located} <= old


def test_who_was_erased_is_found_by_nothing(carried):
    """One in ten has no row; of the others each has one open account, and the split ones a closed one before it."""
    count, _, _, located, _ = carried
    assert len(located) == count - count // 10 + count // 10
    assert sum(is_open for _, _, is_open in located) == count - count // 10


def test_what_belongs_together_stays_together(carried):
    """Each row that names a consent has the subject_ref of that consent's event, and the vault that of the open one."""
    _, _, after, located, _ = carried
    of_event = {identifier: ref for identifier, ref, _ in after["consent_event"]}
    assert all(of_event[identifier] == ref for identifier, ref in after["consent"])
    assert all(of_event[identifier] == ref for identifier, ref, _ in after["consent_link"])
    opened = {ref for _, ref, is_open in located if is_open}
    assert {ref for ref, _ in after["subject_vault"]} == opened


def test_going_back_restores_every_row_of_whoever_was_not_erased(carried):
    """Forwards and back, all is where it was; what was severed stays under the random one."""
    _, before, _, located, back = carried
    found = {locator for locator, _, _ in located}
    for table in HELD:
        if table in {"decision_log", "administrative_act"}:
            continue  # what led to nobody was severed for good
        wanted = {row for row in before[table] if any(value in found for value in row if isinstance(value, bytes))}
        got = {row for row in back[table] if any(value in found for value in row if isinstance(value, bytes))}
        assert got == wanted, table
