"""An invalidation is one entry of the log, and decisions are decided again as they were before it and after."""

import json
from collections import Counter

import pytest

from tests.faults.service import eventually
from tests.proof.asking import replayed
from tests.proof.logs import GOOD, INCOMPLETE, WRONG, Log, ended, lines_of
from tests.support.api import running
from tests.support.consents import hash_of, notice_of
from tests.support.databases import new_database
from tests.support.decision_rows import alter, every, logged_rows
from tests.support.invalidations import WHY, invalidate

TEXT = hash_of(notice_of("ads")["fr"])


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A deployment in which a version and a text were invalidated, all of it in the log."""
    with new_database() as database:
        with running(database) as api:
            api.agreed("ads", "alice")
            for more in ({}, {"text": TEXT}):
                assert invalidate(api, "ads", **more).status_code == 201
        made = Log(database, tmp_path_factory.mktemp("log"))
        assert "entries appended" in made.append()
        yield made


def test_each_invalidation_is_one_entry_that_tells_no_text(log):
    """Each invalidation is one entry, without the text's hash and the reason, which are in its body."""
    bundle = log.bundle()
    assert ended(log.verify(bundle), INCOMPLETE)
    lines = [line for line in lines_of(bundle) if json.loads(line["entry"])["kind"] == "invalidation"]
    assert [json.loads(line["entry"])["id"] for line in lines] == ["ads/1", "ads/2"]
    assert not any(TEXT in line["entry"] or WHY in line["entry"] for line in lines)
    assert all(WHY in json.dumps(line["body"]) for line in lines)


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
        api.agreed("ads", "alice", party_mode="all_local_users")
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
    assert ended(replayed(log), GOOD, "14 decisions, 14 reproduced, 0 different, 0 not reproducible\n")
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
    assert (status, output.count("DIFFERENT: ")) == (WRONG, 2), output
