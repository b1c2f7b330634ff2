"""An unforeseen exception is logged, and the request is answered with a problem."""

import pytest

from tests.support.api import question


@pytest.mark.parametrize("path", ["/access/v1/evaluation", "/v1/processings", "/livez"])
@pytest.mark.parametrize("failing", ["app.api.application.refuses_unknown_key", "app.api.application.Sceau._answer"])
def test_a_failure_is_never_a_bare_500(api, capsys, monkeypatch, path, failing):
    """The answer is a problem document with the request's id, and the cause is logged."""
    monkeypatch.setattr(failing, lambda *_: 1 / 0)
    api.client.app.state.services.unknown_keys.alert_until = 1.0
    capsys.readouterr()
    answer = api.call("GET", path, headers={"X-Request-ID": "one"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "one"
    assert answer.json()["type"] == "urn:sceau:problem:internal"
    assert "ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize("failing", ["read_question", "answer_at_once", "answer_questions"])
def test_a_failure_of_a_decision_is_a_problem(api, capsys, monkeypatch, failing):
    """If any step of a decision fails, the answer is a problem instead of a decision, and the cause is logged."""
    api.register("ads-mail")
    if failing == "answer_questions":
        monkeypatch.setattr("app.api.decisions.endpoint.answer_at_once", lambda *_: None)
    monkeypatch.setattr(f"app.api.decisions.endpoint.{failing}", lambda *_: 1 / 0)
    answer = api.call("POST", "/access/v1/evaluation", question("alice", "ads-mail"))
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:sceau:problem:internal")
    assert "ZeroDivisionError" in capsys.readouterr().out
