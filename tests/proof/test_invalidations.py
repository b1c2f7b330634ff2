"""An invalidation is one entry of the log, and decisions are decided again as they were before it and after."""

import json
from collections import Counter

import pytest

from tests.faults.service import eventually
from tests.proof.asking import replayed
from tests.proof.logs import Log, lines_of
from tests.support.api import running
from tests.support.consents import hash_of, notice_of
from tests.support.databases import new_database
from tests.support.decision_rows import alter, every, logged_rows
from tests.support.invalidations import WHY, invalidate

GOOD_BUT_NOT_ANCHORED = 3
TEXT = hash_of(notice_of("ads")["fr"])


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A deployment in which a version and a text were invalidated, all of it in the log."""
    with new_database() as database:
        with running(database) as api:
            api.register("ads")
            api.decide("alice", "ads")
            for more in ({}, {"text": TEXT}):
                assert invalidate(api, "ads", **more).status_code == 201
        made = Log(database, tmp_path_factory.mktemp("log"))
        assert "entries appended" in made.append()
        yield made


def test_each_invalidation_is_one_entry_that_tells_no_text(log):
    """Each invalidation is one entry, without the text's hash and the reason, which are in its body."""
    bundle = log.bundle()
    status, output = log.verify(bundle)
    assert (status, "WRONG" in output) == (GOOD_BUT_NOT_ANCHORED, False), output
    lines = [line for line in lines_of(bundle) if json.loads(line["entry"])["kind"] == "invalidation"]
    assert [json.loads(line["entry"])["id"] for line in lines] == ["ads/1", "ads/2"]
    assert not any(TEXT in line["entry"] or WHY in line["entry"] for line in lines)
    assert all(WHY in json.dumps(line["body"]) for line in lines)


TAMPERED = {
    "its reason is changed": "UPDATE processing_invalidation SET reason = 'x' WHERE number = 1",
    "it is back-dated": "UPDATE processing_invalidation SET at = at - interval '1 day' WHERE number = 1",
    "it is about another text": "UPDATE processing_invalidation SET text_sha256 = sha256('x') WHERE number = 2",
    "who made it is changed": "UPDATE processing_invalidation SET recorded_by = gen_random_uuid() WHERE number = 1",
    "it is deleted": "DELETE FROM processing_invalidation WHERE number = 1",
    "one is put in past the log": """INSERT INTO processing_invalidation
        (processing, number, text_sha256, reason, recorded_at, recorded_by, at)
        VALUES ('ads', 9, sha256('y'), 'x', now(), gen_random_uuid(), now())""",
}


@pytest.mark.parametrize("statement", TAMPERED.values(), ids=TAMPERED.keys())
def test_an_invalidation_that_was_tampered_with_is_named(log, statement):
    """An invalidation that a superuser changed, removed or added is named; once restored, the bundle is good."""
    log.superuser("CREATE TABLE kept AS TABLE processing_invalidation", statement)
    status, output = log.verify(log.bundle())
    log.superuser("DELETE FROM processing_invalidation", "INSERT INTO processing_invalidation SELECT * FROM kept")
    log.superuser("DROP TABLE kept")
    assert (status, "WRONG:" in output, "invalidation" in output) == (1, True, True), output
    assert log.verify(log.bundle())[0] == GOOD_BUT_NOT_ANCHORED


def _ask(api, number):
    """Ask about people whose consents rest on the invalidated text or on another, alone and together."""
    written = api.client.app.state.services.recorder.log.counts
    before = written.written
    for _ in range(number):
        for name in ("alice", "bob"):
            api.evaluate(name, "ads", participants=[{"id": "bob" if name == "alice" else "alice", "local": True}])
    eventually(lambda: written.written == before + 2 * number)


@pytest.mark.parametrize("cache", ["strict", "leased"])
def test_decisions_of_before_and_after_come_out_as_they_were(database, tmp_path, cache):
    """Decisions from before and after an invalidation are reproduced, in either mode, and a false one is named."""
    log = Log(database, tmp_path)
    with running(database, cache=cache, decision_log="durable") as api:
        api.register("ads", party_mode="all_local_users")
        api.decide("alice", "ads")
        api.decide("bob", "ads", evidence={"language": "en"})
        _ask(api, 2)
        api.ok("PATCH", "/v1/processings/ads", {"status": "suspended"})
        _ask(api, 1)
        api.ok("PATCH", "/v1/processings/ads", {"status": "active"})
        _ask(api, 1)
        invalidate(api, "ads", text=TEXT)
        _ask(api, 2)
        api.ok("PATCH", "/v1/processings/ads", {"status": "suspended"})
        _ask(api, 1)
    status, output = replayed(log)
    assert output.endswith("14 decisions, 14 reproduced, 0 different, 0 not reproducible\n"), output
    assert status == 0
    assert Counter(it.facts.shape.reason for it in logged_rows(database)) == {
        "consent_in_force": 6,
        "consent_invalid": 2,
        "other_party": 2,
        "processing_suspended": 4,
    }
    alter(
        database, every(lambda it: it.facts.shape.reason == "consent_invalid", changes=lambda row: row["changes"] - 1)
    )
    status, output = replayed(log)
    assert (status, output.count("DIFFERENT: ")) == (1, 2), output
