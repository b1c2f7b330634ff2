"""The reference deployment (deploy/patroni) loses its primary in each way that there is; a short run, for each change.

`./dev e2e failover` is the long one. Times are told, and held to nothing: docs/failover.md.
"""

import json

import pytest

from tests.e2e.failover.inside import run_inside
from tests.e2e.failover.report import table

KINDS = ("lag", "freeze", "partition", "split")
"""`lag`: a kill while one of the standbys lags."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """What was found: under a failover of each kind, with a service behind HAProxy, and in the control."""
    results = tmp_path_factory.mktemp("failover") / "results.jsonl"
    status = run_inside(
        "tests.e2e.failover",
        ["--inside", ",".join(KINDS), "--control", "--proxied", "--results", str(results)],
    )
    assert status == 0
    by_part = {part["part"]: part for part in map(json.loads, results.read_text().splitlines())}
    print(table([by_part["failovers"]]))
    return by_part


@pytest.fixture(scope="module")
def findings(parts):
    """What was found under synchronous replication."""
    return parts["failovers"]


def test_every_kind_of_failover_happened(findings):
    """Each fault was followed by a promotion of another node, under questions and writes."""
    assert [each["kind"] for each in findings["failovers"]] == list(KINDS)
    assert all(each["new"] != each["old"] for each in findings["failovers"])
    assert findings["permits"]
    assert findings["writes"]


def test_nothing_is_wrong(findings):
    """Whatever was answered about a user can have happened one after the other: no stale permit, no lost grant.

    The last primary holds every grant, refusal, withdrawal, closure, version and revocation that was answered, and
    every consent that a permit named. Every question about a purpose of III was a permit, during every fault. Whatever
    was refused was refused by 503. Services, workers and jobs processes are those of the beginning.
    """
    assert findings["exempt"]
    assert findings["wrong"] == []


def test_every_service_decides_again(findings):
    """Every service answered under IV after every promotion."""
    assert all(None not in each["to_first_answer"] for each in findings["failovers"])


def test_a_standby_that_lags_is_not_promoted(findings):
    """Of two standbys, the one that had received less than was answered does not become the primary."""
    (lagged,) = [each for each in findings["failovers"] if each["kind"] == "lag"]
    assert lagged["lagged_bytes"] > 0
    assert lagged["lagging"] not in {None, lagged["new"]}


def test_an_asynchronous_standby_loses_what_was_answered(parts):
    """Control: without synchronous replication answered writes are gone, and histories and ledger both show it."""
    assert parts["control"]["lost"]
    assert parts["control"]["not_linearizable"]
