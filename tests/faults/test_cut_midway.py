from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.faults.service import Service, eventually
from tests.faults.words import agree, decision, question, recovers, stopped_before_commit, traces, waiting, withdrawal


def _in_the_middle(pool, server, service: Service, path: str, body):
    """A write that stands between its ledger row and its commit."""
    call = pool.submit(service.call, "POST", path, body)
    eventually(lambda: waiting(server))
    return call


def _gone(server) -> bool:
    with server.administrator() as connection:
        found = connection.execute("SELECT FROM pg_stat_activity WHERE application_name = 'sceau'").fetchall()
    return not found


# Made when the test runs, not when it is collected: a grant is of an instant, and some minutes old at most.
WRITES = {
    "grant": lambda: ("/v1/consents", decision("bob")),
    "withdrawal": lambda: ("/v1/withdrawals", withdrawal("alice")),
}


@pytest.mark.parametrize("write", WRITES)
def test_the_service_killed_between_write_and_commit(server, serve, service, write):
    """Kill -9 in the middle of a write leaves nothing of it: ledger, projection, outbox and vault agree."""
    path, body = WRITES[write]()
    before = traces(server)
    with ThreadPoolExecutor(1) as pool, stopped_before_commit(server):
        call = _in_the_middle(pool, server, service, path, body)
        service.end()
        with pytest.raises(httpx2.HTTPError):
            call.result()
        eventually(lambda: _gone(server))
    assert traces(server) == before
    agree(server)
    another = serve()
    assert another.ok("POST", "/access/v1/evaluation", question("alice", "ads-mail"))["decision"] is True
    recovers(another, "frank")


def test_a_connection_cut_between_write_and_commit(server, service):
    """A backend terminated in the middle of a write is a 503 with nothing written, and the next call works."""
    before = traces(server)
    with ThreadPoolExecutor(1) as pool, stopped_before_commit(server) as holder:
        call = _in_the_middle(pool, server, service, "/v1/consents", decision("gina"))
        for pid in waiting(server):
            holder.execute("SELECT pg_terminate_backend(%s)", [pid])
        assert call.result().status_code == 503
    assert traces(server) == before
    recovers(service, "gina")
    agree(server)


def test_a_write_that_waits_too_long(server, service):
    """A write held up by another session past its deadline is a 503 with nothing written."""
    before = traces(server)
    with ThreadPoolExecutor(1) as pool, stopped_before_commit(server):
        call = _in_the_middle(pool, server, service, "/v1/consents", decision("hugo"))
        assert call.result().status_code == 503
    eventually(lambda: not waiting(server))
    assert traces(server) == before
    recovers(service, "hugo")
    agree(server)


def test_an_idempotent_write_cut_midway_can_be_repeated(server, service):
    """A write under an Idempotency-Key that was cut short leaves no answer behind: repeated, it is done, once."""
    headers = {"Idempotency-Key": "again", "Authorization": service.authorization}
    body = decision("ida")
    with ThreadPoolExecutor(1) as pool, stopped_before_commit(server) as holder:
        call = pool.submit(service.client.post, "/v1/consents", json=body, headers=headers)
        for pid in eventually(lambda: waiting(server)):
            holder.execute("SELECT pg_terminate_backend(%s)", [pid])
        assert call.result().status_code == 503
    before = traces(server)
    answers = [service.client.post("/v1/consents", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert traces(server)["consent_event"] == before["consent_event"] + 1


def test_more_calls_than_the_pool_serves(server, serve, service):
    """Calls beyond the pool and its queue are refused with 503 at once; those in it wait; then all works again."""
    small = serve(SCEAU_POOL_SIZE="1", SCEAU_DATABASE_TIMEOUT="PT5S")
    before = traces(server)
    with ThreadPoolExecutor(30) as pool:
        with stopped_before_commit(server):
            calls = [pool.submit(small.call, "POST", "/v1/consents", decision(f"many{n}")) for n in range(30)]
            eventually(lambda: sum(call.done() for call in calls) >= len(calls) - 21)
            assert {call.result().status_code for call in calls if call.done()} == {503}
        found = [call.result().status_code for call in calls]
    written = traces(server)["consent_event"] - before["consent_event"]
    assert set(found) <= {201, 503}
    assert found.count(201) == written
    recovers(small, "jean")
    agree(server)
