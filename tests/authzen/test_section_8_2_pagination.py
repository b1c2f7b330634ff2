"""AuthZEN Authorization API 1.0, section 8.2: pages of search results."""

import pytest

from tests.authzen.searching import ACTIONS, HANDLE, MANY, SUBJECTS, actions, all_pages, ids, names, refused, subjects
from tests.support.api import subject


@pytest.fixture(scope="module")
def pdp(searched):
    """An application with something to find."""
    return searched


@pytest.mark.parametrize("limit", [1, 5, 12, 100])
def test_section_8_2_pages_bring_everything_once(pdp, limit):
    """Pages of any size hold all results, none twice, at most as many as were asked for."""
    pages = all_pages(lambda page: subjects(pdp, page=page), limit)
    assert all(len(each["results"]) <= limit for each in pages)
    assert sorted(name for each in pages for name in ids(each)) == MANY
    wanted = names(actions(pdp, "user-00", participants=[]))
    pages = all_pages(lambda page: actions(pdp, "user-00", page, participants=[]), limit)
    assert [name for each in pages for name in names(each)] == wanted == ["ads", "spam", "training"]


def test_section_8_2_a_page_looks_at_a_bounded_number_of_consents(pdp, monkeypatch):
    """A page that has looked far enough ends without results, and its token goes on from there."""
    monkeypatch.setattr("app.operations.decisions.searches._SCANNED_AT_MOST", 4)
    monkeypatch.setattr("app.operations.decisions.searches._BATCH", 3)
    pages = all_pages(lambda page: subjects(pdp, page=page), 500)
    assert len(pages) > 2
    assert sorted(name for each in pages for name in ids(each)) == MANY
    monkeypatch.setattr("app.operations.decisions.searches._ACTIONS_SCANNED_AT_MOST", 2)
    monkeypatch.setattr("app.operations.decisions.searches._ACTIONS_BATCH", 1)
    pages = all_pages(lambda page: actions(pdp, "nobody", page), 500)
    assert [names(each) for each in pages] == [[], ["spam"], []]


def test_section_8_2_many_participants_make_small_pages(pdp):
    """A question that names ten thousand parties is judged for few at a time; nothing is lost by that."""
    others = [{"id": f"other-{number}@else.example", "local": False} for number in range(9_999)]
    pages = [subjects(pdp, "training", participants=others)]
    assert len(ids(pages[0])) <= 2
    while pages[-1]["page"]["next_token"]:
        page = {"token": pages[-1]["page"]["next_token"]}
        pages.append(subjects(pdp, "training", page=page, participants=others))
    assert sorted(name for each in pages for name in ids(each)) == ["user-00", "user-01"]
    assert len(names(actions(pdp, "user-00", participants=others))) <= 2


def test_section_8_2_a_token_is_opaque_and_names_nobody(pdp):
    """A token holds no id, and two callers get two for the same query."""
    token = subjects(pdp, page={"limit": 1})["page"]["next_token"]
    other = pdp.with_key(pdp.new_key("decisions:search"))
    assert token.replace("-", "").replace("_", "").isalnum()
    assert subjects(other, page={"limit": 1})["page"]["next_token"] != token


CHANGES = {
    "another type": {"subject": {"type": "mailbox"}},
    "another action": {"action": {"name": "training"}},
    "other properties of the action": {"action": {"name": "ads", "properties": {"elements": ["content"]}}},
    "another resource": {"resource": {**HANDLE, "id": "other"}},
    "other properties of the resource": {"resource": {**HANDLE, "properties": {"territory": "WF"}}},
    "a context": {"context": {"time": "now"}},
    "properties of the page": {"page": {"properties": {"sort": "id"}}},
    "another limit": {"page": {"limit": 2}},
    "a limit of none": {"page": {"limit": 0}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_section_8_2_a_token_is_good_for_the_query_that_it_came_from(pdp, change):
    """With a token, whatever else was asked must be as it was: a change is a 400."""
    body = {"subject": {"type": "user"}, "action": {"name": "ads"}, "resource": HANDLE, "page": {"limit": 1}}
    token = pdp.ok("POST", SUBJECTS, body)["page"]["next_token"]
    same = {**body, "page": {"limit": 1, "token": token}}
    assert len(pdp.ok("POST", SUBJECTS, same)["results"]) == 1  # the control
    changed = {**body, **change, "page": {"limit": 1, **change.get("page", {}), "token": token}}
    assert refused(pdp, SUBJECTS, changed)[0] in {"page.token", "page.limit"}


def test_section_8_2_a_token_is_good_for_the_caller_that_it_was_given_to(pdp):
    """Another caller, and the other search, cannot go on with it."""
    body = {"subject": subject("user-00"), "action": {"name": "ads"}, "resource": HANDLE, "page": {"limit": 1}}
    token = pdp.ok("POST", ACTIONS, body)["page"]["next_token"]
    body["page"] = {"limit": 1, "token": token}
    assert pdp.ok("POST", ACTIONS, body)["results"] == [{"name": "spam"}]
    other = pdp.with_key(pdp.new_key("decisions:search"))
    assert refused(other, ACTIONS, body) == ["page.token"]
    assert refused(pdp, SUBJECTS, body) == ["page.token"]


def test_section_8_2_what_a_search_ignores_may_change(pdp):
    """The subject's id in a subject search, the action in an action search, and the order of members are no query."""
    body = {"subject": {"type": "user"}, "action": {"name": "ads"}, "resource": HANDLE}
    token = pdp.ok("POST", SUBJECTS, {**body, "page": {"limit": 1}})["page"]["next_token"]
    again = {"resource": HANDLE, "page": {"token": token}, "action": {"name": "ads"}}
    assert len(pdp.ok("POST", SUBJECTS, {**again, "subject": {"id": 5, "type": "user"}})["results"]) == 1
    body = {"subject": subject("user-00"), "resource": HANDLE}
    token = pdp.ok("POST", ACTIONS, {**body, "page": {"limit": 1}})["page"]["next_token"]
    body = {**body, "action": {"name": "other"}, "page": {"token": token}}
    assert pdp.ok("POST", ACTIONS, body)["results"] == [{"name": "spam"}]


@pytest.mark.parametrize("token", ["x", "AAAA", "A" * 60, "é", "x" * 600, 5, None, [], {}])
def test_section_8_2_a_token_that_nobody_was_given_is_a_400(pdp, token):
    """Made-up tokens, and what is no token at all, are refused by name."""
    body = {"subject": {"type": "user"}, "action": {"name": "ads"}, "resource": HANDLE, "page": {"token": token}}
    assert refused(pdp, SUBJECTS, body) == ["page.token"]
    assert refused(pdp, ACTIONS, {**body, "subject": subject("alice")}) == ["page.token"]


def test_section_8_2_1_a_limit_may_be_left_out_with_a_token(pdp):
    """The limit of the first request holds on, as the specification's own example leaves it out."""
    first = subjects(pdp, page={"limit": 5})
    second = subjects(pdp, page={"token": first["page"]["next_token"]})
    assert len(second["results"]) == 5


@pytest.mark.parametrize("limit", [-1, 1.5, 10.0, "10", True, None, []])
def test_section_8_2_1_a_limit_is_a_non_negative_integer(pdp, limit):
    """Anything else is a 400 that names it."""
    body = {"subject": {"type": "user"}, "action": {"name": "ads"}, "resource": HANDLE, "page": {"limit": limit}}
    assert refused(pdp, SUBJECTS, body) == ["page.limit"]


@pytest.mark.parametrize("page", [None, [], "x", 5])
def test_section_8_2_1_a_page_is_an_object(pdp, page):
    """Anything else is a 400 that names it."""
    body = {"subject": {"type": "user"}, "action": {"name": "ads"}, "resource": HANDLE, "page": page}
    assert refused(pdp, SUBJECTS, body) == ["page"]


def test_section_8_2_1_a_limit_beyond_the_largest_page_is_taken_for_it(pdp):
    """A limit says how many results at most: fewer may come."""
    assert len(subjects(pdp, page={"limit": 10**12})["results"]) == len(MANY)


def test_section_8_2_1_a_limit_of_zero_brings_nothing_but_a_token(pdp):
    """No result, and a token from which to begin with any limit, or to stay in place."""
    start = subjects(pdp, page={"limit": 0})
    assert (start["results"], start["page"]["count"]) == ([], 0)
    token = start["page"]["next_token"]
    assert len(subjects(pdp, page={"token": token})["results"]) == len(MANY)
    assert len(subjects(pdp, page={"token": token, "limit": 3})["results"]) == 3
    still = subjects(pdp, page={"token": token, "limit": 0})["page"]["next_token"]
    assert ids(subjects(pdp, page={"token": still, "limit": 2})) == ids(subjects(pdp, page={"limit": 2}))
    assert names(actions(pdp, "user-00", {"limit": 0})) == []


def test_section_8_2_2_next_token_is_always_there(pdp):
    """`page` has `next_token` and `count` in every answer; the token is empty at the end."""
    for answer in (subjects(pdp), subjects(pdp, "nowhere"), actions(pdp, "user-00"), actions(pdp, "x", {"limit": 0})):
        assert answer["page"].keys() == {"next_token", "count"}
        assert answer["page"]["count"] == len(answer["results"])
    assert subjects(pdp)["page"]["next_token"] == ""
    assert subjects(pdp, page={"token": ""})["page"]["next_token"] == ""
