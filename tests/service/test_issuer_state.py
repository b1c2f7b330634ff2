"""What is told of issuers: in /readyz, in /metrics, and to whoever shows a token that cannot be judged now."""

from typing import Any, cast

from tests.faults.service import eventually
from tests.support.api import question, running
from tests.support.issuer import issuing

FIRST = "/access/v1/evaluation"


def test_an_issuer_that_is_away_is_a_503(database):
    """Where the keys cannot be read a token cannot be judged: 503 with a time, and keys go on working."""
    with issuing() as provider:
        provider.mode = "error"
        with running(database, **provider.settings) as api:
            query = question("alice", "filter")
            for method, path, body in (("GET", "/v1/processings", None), ("POST", FIRST, query), ("POST", FIRST, {})):
                answer = api.with_key(provider.token()).call(method, path, body)
                assert answer.status_code == 503
                assert answer.headers["Retry-After"].isdigit()
            assert api.ok("GET", "/v1/processings") == {"items": []}


def _told(api, name):
    """A metric's samples, by what stands in its braces."""
    lines = api.client.get("/metrics").text.splitlines()
    return {
        line[len(name) : line.rindex(" ")]: float(line.rpartition(" ")[2])
        for line in lines
        if line[: len(name) + 1] in {name + "{", name + " "}
    }


def test_the_state_of_an_issuer_is_told(database):
    """Readiness tells keys, age and failures of each issuer and stays ready; metrics count tokens by what they were."""
    with issuing() as provider, running(database, **provider.settings) as api:
        portal, application = api.client.portal, cast("Any", api.client.app)
        (issuer,) = application.state.services.token_check.issuers.values()
        assert portal is not None
        for token in (provider.token("mae"), *[provider.token("mae", exp=1)] * 3):
            assert api.with_key(token).call("GET", "/v1/processings").status_code == 401
        (state,) = api.ok("GET", "/readyz")["issuers"]
        assert (state["keys"], state["failures"]) == (1, 0)
        assert state["age_seconds"] >= 0
        assert _told(api, "sceau_tokens_total")['{outcome="accepted"}'] == 1
        assert _told(api, "sceau_tokens_total")['{outcome="expired"}'] == 3
        assert _told(api, "sceau_issuer_keys") == {"": 1}
        provider.mode = "error"
        issuer._tried = None
        portal.call(issuer.refresh)
        (state,) = eventually(lambda: (ready := api.ok("GET", "/readyz"))["status"] == "ready" and ready["issuers"])
        assert (state["keys"], state["failures"]) == (1, 1)
        assert _told(api, "sceau_issuer_failures") == {"": 1}
        assert _told(api, "sceau_issuer_fetches_total") == {'{what="begun"}': 2}
        assert provider.url not in api.client.get("/metrics").text + api.client.get("/readyz").text
