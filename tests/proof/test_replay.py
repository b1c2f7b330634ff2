"""Logged decisions are decided again on what was known then; what was altered since is named."""

import os
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from app.audit.decision_log import rules_digest
from tests.faults.service import eventually
from tests.proof.logs import Log, copied
from tests.support.api import question, running, subject
from tests.support.databases import new_database
from tests.support.two_persons import add

PEOPLE = ("alice", "bob", "carol", "dave", "desk")
PROCESSINGS = {
    "ads": {},
    "stats": {"purpose": "statistics", "party_mode": "all_local_users", "consent_validity": "P6M"},
    "all": {"party_mode": "all_parties"},
    "spam": {"purpose": "unsolicited_content_detection"},
}
WIDE: dict[str, Any] = {"decision_log": "durable", "decision_log_exempt_share": 1.0}
INCOMPLETE = 3


def _questions(chance, number):
    for _ in range(number):
        others = chance.sample([*PEOPLE, "eve"], chance.randint(0, 3))
        properties = {
            "participants": [{"id": each, "local": each != "eve"} for each in others]
            if chance.random() < 0.7
            else None,
            "automated": chance.random() < 0.95,
            "private": chance.random() < 0.9,
            "territory": chance.choice(["FR", "FR", "FR", "NC", "DE"]),
            "channel": chance.choice(["online", "online", "text_message"]),
            "elements": chance.choice([None, ["content"], ["attachments"]]),
        }
        asked = {name: value for name, value in properties.items() if value is not None}
        yield question(chance.choice(PEOPLE), chance.choice([*PROCESSINGS, "unknown"]), **asked)


def _ask(api, chance, number):
    before = _written(api)
    for each in _questions(chance, number):
        api.ok("POST", "/access/v1/evaluation", each)
    eventually(lambda: _written(api) == before + number)


def _ask_many(api, chance, number):
    """By batches of a thousand."""
    before, left = _written(api), number
    while left:
        some = min(left, 1_000)
        api.ok("POST", "/access/v1/evaluations", {"evaluations": list(_questions(chance, some))})
        left -= some
        eventually(lambda: len(api.client.app.state.services.recorder.log) < 10_000)
    eventually(lambda: _written(api) == before + number)


def _written(api):
    return api.client.app.state.services.recorder.log.counts.written


def _happen(api, chance):
    """A day in the life: people decide, withdraw, and versions come."""
    for _ in range(6):
        name, about = chance.choice(PEOPLE), chance.choice(["ads", "stats", "all"])
        if chance.random() < 0.7:
            decision = chance.choice(["granted", "granted", "refused"])
            api.decide(name, about, "refused" if name == "desk" else decision)  # a shared mailbox is given no consent
        else:
            api.withdraw(name, chance.choice([about, None]))


def _made(database, place, number):
    """Six times so many decisions, under two settings of the service, in either mode, with changes in between."""
    chance, log = random.Random(7), Log(database, place)
    assert log.batch() == 1  # they begin with the first run, some minutes ago
    with running(database, cache="strict", **WIDE) as api:
        for each, more in PROCESSINGS.items():
            api.register(each, **more)
        _ask(api, chance, number)
        for name in PEOPLE:
            for each in ("ads", "stats", "all"):
                api.decide(name, each)
        api.ok("POST", "/v1/subjects/mailboxes", {"subject": subject("desk"), "shared": True})
        for _ in range(2):
            _ask(api, chance, number)
            _happen(api, chance)
    with running(database, cache="leased", consent_validity="P3M", period_counting="same_instant", **WIDE) as api:
        for _ in range(2):
            _ask(api, chance, number)
            _happen(api, chance)
        assert add(api, "ads", elements=["content"], reason="Less.").status_code == 201
        api.ok("PATCH", "/v1/processings/all", {"status": "suspended"})
        _ask(api, chance, number)
    return log


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A few decisions."""
    with new_database() as database:
        yield _made(database, tmp_path_factory.mktemp("made"), 12)


@pytest.fixture
def log(made, tmp_path):
    """The same, for a test to change."""
    with copied(made, tmp_path) as log:
        yield log


def _replayed(log, *, until=timedelta(minutes=3)):
    """What the command says of the last hour."""
    now = datetime.now(UTC)
    begins, ends = now - timedelta(hours=1), now + until
    between = ("--since", f"{begins:%Y-%m-%dT%H:%M:%S}", "--until", f"{ends:%Y-%m-%dT%H:%M:%S}")
    status, _, said = log.sceau("proof", "replay", *between)
    return status, said


def _batched(log, monkeypatch):
    """State the batches as if some minutes had gone by."""
    monkeypatch.setattr("app.operations.proof.replay_decisions._SETTLED", timedelta(minutes=-2))
    return log.batch()


def _changed(database, statement, *values):
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        row = owner.execute(statement, values).fetchone()
    assert row is not None, statement
    return str(row[0])


def test_every_decision_comes_out_the_same(database, tmp_path, monkeypatch):
    """Settings, texts, people and the way to decide have changed in between; each is decided as it was."""
    log = _made(database, tmp_path, 40)
    assert _batched(log, monkeypatch) > 0
    status, said = _replayed(log)
    assert said.endswith("240 decisions, 240 reproduced, 0 different, 0 not reproducible\n"), said
    assert (status, "Batches from " in said, " 0 altered" in said) == (0, True, True)


def test_many_decisions_of_two_builds_come_out_the_same(database, tmp_path, monkeypatch):
    """Thousands by batch, with other settings, other rules that decide alike and another version in between.

    `REPLAYED=100000 ./dev test tests/proof/test_replay.py -k many` is the size that docs/proof.md speaks of.
    """
    chance, half = random.Random(11), int(os.environ.get("REPLAYED", "4000")) // 2
    with running(database, cache="leased", **WIDE) as api:
        for each, more in PROCESSINGS.items():
            api.register(each, **more)
        for _ in range(3):
            _happen(api, chance)
        _ask_many(api, chance, half)
    monkeypatch.setattr("app.wiring.services.version", lambda _: "0.2.0")
    monkeypatch.setattr("app.wiring.services.rules_digest", lambda: "f" * 16)
    with running(database, cache="leased", consent_validity="P3M", **WIDE) as api:
        for _ in range(3):
            _happen(api, chance)
        _ask_many(api, chance, half)
    log = Log(database, tmp_path)
    status, said = _replayed(log)
    assert said.endswith(f"{2 * half} decisions, {2 * half} reproduced, 0 different, 0 not reproducible\n"), said
    assert status == 0
    refusal = "UPDATE consent_event SET kind = 'refused', expires_at = NULL, counting = NULL"
    permit = "SELECT consent FROM decision_log WHERE permitted AND consent IS NOT NULL AND build = '0.1.0' LIMIT 1"
    _changed(database, f"{refusal} WHERE id = ({permit}) RETURNING id")
    status, said = _replayed(log)
    assert (status, "consent_in_force in the log, consent_refused now" in said) == (1, True)


def test_one_fact_that_was_altered_is_seen(log):
    """Control: a consent that was made a refusal is named by the decisions that rested on it."""
    permit = "SELECT consent FROM decision_log WHERE permitted AND processing = 'ads' AND consent IS NOT NULL LIMIT 1"
    refusal = "UPDATE consent_event SET kind = 'refused', expires_at = NULL, counting = NULL"
    _changed(log.database, f"{refusal} WHERE id = ({permit}) RETURNING id")
    status, said = _replayed(log)
    assert (status, "DIFFERENT: " in said, "consent_in_force in the log, consent_refused now" in said) == (
        1,
        True,
        True,
    )


@pytest.mark.parametrize("what", ["answer", "deleted", "added"])
def test_a_row_that_was_altered_is_seen(log, monkeypatch, what):
    """Rows that say something else, are gone, or came later differ from the batch that the log committed to."""
    _batched(log, monkeypatch)
    row = "id = (SELECT id FROM decision_log WHERE NOT permitted AND processing = 'ads' LIMIT 1)"
    changes = {
        "answer": f"UPDATE decision_log SET permitted = true WHERE {row} RETURNING id",
        "deleted": f"DELETE FROM decision_log WHERE {row} RETURNING id",
        "added": "INSERT INTO decision_log SELECT (jsonb_populate_record(logged, "
        f"jsonb_build_object('id', gen_random_uuid()))).* FROM decision_log AS logged WHERE {row} RETURNING id",
    }
    identifier = _changed(log.database, changes[what])
    status, said = _replayed(log)
    assert (status, "ALTERED: " in said) == (1, True)
    assert (f"DIFFERENT: {identifier}" in said) == (what == "answer")


def test_decisions_that_were_not_logged_are_told(log, monkeypatch):
    """A log that was full once says how many decisions it lacks."""
    first = "SELECT gen_random_uuid(), min(at), 7 FROM decision_log"
    _changed(log.database, f"INSERT INTO decision_drop (id, at, number) {first} RETURNING id")
    _batched(log, monkeypatch)
    status, said = _replayed(log)
    assert (status, "NOT LOGGED: 7 decisions" in said) == (INCOMPLETE, True)


@pytest.mark.parametrize("what", ["quiet minute", "statement gone", "statement changed"])
def test_whoever_alters_the_batches_too_is_seen(log, monkeypatch, what):
    """A row in a minute without any, and batches that are taken out or rewritten, are all named."""
    _batched(log, monkeypatch)
    log.append()
    row = "(SELECT id FROM decision_log LIMIT 1)"
    later = "jsonb_build_object('id', gen_random_uuid(), 'at', at + interval '1 minute')"
    batches = "kind = 'decision_batch' AND body->>'count' <> '0'"
    changes = {
        "quiet minute": f"INSERT INTO decision_log SELECT (jsonb_populate_record(logged, {later})).* "
        f"FROM decision_log AS logged WHERE id = {row} RETURNING id",
        "statement gone": "DELETE FROM proof_statement WHERE kind = 'decision_batch' RETURNING id",
        "statement changed": f"UPDATE proof_statement SET body = jsonb_set(body, '{{count}}', '0') WHERE {batches} "
        "RETURNING id",
    }
    _changed(log.database, changes[what])
    status, said = _replayed(log)
    assert (status, "ALTERED: " in said) == (1, True), said


def test_a_batch_that_says_another_time_is_compared_all_the_same(log, monkeypatch):
    """Batches are found by the time that they speak of, however late they were stated."""
    _batched(log, monkeypatch)
    _changed(log.database, "UPDATE proof_statement SET at = at + interval '25 hours' RETURNING id")
    _changed(log.database, "DELETE FROM decision_log WHERE id = (SELECT id FROM decision_log LIMIT 1) RETURNING id")
    status, said = _replayed(log)
    assert (status, "ALTERED: " in said) == (1, True), said


def test_a_day_that_was_dropped_is_no_alteration(log, monkeypatch):
    """What the audit trail says was dropped is told apart; without the trail's entry it is an alteration."""
    _batched(log, monkeypatch)
    with psycopg.connect(log.database.owner_url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM decision_log")
    assert "ALTERED: " in _replayed(log)[1]
    days = "SELECT generate_series(now() - interval '1 day', now() + interval '1 day', '1 day') AS day"
    detail = "jsonb_build_object('day', to_char(day, 'YYYY-MM-DD'))"
    with psycopg.connect(log.database.owner_url, autocommit=True) as owner:
        owner.execute(f"SELECT sceau_record_act('decision_log.dropped', 'service', {detail}) FROM ({days}) AS days")
    status, said = _replayed(log)
    assert (status, "ALTERED: " in said, "of days that were dropped, 0 altered" in said) == (0, False, True), said


@pytest.mark.parametrize("what", ["known", "version", "party_mode", "participants", "subject_ref"])
def test_a_row_that_says_it_knew_something_else_is_seen(log, what):
    """What a row says that it was decided on must be what decides it, of rows about several people too."""
    changes = {
        "known": "known = known + 1",
        "version": "version = version + 7",
        "party_mode": "party_mode = 'x'",
        "participants": "participants = participants + 5",
        "subject_ref": "subject_ref = sha256(subject_ref)",
    }
    where = "relied IS NOT NULL AND known > 0 AND participants > 0 AND version IS NOT NULL"
    _changed(log.database, f"UPDATE decision_log SET {changes[what]} WHERE {where} RETURNING id")
    status, said = _replayed(log)
    assert status != 0
    assert "DIFFERENT: " in said or "another row's" in said, said


def test_a_permit_long_after_a_withdrawal_is_seen(log):
    """A row that leaves out what had been recorded long before was decided by nobody who keeps the rules."""
    later = "EXISTS (SELECT FROM consent_event WHERE subject_ref = logged.subject_ref AND seq > logged.known)"
    overtaken = (
        f"SELECT id FROM decision_log AS logged WHERE permitted AND processing = 'ads' AND known > 0 AND {later}"
    )
    moved = "UPDATE decision_log SET at = at + interval '2 minutes'"
    _changed(log.database, f"{moved} WHERE id = ({overtaken} LIMIT 1) RETURNING id")
    status, said = _replayed(log)
    assert (status, "heard in time True in the log, False now" in said) == (1, True), said


def test_what_cannot_be_decided_again_is_said(log, monkeypatch):
    """A period counted in a way that is not known, and other rules that decide otherwise: each with its reason."""
    _changed(
        log.database,
        "UPDATE decision_log SET policy = 'P2Y/never' WHERE id = (SELECT min(id::text)::uuid FROM decision_log)"
        " RETURNING id",
    )
    status, said = _replayed(log)
    assert (status, "NOT REPRODUCIBLE: 1: periods were counted in a way that these rules do not know" in said) == (
        INCOMPLETE,
        True,
    )
    monkeypatch.setattr("app.operations.proof.replay_decisions.rules_digest", lambda: "other")
    assert _replayed(log)[1].endswith("72 decisions, 71 reproduced, 0 different, 1 not reproducible\n")
    _changed(
        log.database,
        "UPDATE decision_log SET reason = 'consent_expired' WHERE id = (SELECT id FROM decision_log WHERE reason = "
        "'consent_in_force' LIMIT 1) RETURNING id",
    )
    status, said = _replayed(log)
    assert (status, "0 different, 2 not reproducible" in said) == (INCOMPLETE, True)
    assert f"decided by the rules {rules_digest()} of build " in said


def test_other_parties_are_kept_where_a_processing_asks_for_them_only(log):
    """A row about a processing that looks at nobody else holds nothing of the participants, in either way to decide."""
    with psycopg.connect(log.database.owner_url) as owner:
        kept = owner.execute("SELECT processing, participants, relied FROM decision_log").fetchall()
        shared = owner.execute("SELECT count(*) FROM subject WHERE shared").fetchone()
    assert shared == (1,)  # that it is shared counts for every processing of IV
    assert {name for name, number, _ in kept if number is not None} == {"stats", "all"}
    assert {name for name, _, relied in kept if relied is not None} <= {"ads", "stats", "all"}


def test_who_was_looked_at_is_sealed(log):
    """A row that rests on others names nobody to who reads the table; what cannot be opened is not decided again."""
    with psycopg.connect(log.database.owner_url) as owner:
        sealed = owner.execute("SELECT relied FROM decision_log WHERE relied IS NOT NULL").fetchall()
        ids = [row[0] for row in owner.execute("SELECT id::text FROM consent_event").fetchall()]
    assert sealed
    assert not any(each.encode() in bytes(blob) for (blob,) in sealed for each in ids)
    _changed(log.database, "UPDATE decision_log SET relied = relied || '\\x00' WHERE relied IS NOT NULL RETURNING id")
    status, said = _replayed(log)
    assert (status, "who was looked at cannot be opened" in said) == (INCOMPLETE, True)
