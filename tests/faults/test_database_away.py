from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults.service import eventually
from tests.faults.words import agree, decision, question, recovers, traces, withdrawal
from tests.support.api import processing, subject
from tests.support.issuer import issuing

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"


def _decide(service, processing, key=None):
    body = question("alice", processing)
    return service.call("POST", EVALUATION, body, key) if key else service.call("POST", EVALUATION, body)


def _is_unavailable(answer) -> bool:
    if answer.status_code != 503:
        return False
    assert answer.headers["Retry-After"].isdigit()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:sceau:problem:evidence-unavailable"
    return True


def _all_unavailable(service, *calls) -> None:
    """Make calls at once that need the database; each must be answered that it is away."""
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(lambda call: service.call(*call), calls))
    refused = [call[:2] for call, answer in zip(calls, answers, strict=True) if not _is_unavailable(answer)]
    assert not refused


def _answers_without_its_database(service) -> None:
    """What design section 11 promises of a service whose database is away."""
    eventually(lambda: _is_unavailable(_decide(service, "ads-mail")))  # a lease may still run
    assert service.call("GET", "/livez").status_code == 200
    exempt = _decide(service, "filter")
    assert (exempt.status_code, exempt.json()["decision"]) == (200, True)
    assert exempt.json()["context"]["reason"] == "exempt"
    opted = {"context": {"decision_token": True}}
    asked = service.call("POST", EVALUATION, {**question("alice", "filter"), **opted})
    assert asked.json()["context"]["decision_token"].count(".") == 2
    assert len(service.call("GET", "/.well-known/jwks.json").json()["keys"]) == 1
    ready = service.call("GET", "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert "database cannot be reached" in ready.json()["notes"][0]
    _all_unavailable(
        service,
        ("GET", "/readyz?need=IV"),
        ("POST", EVALUATION, {**question("alice", "ads-mail"), **opted}),
        ("POST", EVALUATION, question("alice", "filter"), "sceau_" + "n" * 43),
        ("POST", EVALUATION, question("alice", "never-asked-about")),
        ("POST", "/v1/consents", decision("bob")),
    )
    items = [{"action": {"name": name}} for name in ("filter", "ads-mail", "filter")]
    batch = service.call("POST", EVALUATIONS, {**question("alice", "filter"), "evaluations": items})
    answers = batch.json()["evaluations"]
    assert [each["decision"] for each in answers] == [True, False, True]
    assert answers[1]["context"]["error"]["status"] == 503
    assert answers[1]["context"]["reason"] == "evidence_unavailable"


def test_a_stopped_database(server, service):
    """While PostgreSQL is stopped, III is permitted and all else is a 503; once it is started, all works again."""
    before = traces(server)
    with server.stopped():
        _answers_without_its_database(service)
        _all_unavailable(
            service,
            ("POST", "/v1/withdrawals", withdrawal("alice")),
            ("POST", "/v1/subjects/closures", {"subject": subject("alice")}),
            ("POST", "/v1/explanations", question("alice", "ads-mail")),
            ("POST", "/v1/consents/search", {}),
            ("POST", "/access/v1/search/subject", question("alice", "ads-mail")),
            ("POST", "/access/v1/search/action", question("alice", "ads-mail")),
            ("GET", "/v1/processings"),
        )
    assert traces(server) == before
    recovers(service, "carol")
    assert _decide(service, "ads-mail").json()["decision"] is True
    agree(server)


def test_a_frozen_database(server, service):
    """While PostgreSQL takes connections and answers nothing, III is permitted and all else is a 503."""
    before = traces(server)
    with server.frozen():
        _answers_without_its_database(service)
    recovers(service, "dave")
    after = traces(server)
    assert all(after[table] >= before[table] for table in before)
    agree(server)


def test_backends_terminated_under_load(server, service):
    """Calls during which connections are cut are answered rightly or with 503, and all works afterwards."""

    def call(number: int) -> Any:
        name = f"user{number}"
        if number % 2:
            return service.call("POST", "/v1/consents", decision(name)).status_code
        answer = service.call("POST", EVALUATION, question("alice", "ads-mail"))
        assert answer.status_code == 503 or answer.json()["decision"] is True
        return answer.status_code

    with ThreadPoolExecutor(4) as pool, server.administrator() as connection:
        for _ in range(3):
            calls = [pool.submit(call, number) for number in range(40)]
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sceau'"
            )
            assert {each.result() for each in calls} <= {200, 201, 503}
    recovers(service, "erin")
    agree(server)


def test_a_revocation_just_before_an_outage_costs_the_others_nothing(server, service):
    """In an outage right after a revocation, III is answered to other callers and not to the revoked one."""
    made = service.ok("POST", "/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
    assert _decide(service, "filter", made["key"]).json()["decision"] is True
    assert service.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
    with server.stopped():
        assert _decide(service, "filter").json()["decision"] is True
        assert _is_unavailable(_decide(service, "filter", made["key"]))
    recovers(service, "mia")


def test_a_token_known_before_an_outage(server, serve, service):
    """In an outage, III is answered to a token that was checked before; an unknown token gets 503."""
    with issuing() as provider:
        named = {f"SCEAU_{name.upper()}": value for name, value in provider.settings.items()}
        taking = serve(**named)
        for subject_, kind in (("scanner", "machine"), ("other", "machine")):
            identity = {"issuer": provider.url, "subject": subject_}
            body = {"name": subject_, "kind": kind, "scopes": ["decisions:evaluate"], "identity": identity}
            taking.ok("POST", "/v1/keys", body)
        token = provider.token("scanner")
        for _ in range(2):
            assert _decide(taking, "filter", token).json()["decision"] is True
        with server.stopped():
            assert _decide(taking, "filter", token).json()["decision"] is True
            assert _is_unavailable(_decide(taking, "filter", provider.token("other")))
            eventually(lambda: _is_unavailable(_decide(taking, "ads-mail", token)))
        recovers(taking, "noe")


def test_a_suspension_that_was_seen_binds_in_an_outage(server, serve, service):
    """In an outage, a processing of III that another replica suspended is not permitted by this one."""
    other = serve()
    other.ok("POST", "/v1/processings", processing("virus-scan", purpose="malware_detection"))
    body = question("alice", "virus-scan")
    assert service.ok("POST", EVALUATION, body)["decision"] is True
    other.ok("PATCH", "/v1/processings/virus-scan", {"status": "suspended"})
    with server.stopped():
        answer = service.call("POST", EVALUATION, body)
        assert answer.status_code == 503 or answer.json()["decision"] is False
        assert _decide(service, "filter").json()["decision"] is True
    recovers(service, "lea")
