"""A deployment that promises a synchronous standby answers nothing that only one server has."""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.replication.nodes import dsn
from tests.faults.service import COMMAND, HANGS, ROOT, environment, eventually, free_port
from tests.faults.words import ADS, FILTER, decision, question, withdrawal

EVALUATION = "/access/v1/evaluation"
NEEDS_CONSENT = "/readyz?need=IV"


@pytest.fixture
def pair(nodes):
    """A primary whose commits wait for its standby."""
    primary, standby = nodes
    primary.set("synchronous_standby_names", standby.name)
    eventually(lambda: primary.sql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
    return primary, standby


@pytest.fixture
def synchronous(pair, serve):
    """Start a service that promises it, with a consent of alice and bob."""

    def start(**more):
        service = serve(SCEAU_DURABILITY="synchronous", **more)
        for each in (ADS, FILTER):
            service.ok("POST", "/v1/processings", each)
        for user in ("alice", "bob"):
            service.ok("POST", "/v1/consents", decision(user))
            assert _decision(service, user) is True
        service.ok("POST", EVALUATION, question("alice", "filter"))
        return service

    return start


def _decision(service, user, processing="ads-mail"):
    """The decision, or the problem that stood in its way."""
    answer = service.call("POST", EVALUATION, question(user, processing))
    return answer.json().get("decision", answer.json().get("type"))


def _refused(address, **settings):
    """What `sceau serve` says when it does not start on that database."""
    variables = {"SCEAU_DATABASE_URL": address, "SCEAU_DATABASE_TIMEOUT": "PT2S", "SCEAU_JOBS": "false", **settings}
    done = subprocess.run(
        [*COMMAND, "serve", "--port", str(free_port())],
        env=environment(**variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def _unavailable(answer):
    return answer == "urn:sceau:problem:evidence-unavailable"


def test_without_its_standby_a_primary_is_not_believed(pair, synchronous):
    """No beat commits: IV is 503, III goes on, no withdrawal is 2xx; once the standby is back all is as before."""
    _, standby = pair
    service = synchronous()
    assert service.call("GET", "/readyz").json()["status"] == "ready"
    standby.freeze()
    eventually(lambda: _unavailable(_decision(service, "alice")))
    assert service.call("GET", "/readyz").json()["status"] == "degraded"
    assert _decision(service, "alice", "filter") is True
    answers = [service.call("POST", "/v1/withdrawals", withdrawal("alice")).status_code for _ in range(3)]
    assert answers == [503, 503, 503]
    standby.thaw()
    eventually(lambda: service.call("POST", "/v1/withdrawals", withdrawal("alice")).status_code == 200)
    eventually(lambda: _decision(service, "bob") is True)
    assert _decision(service, "alice") is False


def test_whoever_reads_on_permits_without_a_proof(pair, synchronous):
    """Control: a service that reads the primary whether or not its commits return goes on to permit."""
    _, standby = pair
    service = synchronous(without="no proof")
    standby.freeze()
    eventually(lambda: service.call("GET", "/readyz").json()["leased"] is False)
    assert _decision(service, "alice") is True
    standby.thaw()


def test_what_the_server_waits_for_counts_whatever_the_deployment_says(pair, serve):
    """A service that was set to `local` on such a server proves what it reads by a commit all the same."""
    _, standby = pair
    service = serve(SCEAU_DURABILITY="local", SCEAU_CACHE="strict")
    service.ok("POST", "/v1/processings", ADS)
    service.ok("POST", "/v1/consents", decision("alice"))
    assert _decision(service, "alice") is True
    standby.freeze()
    assert _unavailable(_decision(service, "alice"))
    standby.thaw()
    eventually(lambda: _decision(service, "alice") is True)


@pytest.mark.parametrize(("without", "status"), [(None, 503), ("deaf", 200)])
def test_a_commit_that_was_not_replicated_is_not_answered(pair, synchronous, without, status):
    """A COMMIT whose wait is cancelled succeeds with a warning: 503 `outcome-unknown`; the control does not hear it."""
    primary, standby = pair
    service = synchronous(without=without, SCEAU_DATABASE_TIMEOUT="PT20S")
    cancel = (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
        "AND query LIKE 'COMMIT%' AND application_name = 'sceau'"
    )
    standby.freeze()
    try:
        with ThreadPoolExecutor(1) as pool:
            withdrawing = pool.submit(service.call, "POST", "/v1/withdrawals", withdrawal("alice"))
            eventually(lambda: primary.sql(cancel) and withdrawing.done())
        answer = withdrawing.result()
    finally:
        standby.thaw()
    assert answer.status_code == status
    if status == 503:
        assert answer.json()["type"] == "urn:sceau:problem:outcome-unknown"
        again = eventually(lambda: service.call("POST", "/v1/withdrawals", withdrawal("alice")))
        assert again.status_code in {200, 503}


def test_a_standby_that_is_given_up_ends_writes(pair, synchronous):
    """Once the server waits for no standby nothing is recorded, and IV not answered; `/readyz` and writes say why."""
    primary, _ = pair
    service = synchronous()
    primary.set("synchronous_standby_names", "")
    eventually(lambda: service.call("GET", NEEDS_CONSENT).status_code == 503)
    withdrawn = service.call("POST", "/v1/withdrawals", withdrawal("bob"))
    assert withdrawn.status_code == 503
    for answer in (withdrawn, service.call("GET", NEEDS_CONSENT)):
        assert "synchronous standby" in answer.json()["detail"]
    eventually(lambda: _unavailable(_decision(service, "alice")))
    assert _decision(service, "alice", "filter") is True


def test_it_does_not_start_without_a_standby(nodes):
    """A service that is to have a standby and has none says so and ends."""
    refusal = _refused(dsn("sceau_app", nodes), SCEAU_DURABILITY="synchronous")
    assert "synchronous_standby_names" in refusal


def test_it_does_not_start_on_a_standby(nodes):
    """A DSN that leads to a standby alone is refused, and called what it is."""
    refusal = _refused(nodes[1].url("sceau_app"))
    assert "is a standby, which takes no writes: name the primary in SCEAU_DATABASE_URL" in refusal


@pytest.mark.parametrize("first", [0, 1])
def test_a_host_that_is_a_black_hole_is_left(nodes, serve, first):
    """Whichever host of a DSN takes connections and never answers, the other one is found, and holds the lease."""
    with socket.create_server(("127.0.0.1", 0)) as hole:
        hosts = [f"127.0.0.1:{hole.getsockname()[1]}", f"127.0.0.1:{nodes[0].port}"]
        address = ",".join(hosts if first == 0 else reversed(hosts))
        service = serve(SCEAU_DATABASE_URL=f"postgresql://sceau_app@{address}/sceau")
        eventually(lambda: service.call("GET", "/readyz").json().get("leased"))
        service.ok("POST", "/v1/processings", ADS)
        service.ok("POST", "/v1/consents", decision("alice"))
        assert _decision(service, "alice") is True
