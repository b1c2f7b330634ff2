import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api import question, subject
from tests.support.properties import examples

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
HANDLE = {"type": "correspondence", "id": "1"}


@pytest.fixture(scope="module")
def pdp(shared):
    """Processings of each kind; alice consented to all, bob to the subject line of one, carol to nothing."""
    shared.register("ads")
    shared.register("training", purpose="service_improvement", party_mode="all_local_users")
    shared.register("spam", purpose="unsolicited_content_detection")
    for processing in ("ads", "training"):
        shared.decide("alice", processing)
    shared.decide("bob", "ads", elements=["subject_line"])
    return shared


def _ask(pdp, items, semantic=None, **defaults):
    options = {"options": {"evaluations_semantic": semantic}} if semantic else {}
    answer = pdp.ok("POST", MANY, {**defaults, "evaluations": items, **options})
    assert answer.keys() == {"evaluations"}
    return answer["evaluations"]


def _words(answers):
    return [answer["decision"] for answer in answers]


PERMIT, DENY = question("alice", "ads"), question("carol", "ads")
BAD = {"subject": {"type": "user"}}


def test_an_items_own_member_replaces_the_default_whole(pdp):
    """An item's `action` replaces the default one with its properties: they are never merged."""
    strict = {"name": "ads", "properties": {"automated": False}}
    answers = _ask(pdp, [{}, {"action": {"name": "ads"}}], subject=subject("alice"), action=strict, resource=HANDLE)
    assert [answer["context"]["reason"] for answer in answers] == ["human_access", "consent_in_force"]


def test_an_items_incomplete_member_is_not_completed_by_the_default(pdp):
    """A subject without id in an item does not take the id of the default subject."""
    answers = _ask(pdp, [{"subject": {"type": "user"}}], **question("alice", "ads"))
    assert answers[0]["context"]["error"]["status"] == 400


@pytest.mark.parametrize(
    ("semantic", "items", "words"),
    [
        (None, [PERMIT, DENY, PERMIT], [True, False, True]),
        ("execute_all", [DENY, PERMIT, DENY], [False, True, False]),
        ("deny_on_first_deny", [PERMIT, DENY, PERMIT], [True, False]),
        ("deny_on_first_deny", [DENY, PERMIT], [False]),
        ("deny_on_first_deny", [PERMIT, PERMIT], [True, True]),
        ("deny_on_first_deny", [PERMIT, BAD, PERMIT], [True, False]),
        ("permit_on_first_permit", [DENY, PERMIT, DENY], [False, True]),
        ("permit_on_first_permit", [PERMIT, DENY], [True]),
        ("permit_on_first_permit", [DENY, BAD, DENY], [False, False, False]),
    ],
)
def test_a_semantic_stops_right_after_its_trigger(pdp, semantic, items, words):
    """The array ends with the item that decided; an error counts as a deny."""
    assert _words(_ask(pdp, items, semantic)) == words


@pytest.mark.parametrize("bad", [BAD, {}, None, 5, "x", [], [question("alice", "ads")]])
def test_a_bad_item_is_a_deny_in_its_place(pdp, bad):
    """A malformed item is a deny with an error in its place, and its neighbours are answered."""
    before, wrong, after = _ask(pdp, [PERMIT, bad, PERMIT])
    assert (before["decision"], wrong["decision"], after["decision"]) == (True, False, True)
    assert wrong["context"]["error"]["status"] == 400
    assert wrong["context"]["error"]["message"]


def test_an_item_out_of_the_callers_reach_is_an_error_in_its_place(pdp):
    """A caller with a list of processings gets 403 in the place of an item about another one."""
    other = pdp.with_key(pdp.new_key("decisions:evaluate", processings=["spam"]))
    refused, answered = _ask(other, [PERMIT, question("alice", "spam")])
    assert (refused["decision"], refused["context"]["error"]["status"]) == (False, 403)
    assert answered["decision"] is True


def test_a_thousand_items_are_answered(pdp):
    """1,000 items are answered, each in its place."""
    assert _words(_ask(pdp, [PERMIT, DENY] * 500)) == [True, False] * 500


elements = st.lists(st.sampled_from(["content", "subject_line", "attachments"]), max_size=2)
people = st.sampled_from(["alice", "ALICE", "bob", "carol"])
participants = st.lists(st.fixed_dictionaries({"id": people, "local": st.booleans()}), max_size=2)
properties = st.fixed_dictionaries(
    {},
    optional={
        "elements": elements,
        "automated": st.booleans(),
        "private": st.booleans(),
        "channel": st.sampled_from(["online", "text_message"]),
        "territory": st.sampled_from(["FR", "WF", "NC"]),
        "participants": participants,
    },
)
questions = st.builds(
    lambda name, processing, others: question(name, processing, **others),
    people,
    st.sampled_from(["ads", "training", "spam", "nowhere"]),
    properties,
)
broken = st.sampled_from([BAD, {**PERMIT, "action": {"name": 1}}, {**PERMIT, "resource": None}])


def _single(pdp, item):
    answer = pdp.call("POST", ONE, item)
    if answer.status_code == 400:
        return 400
    body = answer.json()
    del body["context"]["id"]
    return body


@settings(
    deadline=None, max_examples=examples(25, deep=400), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(items=st.lists(questions | broken, min_size=1, max_size=6))
def test_a_batch_is_its_items_asked_one_by_one(pdp, items):
    """A batch of N items gets the answers of N single questions, with an error in the place of a bad item."""
    batch = _ask(pdp, items)
    for item, answer in zip(items, batch, strict=True):
        alone = _single(pdp, item)
        answer["context"].pop("id", None)
        assert alone == (answer["context"]["error"]["status"] if "error" in answer["context"] else answer)
