"""Joint consent by two links: the child's page and the parent's, each of which records its own act."""

import pytest

from tests.support.api import subject, utc
from tests.support.consent_page import PARENT, Person, ask_link, history


def two(api, name, *processings, lang="fr", **more):
    """The child and the parent, each with their own link."""
    made = ask_link(api, name, *processings, kind="joint", **{"age_band": "under_15", **more})
    assert made.status_code == 201, made.text
    body = made.json()
    paths = (each["url"].removeprefix("https://sceau.example.fr") for each in (body, body["parent"]))
    return tuple(Person(api, path, lang) for path in paths)


@pytest.mark.parametrize("child_first", [True, False])
def test_two_acts_in_either_order_are_one_consent(shared, child_first):
    """Nothing is permitted after one of them, whoever it was; both together permit."""
    name = f"young-{child_first}"
    child, parent = two(shared, name, "ads-mail")
    first, second = (child, parent) if child_first else (parent, child)
    page = first.press("accept", "ads-mail")
    assert "Un premier accord est enregistré. Il manque encore l'autre" in page.text()
    assert page.buttons == {"ads-mail": ["withdraw"]}
    assert shared.reason(name, "ads-mail") == "consent_invalid"
    waiting = second.open()
    assert waiting.buttons == {"ads-mail": ["accept", "refuse"]}
    assert "Un premier accord est enregistré." in waiting.text()
    page = second.press("accept", "ads-mail")
    assert "Accord en vigueur jusqu'au" in page.text()
    assert "Les deux accords sont donnés, le second le" in page.text()
    assert shared.reason(name, "ads-mail") == "consent_in_force"
    for person in (child, parent):
        assert person.open().buttons == {"ads-mail": ["withdraw"]}
    sides = [each["capacity"]["given_by"] for each in history(shared, name)]
    expected = ["self", "holder_of_parental_responsibility"]
    assert sides == (expected if child_first else expected[::-1])
    assert {each["capacity"]["age_band"] for each in history(shared, name)} == {"under_15"}


def test_the_parents_act_says_who_they_are_and_how_that_was_checked(shared):
    """By a reference, the same as by the API; the child's act has none, and the parent is told of what is kept."""
    child, parent = two(shared, "young-known", "ads-mail")
    child.press("accept", "ads-mail")
    parent.press("accept", "ads-mail")
    first, second = (each["capacity"] for each in history(shared, "young-known"))
    assert "parent_ref" not in first
    assert (len(second["parent_ref"]), second["parent_checked_how"]) == (64, "identity_document")
    assert "parent@" not in str(history(shared, "young-known"))
    told = shared.ok("POST", "/v1/subjects/exports", {"subject": PARENT["parent"]})["as_parent"]
    acts = {(each["kind"], each["processing"], each["given_by"], each["parent_checked_how"]) for each in told}
    assert ("granted", "ads-mail", "holder_of_parental_responsibility", "identity_document") in acts
    assert "young-known" not in str(told)
    other = shared.ok("POST", "/v1/subjects/exports", {"subject": subject("young-known")})["as_parent"]
    assert other == []


@pytest.mark.parametrize("missing", ["parent", "parent_checked_how"])
def test_a_joint_link_says_who_the_parent_is(shared, missing):
    """Without it there is no link, and no other kind of link takes it."""
    left = {name: value for name, value in PARENT.items() if name != missing}
    half = {"age_band": "under_15", **left, missing: None}
    refused = ask_link(shared, "young-unknown", "ads-mail", kind="joint", **half)
    assert refused.status_code == 422
    assert ask_link(shared, "grown", "ads-mail", **left).status_code == 422


@pytest.mark.parametrize("side", [0, 1])
def test_a_refusal_of_either_permits_nothing(shared, side):
    """Child or parent says no after the other's yes: refused."""
    name = f"young-refused-{side}"
    persons = two(shared, name, "ads-mail")
    persons[1 - side].press("accept", "ads-mail")
    page = persons[side].press("refuse", "ads-mail")
    for each in (page, persons[1 - side].open()):
        assert "L'un des deux a refusé le" in each.text()
        assert "Vous avez" not in each.text()
    assert shared.reason(name, "ads-mail") == "consent_refused"


@pytest.mark.parametrize("side", [0, 1])
def test_either_withdraws(shared, side):
    """What both gave, each of them can take back alone, by their own link."""
    name = f"young-withdrawn-{side}"
    persons = two(shared, name, "ads-mail")
    for each in persons:
        each.press("accept", "ads-mail")
    persons[side].press("withdraw", "ads-mail")
    assert shared.reason(name, "ads-mail") == "consent_withdrawn"


def test_a_first_act_is_taken_back(shared):
    """Before the other one has answered, too; the other's yes alone then permits nothing."""
    child, parent = two(shared, "young-undecided", "ads-mail")
    child.press("accept", "ads-mail")
    child.press("withdraw", "ads-mail")
    parent.press("accept", "ads-mail")
    assert shared.reason("young-undecided", "ads-mail") == "consent_invalid"


def test_each_page_speaks_to_its_reader(shared):
    """The child is spoken to plainly; the parent reads whose messages are meant; each hash is that of its page."""
    child, parent = two(shared, "young-reader", "ads-mail")
    page = child.open()
    assert "Es-tu d'accord pour qu'un programme analyse tes messages ?" in page.text()
    assert "il faut ton accord, et celui d'un de tes parents" in page.text()
    assert "ne répondez pas ici" not in page.text()
    other = parent.open()
    assert "Acceptez-vous que les messages de votre enfant soient analysés ?" in other.text()
    assert "Compte de l'enfant : yo…" in other.text()
    assert "Votre compte : yo…" in page.text()
    assert "« vos messages » désigne les siens" in other.text().replace("\N{NO-BREAK SPACE}", " ")
    for each in (page, other):
        assert each.fingerprint("ads-mail") == each.stated["ads-mail"]
    assert page.stated != other.stated
    assert "whoever is responsible for you" in Person(shared, child.path, "en").open().text()


def test_only_of_who_is_under_fifteen(shared):
    """Somebody of whom nobody says so is asked alone; a child is not asked alone."""
    answer = ask_link(shared, "grown-up", "ads-mail", kind="joint")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sceau:problem:joint-consent-not-applicable")
    alone = ask_link(shared, "child-alone", "ads-mail", age_band="under_15")
    assert (alone.status_code, alone.json()["type"]) == (409, "urn:sceau:problem:joint-consent-needed")
    assert "parent" not in ask_link(shared, "grown-up", "ads-mail").json()


def test_after_thirty_days_a_first_act_waits_for_nothing(clocked, clock):
    """The second act comes too late: it is another first one."""
    clocked.register("ads-mail")
    child, _ = two(clocked, "slow", "ads-mail")
    child.press("accept", "ads-mail")
    clock.at = utc("2026-07-20T12:00:00Z")
    _, parent = two(clocked, "slow", "ads-mail")
    page = parent.open()
    assert "Aucun accord valable n'est enregistré." in page.text()
    parent.press("accept", "ads-mail")
    assert clocked.reason("slow", "ads-mail") == "consent_invalid"


def test_who_turned_fifteen_is_not_asked_by_a_joint_link(shared):
    """Once somebody states that the person is fifteen, both pages ask no more."""
    child, parent = two(shared, "older", "ads-mail")
    age = {"subject": {"type": "user", "id": "older"}, "age_band": "minor_15_plus", "stated_by": "operator"}
    answer = shared.call("POST", "/v1/subjects/ages", {**age, "checked_how": "identity_document"})
    assert answer.status_code in {200, 201}, answer.text
    for person in (child, parent):
        page = person.open()
        assert page.status == 410
        assert page.buttons == {}


def test_a_form_of_one_side_is_worth_nothing_on_the_other(shared):
    """What the child's page made cannot be sent as the parent's."""
    child, parent = two(shared, "young-forger", "ads-mail")
    assert parent.send(child.open().filled("accept", "ads-mail")).status == 400
