"""An exception in front of the routes: it is logged, and the request is answered by its route or as a problem."""

import pytest

from tests.support.api import question


class Failing:
    """Stands in for a part that fails."""

    alert_until = 1.0

    def __getattr__(self, name):
        raise RuntimeError(name)

    def concerns(self, _):
        """Every request is its concern."""
        return True


@pytest.fixture
def failing(api, capsys):
    """The application with a processing that nobody needs to consent to, and what it printed."""
    api.register("filter", purpose="unsolicited_content_detection")
    capsys.readouterr()
    return api


def test_a_failure_of_the_hot_path_is_logged_and_the_route_answers(failing, capsys):
    """The decision is given all the same, and the log names what failed."""
    failing.client.app.state.hot = Failing()
    answer = failing.call("POST", "/access/v1/evaluation", question("alice", "filter"))
    assert (answer.status_code, answer.json()["decision"]) == (200, True)
    assert "failed before the routes" in capsys.readouterr().out


def test_a_failure_after_the_body_was_taken_loses_nothing_of_it(failing, monkeypatch):
    """The route reads the same body again."""
    monkeypatch.setattr("app.api.hot.HotPath.understand", lambda *_: 1 / 0)
    answer = failing.call("POST", "/access/v1/evaluation", question("alice", "filter"))
    assert (answer.status_code, answer.json()["decision"]) == (200, True)


@pytest.mark.parametrize("path", ["/access/v1/evaluation", "/v1/processings", "/livez"])
def test_a_failure_is_never_a_bare_500(failing, capsys, path, monkeypatch):
    """Where the route fails too, the answer is a problem document with the request's id, and the cause is logged."""
    monkeypatch.setattr("app.api.application.remember", lambda *_: None)
    failing.client.app.state.hot = Failing()
    monkeypatch.setattr("app.api.application.Sceau._answer", lambda *_: 1 / 0)
    answer = failing.call("GET", path, headers={"X-Request-ID": "one"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "one"
    assert answer.json()["type"] == "urn:sceau:problem:internal"
    assert "ZeroDivisionError" in capsys.readouterr().out
