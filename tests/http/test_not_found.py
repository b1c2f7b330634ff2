"""What a 404 says of an id in the path: which kind of thing, and where the right ones are listed; never the id."""

import pytest

ID = "01a21d1e-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("DELETE", f"/v1/keys/{ID}", "GET /v1/keys lists"),
        ("GET", "/v1/processings/mistyped", "GET /v1/processings lists"),
        ("GET", "/v1/processings/mistyped/versions", "GET /v1/processings lists"),
        ("GET", f"/v1/webhooks/{ID}/deliveries", "GET /v1/webhooks lists"),
        ("GET", f"/v1/consents/{ID}", "POST /v1/consents/search finds"),
        ("GET", f"/v1/consent-events/{ID}", "No entry of the ledger"),
        ("PATCH", f"/v1/staff/members/{ID}", "GET /v1/staff/coverage lists"),
        ("GET", f"/v1/presented-texts/{'0' * 64}", "No text that was shown"),
    ],
)
def test_an_id_that_nothing_has_is_told_by_its_kind(shared, method, path, kind):
    """404 says what was looked for and how to find the right id, and does not repeat what was sent."""
    body = {"status": "left"} if method == "PATCH" else None
    answer = shared.call(method, path, body)
    _is_told(answer, path, kind)


def test_a_controller_that_is_not_registered_is_told_how_to(shared):
    """404 of a name for a controller that is none says where they are listed, and what registers one."""
    path = "/v1/controllers/mistyped"
    _is_told(shared.call("PUT", path, {"legal_name": "x"}), path, "A new one needs `kind`")


def _is_told(answer, path, kind):
    assert answer.status_code == 404
    detail = answer.json()["detail"]
    assert kind in detail
    assert path.rpartition("/")[2] not in {*detail.split()}


def test_a_more_exact_message_stays(shared):
    """A 404 message that an operation gives itself is not replaced."""
    shared.register("ads")
    body = {"processing": "ads", "version": 7, "approved": True, "reason": "a typing error is mended"}
    assert shared.call("POST", "/v1/rulings", body).json()["detail"] == "There is no such version."
    answer = shared.call("POST", "/v1/withdrawals", {"subject": {"type": "user", "id": "a"}, "processing": "none"})
    assert answer.json()["detail"] == "No such processing is registered."
