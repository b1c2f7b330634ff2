"""A replay decides logged decisions again on what was known then, and names what was altered since."""

import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.audit.decision_log import rules_digest
from app.db.session import random_id
from tests.faults.service import eventually
from tests.proof.asking import PEOPLE, PROCESSINGS, WIDE, ask, ask_many, replayed
from tests.proof.logs import GOOD, INCOMPLETE, WRONG, Log, copied, ended
from tests.support import two_persons
from tests.support.api import TestClock, running, subject
from tests.support.commands import run_command
from tests.support.databases import new_database, rows
from tests.support.decision_rows import add, alter, every, logged, logged_rows, once, segment_of, with_facts
from tests.support.exports import key_of, restored
from tests.support.sweeping import sweep

NUMBER = 12
"""Decisions before and after each change."""
_MOMENT = timedelta(seconds=1)


def _happen(api, chance):
    """Have people decide and withdraw, and add versions."""
    for _ in range(6):
        name, about = chance.choice(PEOPLE), chance.choice(["ads", "stats", "all"])
        if chance.random() < 0.7:
            decision = chance.choice(["granted", "granted", "refused"])
            api.decide(name, about, "refused" if name == "desk" else decision)  # a shared mailbox is given no consent
        else:
            api.withdraw(name, chance.choice([about, None]))


def _made(database, place):
    """Make six times as many decisions, under two settings of the service, in either mode, with changes in between."""
    chance, log = random.Random(7), Log(database, place)
    assert log.close() == 1  # statements begin with the first run, some minutes ago
    with running(database, cache="strict", **WIDE) as api:
        for each, more in PROCESSINGS.items():
            api.register(each, **more)
        ask(api, chance, NUMBER)
        for name in PEOPLE:
            for each in ("ads", "stats", "all"):
                api.decide(name, each)
        api.ok("POST", "/v1/subjects/mailboxes", {"subject": subject("desk"), "shared": True})
        for _ in range(2):
            ask(api, chance, NUMBER)
            _happen(api, chance)
    with running(database, cache="leased", consent_validity="P3M", period_counting="same_instant", **WIDE) as api:
        for _ in range(2):
            ask(api, chance, NUMBER)
            _happen(api, chance)
        assert two_persons.add(api, "ads", elements=["content"], reason="Less.").status_code == 201
        api.ok("PATCH", "/v1/processings/all", {"status": "suspended"})
        ask(api, chance, NUMBER)
    return log


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A deployment with a few decisions."""
    with new_database() as database:
        yield _made(database, tmp_path_factory.mktemp("made"))


@pytest.fixture
def log(made, tmp_path):
    """The same, for a test to change."""
    with copied(made, tmp_path) as log:
        yield log


@pytest.fixture(scope="module")
def made_stated(made, tmp_path_factory):
    """That deployment, with its decisions stated as if this hour were over, and entered."""
    with copied(made, tmp_path_factory.mktemp("stated")) as log, pytest.MonkeyPatch.context() as patch:
        assert _closed(log, patch) > 0
        log.append()
        yield log


@pytest.fixture
def stated(made_stated, tmp_path):
    """The same, for a test to change."""
    with copied(made_stated, tmp_path) as log:
        yield log


def _closed(log, monkeypatch):
    """Merge and state the log as if this hour were over."""
    monkeypatch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-1))
    return log.close()


def _is_denied(decision):
    return not decision.facts.shape.permitted and decision.facts.shape.processing == "ads"


def _changed(database, statement, *values):
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        row = owner.execute(statement, values).fetchone()
    assert row is not None, statement
    return str(row[0])


def test_every_decision_comes_out_the_same(made_stated):
    """A replay reproduces each decision, although settings, texts, consents and the mode have changed in between."""
    counts = "72 decisions, 72 reproduced, 0 different, 0 not reproducible\n"
    assert ended(replayed(made_stated), GOOD, counts, "Stated from ", " 0 altered")


def test_many_decisions_of_two_builds_come_out_the_same(database, tmp_path, monkeypatch):
    """A replay reproduces thousands of decisions of two builds, whose rules have other digests but decide alike.

    `REPLAYED=100000 ./dev test tests/proof/test_replay.py -k many` is the size that docs/proof.md speaks of.
    """
    chance, half = random.Random(11), int(os.environ.get("REPLAYED", "2000")) // 2
    with running(database, cache="leased", **WIDE) as api:
        for each, more in PROCESSINGS.items():
            api.register(each, **more)
        for _ in range(3):
            _happen(api, chance)
        ask_many(api, chance, half)
    monkeypatch.setattr("app.wiring.services.version", lambda _: "0.2.0")
    monkeypatch.setattr("app.wiring.services.rules_digest", lambda: "f" * 16)
    with running(database, cache="leased", consent_validity="P3M", **WIDE) as api:
        for _ in range(3):
            _happen(api, chance)
        ask_many(api, chance, half)
    log = Log(database, tmp_path)
    assert ended(replayed(log), GOOD, f"{2 * half} decisions, {2 * half} reproduced, 0 different, 0 not reproducible\n")
    permits = [it.facts for it in logged_rows(database) if it.facts.shape.permitted and it.facts.shape.build == "0.1.0"]
    consent = next(permit.consent for permit in permits if permit.consent is not None)
    refusal = "UPDATE consent_event SET kind = 'refused', expires_at = NULL, counting = NULL WHERE id = %s RETURNING id"
    _changed(log.database, refusal, consent)
    assert ended(replayed(log), WRONG, "consent_in_force in the log, consent_refused now")


def test_what_the_sweep_notes_accuses_nobody(database, tmp_path):
    """A decision that did not know the sweep's notes is still reproduced, because notes are not facts."""
    with running(database, clock=TestClock(datetime.now(UTC) - timedelta(days=400))) as api:
        for name, more in PROCESSINGS.items():
            api.register(name, **more)
        api.decide("alice", "ads")  # has lapsed since
        api.decide("dave", "stats")
    with running(database, cache="leased", **WIDE) as api:
        api.agreed("old", "dave")
        services: Any = api.client.app
        eventually(services.state.services.memory.replica.lease.held)
        for name in ("bob", "carol"):
            api.decide(name, "ads")
        assert two_persons.add(api, "ads", elements=["content", "attachments"], material=True).status_code == 201
        api.ok("POST", "/v1/subjects/closures", {"subject": subject("carol")})
        api.ok("PATCH", "/v1/processings/old", {"status": "retired"})
        ask(api, random.Random(1), 60)
        sweep(database)
        swept = datetime.now(UTC)
        ask(api, random.Random(1), 60)
    with psycopg.connect(database.owner_url) as owner:
        swept_closure = "kind = 'closed' AND processing = 'old'"
        noted = f"SELECT DISTINCT kind FROM consent_event WHERE kind IN ('expired', 'superseded') OR {swept_closure}"
        assert owner.execute(noted).rowcount == 3
    minute = timedelta(minutes=1)  # longer than anybody may take to hear of a fact
    alter(database, lambda every: [replace(each, at=each.at + minute) if each.at > swept else each for each in every])
    report = tmp_path / "differences.ndjson"
    told = replayed(Log(database, tmp_path), more=("--differences", report))
    assert ended(told, GOOD, "120 decisions, 120 reproduced, 0 different, 0 not reproducible")
    assert report.read_text() == ""


@pytest.mark.parametrize("what", ["answer", "deleted", "added"])
def test_a_row_that_was_altered_is_seen(stated, what):
    """A decision that was changed, deleted or added after it was stated is named as altered."""
    first = next(filter(_is_denied, logged_rows(stated.database)))
    changes = {
        "answer": [lambda it: with_facts(it, permitted=True)],
        "deleted": [],
        "added": [lambda it: it, lambda it: replace(it, id=UUID(bytes=it.id.bytes[:6] + random_id().bytes[6:]))],
    }
    alter(stated.database, once(lambda it: it == first, *changes[what]))
    told = replayed(stated)
    assert ended(told, WRONG, "ALTERED: ")
    assert (f"DIFFERENT: {first.id}" in told[1]) == (what == "answer")


def test_a_segment_is_stated_once_and_merging_changes_no_decision(log, monkeypatch):
    """Merging keeps all logged decisions and states them once; a second run has nothing to do."""
    before = logged_rows(log.database)
    assert _closed(log, monkeypatch) > 0
    assert logged_rows(log.database) == before
    assert log.close() == 0
    status, output = replayed(log)
    assert (status, "NOT STATED YET" in output) == (0, False), output


@pytest.mark.parametrize("ends", [timedelta(0), timedelta(minutes=30)])
def test_part_of_an_hour_is_compared_as_the_whole(log, monkeypatch, ends):
    """A replay of part of an hour reports nothing as altered because it lies outside that part."""
    _closed(log, monkeypatch)
    last = logged_rows(log.database)[-1].at
    hour = last.replace(minute=0, second=0, microsecond=0)
    begins, until = (last + timedelta(seconds=1), hour + timedelta(hours=1)) if ends else (hour, hour + _MOMENT)
    between = ("--since", f"{begins:%Y-%m-%dT%H:%M:%S}", "--until", f"{until:%Y-%m-%dT%H:%M:%S}")
    status, _, output = log.sceau("proof", "replay", *between)
    assert (status, " 0 altered" in output) == (0, True), output


def test_decisions_that_are_not_stated_yet_are_told(made):
    """A replay covers this hour's decisions too, and says that they are not stated yet."""
    assert ended(replayed(made), GOOD, f"NOT STATED YET: {len(logged_rows(made.database))} decisions")


def test_decisions_that_come_late_are_stated_late(log, monkeypatch):
    """Decisions logged late for a stated hour are stated with the next one, and marked as late."""
    _closed(log, monkeypatch)
    late = segment_of([replace(logged_rows(log.database)[0], id=random_id())])
    add(log.database, late)
    assert "NOT STATED YET: 1 decisions" in replayed(log)[1]
    monkeypatch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-2))
    assert log.close() == 2  # what is late, and the hour
    assert ended(replayed(log), GOOD, "LATE: 1 decisions", " 0 altered")
    alter(log.database, once(lambda it: it.id == late.id or _is_denied(it), lambda it: with_facts(it, permitted=True)))
    assert "ALTERED: " in replayed(log)[1]


def test_decisions_that_were_not_logged_are_told(log, monkeypatch):
    """A replay says how many decisions a full log could not take."""
    first = "SELECT gen_random_uuid(), min(from_at), 7 FROM decision_segment"
    _changed(log.database, f"INSERT INTO decision_drop (id, at, number) {first} RETURNING id")
    _closed(log, monkeypatch)
    assert ended(replayed(log), INCOMPLETE, "NOT LOGGED: 7 decisions")


@pytest.mark.parametrize("what", ["quiet hour", "statement gone", "statement changed"])
def test_whoever_alters_the_statements_too_is_seen(stated, what):
    """A decision added to an hour stated as empty, and a statement removed or rewritten, are named."""
    hours = "kind = 'decision_hour' AND body->'segments' <> '[]'"
    changes = {
        "statement gone": "DELETE FROM proof_statement WHERE kind = 'decision_hour' RETURNING id",
        "statement changed": f"UPDATE proof_statement SET body = jsonb_set(body, '{{segments}}', '[]') WHERE {hours} "
        "RETURNING id",
    }
    if what == "quiet hour":
        add(stated.database, segment_of([logged(datetime.now(UTC) - timedelta(hours=1))]), merged=True)
    else:
        _changed(stated.database, changes[what])
    assert ended(replayed(stated), WRONG, "ALTERED: ")


SEGMENTS = {
    "counts": ['UPDATE decision_segment SET counts = \'[["ads", false, "no_consent", 99]]\''],
    "its beginning": ["UPDATE decision_segment SET from_at = from_at + interval '1 microsecond'"],
    "its end": ["UPDATE decision_segment SET to_at = to_at + interval '1 microsecond'"],
    "its digest": ["UPDATE decision_segment SET sha256 = sha256(sha256)"],
    "no merged one": ["UPDATE decision_segment SET merged = false"],
    "content that is none": ["UPDATE decision_segment SET data = 'x'"],
    "a directory that is none": ["UPDATE decision_segment SET directory = 'x'"],
    "an opening": [
        "DELETE FROM proof_opening WHERE position IN (SELECT position FROM proof_entry WHERE kind = 'statement')"
    ],
    "an entry": ["DELETE FROM proof_opening", "DELETE FROM proof_entry WHERE kind = 'statement'"],
}


@pytest.mark.parametrize("statements", SEGMENTS.values(), ids=SEGMENTS.keys())
def test_what_a_segment_says_is_stated_too(stated, statements):
    """A segment that is altered, unreadable or without what the log committed to is named."""
    stated.superuser(*statements)
    assert ended(replayed(stated), WRONG, "ALTERED: ")


def test_a_second_statement_of_a_segment_is_seen(stated):
    """An altered segment that is stated a second time, as late, is named."""
    alter(stated.database, once(_is_denied, lambda it: with_facts(it, permitted=True)))
    add_again = """
    INSERT INTO proof_statement (id, kind, at, body)
    SELECT gen_random_uuid(), kind, at, jsonb_build_object('since', body->>'until', 'until', body->>'until', 'segments',
        '[]'::jsonb, 'dropped', 0, 'late', jsonb_build_array(body->'segments'->0 || jsonb_build_object('sha256',
        (SELECT encode(sha256, 'hex') FROM decision_segment WHERE id = (body->'segments'->0->>'id')::uuid))))
    FROM proof_statement WHERE body->'segments' <> '[]' LIMIT 1 RETURNING id
    """
    _changed(stated.database, add_again)
    assert ended(replayed(stated), WRONG, "two statements name one segment")


def test_statements_go_on_where_they_ended_though_a_clock_was_set_back(log, monkeypatch):
    """No hour is stated twice, even if ids of statements are out of order, because their own times count."""
    assert _closed(log, monkeypatch) > 0
    other = "UPDATE proof_statement SET id = gen_random_uuid() WHERE kind = 'decision_hour' RETURNING id"
    _changed(log.database, other)
    assert log.close() == 0


def test_the_running_hour_is_put_together(log, monkeypatch):
    """Many small segments of the running hour become one, which is stated with the hour."""
    monkeypatch.setattr("app.operations.proof.close_hours._MANY", 10)
    monkeypatch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(0))
    before = logged_rows(log.database)
    number = "SELECT count(*) FILTER (WHERE NOT merged), count(*) FILTER (WHERE merged) FROM decision_segment"
    with psycopg.connect(log.database.owner_url, autocommit=True) as owner:
        log.close()
        small, merged = owner.execute(number).fetchone() or (0, 0)
        assert (small + merged) <= 2  # of one hour, or of two
        assert logged_rows(log.database) == before
        assert _closed(log, monkeypatch) > 0
        assert (owner.execute(number).fetchone() or (1,))[0] == 0
    status, output = replayed(log)
    assert (status, " 0 altered" in output, "LATE" in output) == (0, True, False), output


def test_a_large_hour_is_stated_piece_by_piece(log, monkeypatch):
    """No transaction merges more than its share; the pieces of an hour are one time, without a gap."""
    monkeypatch.setattr("app.operations.proof.close_hours._MOST_ROWS", 10)
    before = logged_rows(log.database)
    assert _closed(log, monkeypatch) >= len(before) // 10
    assert logged_rows(log.database) == before
    status, output = replayed(log)
    assert (status, " 0 altered" in output, "LATE" in output) == (0, True, False), output


def test_a_statement_of_another_time_is_compared_all_the_same(stated):
    """A replay finds a statement by the hour that it is about, however late it was stated."""
    _changed(stated.database, "UPDATE proof_statement SET at = at + interval '25 hours' RETURNING id")
    alter(stated.database, once(_is_denied))
    assert ended(replayed(stated), WRONG, "ALTERED: ")


def test_a_log_of_decisions_that_stayed_behind_is_no_alteration(log, monkeypatch, tmp_path):
    """After a restore from an export, missing decisions are not named as deleted, because the trail has the restore."""
    _closed(log, monkeypatch)
    assert run_command(log.database, "export", tmp_path / "all.ndjson")[0] == 0
    with new_database() as empty:
        assert restored(empty, tmp_path / "all.ndjson", key_of(log.database))[0] == 0
        (tmp_path / "there").mkdir()
        moved = Log(empty, tmp_path / "there")
        status, output = replayed(moved)
        assert (status, "ALTERED: " in output, "of days that were dropped or stayed behind" in output) == (
            0,
            False,
            True,
        )
        with psycopg.connect(empty.owner_url, autocommit=True) as owner:
            owner.execute("SET session_replication_role = replica")
            owner.execute("DELETE FROM administrative_act WHERE act = 'deployment.restored'")
        assert "ALTERED: " in replayed(moved)[1]


def test_a_day_that_was_dropped_is_no_alteration(log, monkeypatch):
    """A dropped day is told apart; an act that says so of a day within the owner's limit excuses nothing."""
    old = datetime.now(UTC) - timedelta(days=40)
    add(log.database, segment_of([logged(old)]))
    assert _closed(log, monkeypatch) > 0
    log.append()
    with psycopg.connect(log.database.owner_url, autocommit=True) as owner:
        assert owner.execute("SELECT sceau_drop_log_before(current_date - 31)").fetchone() == (1,)
        told = replayed(log, more=("--since", f"{old:%Y-%m-%d}"))
        assert ended(told, GOOD, "1 of days that were dropped or stayed behind, 0 altered")
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM decision_segment")
        days = "SELECT generate_series(now() - interval '1 day', now() + interval '1 day', '1 day') AS day"
        detail = "jsonb_build_object('day', to_char(day, 'YYYY-MM-DD'))"
        owner.execute(f"SELECT sceau_record_act('decision_log.dropped', 'service', {detail}) FROM ({days}) AS days")
    assert "decisions were logged, and are gone" in replayed(log)[1]


@pytest.mark.parametrize("what", ["known", "version", "party_mode", "participants", "subject_ref"])
def test_a_row_that_says_it_knew_something_else_is_seen(log, what):
    """A row that claims other known facts than those that decide it is named, also a row about several people."""
    changes = {
        "known": {"known": lambda row: row["known"] + 1},
        "version": {"version": lambda row: row["version"] + 7},
        "party_mode": {"party_mode": lambda _: "x"},
        "participants": {"participants": lambda row: row["participants"] + 5},
    }
    if what == "subject_ref":
        alter(log.database, once(_looked_at_others, lambda it: replace(it, person=b"\7" * 16)))
    else:
        alter(log.database, every(_looked_at_others, **changes[what]))
    status, output = replayed(log)
    assert status != 0
    assert "DIFFERENT: " in output or "another row's" in output, output


def _looked_at_others(decision):
    facts = decision.facts
    return facts.relied is not None and facts.known > 0 and bool(facts.participants) and facts.shape.version is not None


def test_a_permit_long_after_a_withdrawal_is_seen(log):
    """A permit dated long after a withdrawal that it does not know of is named."""
    last = rows(log.database, "SELECT subject_ref, max(seq) FROM consent_event GROUP BY subject_ref")
    newest = {bytes(ref)[:16]: order for ref, order in last}

    def was_overtaken(it):
        facts = it.facts
        is_permit = facts.shape.permitted and facts.shape.processing == "ads" and facts.known > 0
        return is_permit and newest.get(it.subject_ref, 0) > facts.known

    alter(log.database, once(was_overtaken, lambda it: replace(it, at=it.at + timedelta(minutes=2))))
    assert ended(replayed(log), WRONG, "heard in time True in the log, False now")


def test_what_cannot_be_decided_again_is_said(log, monkeypatch):
    """A decision under an unknown counting, or by other rules that decide otherwise, is told as not reproducible."""
    other = once(lambda it: it.facts.shape.reason != "consent_in_force", lambda it: with_facts(it, policy="P2Y/never"))
    alter(log.database, other)
    status, output = replayed(log)
    reason = "NOT REPRODUCIBLE: 1: periods were counted in a way that these rules do not know"
    assert (status, reason in output) == (INCOMPLETE, True)
    monkeypatch.setattr("app.operations.proof.replay_decisions.rules_digest", lambda: "other")
    assert replayed(log)[1].endswith("72 decisions, 71 reproduced, 0 different, 1 not reproducible\n")
    permit = once(
        lambda it: it.facts.shape.reason == "consent_in_force", lambda it: with_facts(it, reason="consent_expired")
    )
    alter(log.database, permit)
    status, output = replayed(log)
    assert (status, "0 different, 2 not reproducible" in output) == (INCOMPLETE, True)
    assert f"decided by the rules {rules_digest()} of build " in output


def test_other_parties_are_kept_where_a_processing_asks_for_them_only(made):
    """A logged row holds nothing of the participants unless its processing asks them, in either mode."""
    assert (
        made.value("SELECT count(*) FROM subject WHERE shared") == 1
    )  # that it is shared counts for every processing of IV
    kept = [each.facts for each in logged_rows(made.database)]
    assert {each.shape.processing for each in kept if each.participants is not None} == {"stats", "all"}
    assert {each.shape.processing for each in kept if each.relied is not None} <= {"ads", "stats", "all"}


def test_who_was_looked_at_is_sealed(log):
    """A row seals which events of others it rests on; if the seal cannot be opened, it is not reproducible."""
    ids = [identifier for (identifier,) in rows(log.database, "SELECT id::text FROM consent_event")]
    sealed = [it.facts.relied for it in logged_rows(log.database) if it.facts.relied is not None]
    assert sealed
    assert not any(each.encode() in blob for blob in sealed for each in ids)
    alter(
        log.database, every(lambda it: it.facts.relied is not None, relied=lambda row: (row["relied"] or b"") + b"\0")
    )
    assert ended(replayed(log), INCOMPLETE, "who was looked at cannot be opened")
