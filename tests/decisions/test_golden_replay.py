from pathlib import Path

import pytest

from app.conformance.reader import read_file
from app.conformance.run import decide
from tests.support.api import TestClock, running
from tests.support.databases import new_database
from tests.support.golden_replay import FAR_AHEAD, Replay, answered_live, body_of, is_refused, wire

FOLDER = Path(__file__).parents[1] / "conformance"
DECISIONS = read_file(FOLDER / "decisions.yaml")
EDGES = read_file(FOLDER / "edges.yaml")
LOWER_CASE_TERRITORY = "a territory is a code in capitals, and nothing else is one"


def _replay(file):
    with new_database() as database:
        clock = TestClock(FAR_AHEAD)
        with running(database, clock=clock, consent_validity=str(file.policy.ceiling)) as api:
            replay = Replay(api, clock, database, file)
            replay.register()
            yield replay


@pytest.fixture(scope="module")
def decisions():
    """The register of decisions.yaml in a database of its own."""
    yield from _replay(DECISIONS)


@pytest.fixture(scope="module")
def edges():
    """The register of edges.yaml in a database of its own, under that file's ceiling."""
    yield from _replay(EDGES)


def _told(answer):
    context = answer["context"]
    shown = {key: context.get(key) for key in ("reason", "article", "law_version", "valid_until", "expires_at")}
    return {"decision": answer["decision"], **shown}


def _wanted(file, case):
    """What the core says of the case, which must be what the file expects."""
    decision = decide(file, case)
    values = {
        "decision": decision.permitted,
        "reason": decision.reason,
        "article": decision.article,
        "law_version": decision.law_version,
        "valid_until": wire(decision.valid_until) if decision.valid_until is not None else None,
        "expires_at": wire(decision.expires_at) if decision.expires_at is not None else None,
    }
    expected = {key: wire(value) if key == "valid_until" and value else value for key, value in case.expect.items()}
    assert {key: values[key] for key in expected} == expected
    return values


def _check(replay, case):
    replay.record(case)
    body = replay.question(case)
    wanted = _wanted(replay.file, case)
    replay.clock.at = FAR_AHEAD
    explained = replay.api.ok("POST", "/v1/explanations", {**body, "at": wire(case.at)})
    assert _told(explained) == wanted
    assert explained["rules"][-1]["matched"] is True
    if answered_live(replay.file, case):
        replay.clock.at = case.at
        live = replay.api.ok("POST", "/access/v1/evaluation", body)
        assert _told(live) == wanted


@pytest.mark.parametrize("case", DECISIONS.cases, ids=lambda case: case.name)
def test_a_golden_case_through_the_api(decisions, case):
    """A golden case gets the decision, reason, article and deadline that it expects, explained and live.

    If the register refuses the case's processing, the API's refusal is checked instead.
    """
    entry = DECISIONS.processings.get(case.request.processing)
    if entry is not None and is_refused(entry):
        refused = decisions.api.call("POST", "/v1/processings", body_of(entry))
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "conditional")
        return
    _check(decisions, case)


@pytest.mark.parametrize("case", EDGES.cases, ids=lambda case: case.name)
def test_a_golden_edge_through_the_api(edges, case):
    """A golden edge case gets what it expects; the one with a territory in lower case is refused instead."""
    if case.name == LOWER_CASE_TERRITORY:
        refused = edges.api.call("POST", "/access/v1/evaluation", edges.question(case))
        assert refused.status_code == 400
        return
    _check(edges, case)


def test_how_many_cases_are_answered_live():
    """Six golden cases, and two of the edges, are not asked live, because they record something after their instant."""
    left_out = {case.name for case in DECISIONS.cases if not answered_live(DECISIONS, case)}
    assert len(DECISIONS.cases) == 161
    assert left_out == {
        "one second before the withdrawal",
        "suspended",
        "valid_until stops at a suspension already scheduled",
        "before it was learnt the answer was what it was",
        "an exempt permit says until when, where a suspension is scheduled",
        "transition: a suspension already scheduled bounds the permit",
    }
    assert sum(answered_live(EDGES, case) for case in EDGES.cases) == len(EDGES.cases) - 2
