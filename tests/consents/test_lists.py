import base64

import pytest

from tests.support.api import question, subject

SEARCH = "/v1/consents/search"


@pytest.fixture(scope="module")
def pip(shared):
    """Seven users with consents to two processings, in every state that a few calls lead to."""
    for name in ("ads", "stats"):
        shared.register(name)
    for number in range(7):
        shared.decide(f"user{number}", "ads")
    shared.decide("user0", "stats")
    shared.decide("user1", "ads", "refused")
    shared.withdraw("user2", "ads")
    shared.decide("user3", "ads", evidence={"conditional": True})
    shared.ok("POST", "/v1/subjects/closures", {"subject": subject("user4")})
    shared.decide("user5", "ads", collected_at="2020-01-01T00:00:00Z")
    return shared


def _pages(api, query, limit=50):
    """Every item of a list, page by page."""
    items, cursor = [], None
    while True:
        page = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
        answer = api.ok("POST", SEARCH, {**query, "page": page})
        assert len(answer["items"]) <= limit
        items += answer["items"]
        cursor = answer.get("next_cursor")
        if cursor is None:
            return items


def _first_cursor(api, query):
    return api.ok("POST", SEARCH, {**query, "page": {"limit": 1}})["next_cursor"]


def test_a_subjects_consents_in_the_order_recorded(pip):
    """A search by subject lists that subject's consents alone, oldest recorded first."""
    items = _pages(pip, {"subject": subject("user1")})
    assert [(item["decision"], item["state"]) for item in items] == [("granted", "replaced"), ("refused", "refused")]


def test_nobody_has_no_consents(pip):
    """A search for an unknown subject finds an empty list and is no error."""
    assert pip.ok("POST", SEARCH, {"subject": subject("nobody")}) == {"items": [], "known": False}


def test_a_search_by_processing(pip):
    """A search by processing lists the consents to it alone."""
    assert [item["processing"] for item in _pages(pip, {"processing": "stats"})] == ["stats"]
    assert _pages(pip, {"processing": "nowhere"}) == []


@pytest.mark.parametrize(
    ("state", "count"),
    [
        ("in_force", 4),
        ("refused", 1),
        ("replaced", 3),
        ("withdrawn", 1),
        ("invalid", 1),
        ("closed", 1),
        ("expired", 0),
        ("pending", 0),
        ("superseded", 0),
    ],
)
def test_a_search_by_state(pip, state, count):
    """A search by state lists exactly the consents that the whole list shows in it."""
    items = _pages(pip, {"state": state})
    assert {item["id"] for item in items} == {item["id"] for item in _pages(pip, {}) if item["state"] == state}
    assert len(items) == count


def test_a_search_by_expiry(pip):
    """A search by expiry lists grants that lapse before an instant, never a refusal."""
    old = _pages(pip, {"expires_before": "2021-01-01T00:00:00Z"})
    assert [item["collected_at"] for item in old] == ["2020-01-01T00:00:00Z"]
    assert _pages(pip, {"expires_before": old[0]["expires_at"]}) == []
    everything = _pages(pip, {"expires_before": "2100-01-01T00:00:00Z"})
    assert {item["decision"] for item in everything} == {"granted"}


def test_filters_narrow_together(pip):
    """Several filters narrow the same list."""
    query = {"subject": subject("user0"), "processing": "ads", "state": "in_force"}
    assert len(_pages(pip, query)) == 1
    assert _pages(pip, {**query, "state": "withdrawn"}) == []


@pytest.mark.parametrize("query", [{}, {"state": "in_force"}, {"processing": "ads"}])
@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_pages_hold_everything_once(pip, query, limit):
    """A list gives each consent once and in one order, with pages of any size."""
    ids = [item["id"] for item in _pages(pip, query, limit)]
    assert ids == [item["id"] for item in _pages(pip, query)]
    assert len(set(ids)) == len(ids)


def test_a_cursor_is_good_for_its_query_alone(pip):
    """A cursor is refused with another query than the one that it came from."""
    cursor = _first_cursor(pip, {"processing": "ads"})
    for query in ({}, {"processing": "stats"}, {"processing": "ads", "state": "in_force"}):
        answer = pip.call("POST", SEARCH, {**query, "page": {"cursor": cursor}})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:sceau:problem:invalid-cursor")


def test_a_cursor_goes_on_with_another_page_size(pip):
    """A cursor may be used with another page size."""
    cursor = _first_cursor(pip, {"processing": "ads"})
    assert pip.ok("POST", SEARCH, {"processing": "ads", "page": {"cursor": cursor, "limit": 7}})["items"]


def test_a_cursor_is_good_for_its_caller_alone(pip):
    """Another caller's cursor is refused."""
    cursor = _first_cursor(pip, {})
    other = pip.with_key(pip.new_key("consents:read"))
    assert other.call("POST", SEARCH, {"page": {"cursor": cursor}}).status_code == 422


def test_an_altered_cursor_is_refused(pip):
    """A cursor with any character changed, added or left out is refused."""
    cursor = _first_cursor(pip, {})
    altered = [cursor[:at] + ("B" if cursor[at] == "A" else "A") + cursor[at + 1 :] for at in range(len(cursor))]
    altered += [cursor + "A", cursor + "=", cursor + "!", "!" + cursor, cursor[1:], cursor[:-1], "", "x", cursor * 2]
    altered += [base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="), "é" * 43]
    for each in altered:
        assert pip.call("POST", SEARCH, {"page": {"cursor": each}}).status_code == 422, each


@pytest.mark.parametrize("page", [{"limit": 0}, {"limit": 501}])
def test_a_page_that_is_none_is_refused(pip, page):
    """A page limit that is out of bounds is a 422."""
    assert pip.call("POST", SEARCH, {"page": page}).status_code == 422


@pytest.mark.parametrize(
    "wrong", [{"state": "active"}, {"page": {"limt": 5}}, {"subjects": []}, {"expires_before": 5}, {"subject": "x"}]
)
def test_a_misspelt_filter_is_refused(pip, wrong):
    """An unknown filter is a 422, because ignoring it would list more than was asked for."""
    assert pip.call("POST", SEARCH, wrong).status_code == 422


def test_a_list_never_says_who(pip):
    """Neither a list, nor a consent, nor its history holds a subject's id."""
    item = _pages(pip, {"subject": subject("user3")})[0]
    for answer in (
        pip.call("POST", SEARCH, {}),
        pip.call("GET", f"/v1/consents/{item['id']}"),
        pip.call("GET", f"/v1/consents/{item['id']}/history"),
        pip.call("POST", "/v1/explanations", question("user3", "ads")),
    ):
        assert answer.status_code == 200
        assert "user3" not in answer.text


def test_the_history_of_a_consent_is_its_proof(pip):
    """A history lists every entry about the subject and processing, with how each was collected and by whom."""
    item = _pages(pip, {"subject": subject("user2")})[0]
    granted, withdrawn = pip.ok("GET", f"/v1/consents/{item['id']}/history")["items"]
    assert (granted["kind"], withdrawn["kind"]) == ("granted", "withdrawn")
    assert granted["evidence"]["positive_act"] == "button_clicked"
    assert len(granted["evidence"]["presented_text_sha256"]) == 64
    assert granted["counting"] == "start_of_day"
    assert granted["expires_at"] == item["expires_at"]
    assert granted["recorded_by"] == withdrawn["recorded_by"]


def test_the_history_of_one_processing_leaves_others_out(pip):
    """The history of a consent leaves out entries about other processings."""
    item = _pages(pip, {"subject": subject("user0"), "processing": "stats"})[0]
    assert [entry["processing"] for entry in pip.ok("GET", f"/v1/consents/{item['id']}/history")["items"]] == ["stats"]


def test_what_is_no_consent_is_not_found(pip):
    """An id that is unknown, or a withdrawal's, is a 404 as a consent; a text that is not an id is a 422."""
    item = _pages(pip, {"subject": subject("user2")})[0]
    withdrawal = pip.ok("GET", f"/v1/consents/{item['id']}/history")["items"][1]["id"]
    for identifier in ("01990000-0000-7000-8000-000000000000", withdrawal):
        assert pip.call("GET", f"/v1/consents/{identifier}").status_code == 404
        assert pip.call("GET", f"/v1/consents/{identifier}/history").status_code == 404
    assert pip.call("GET", "/v1/consents/alice").status_code == 422
