"""Joint consent by two links: the child's page and the parent's, each of which records its own act."""

import re

import pytest

from tests.support.api import refused, subject
from tests.support.consent_page import PARENT, Page, Person, ask_link, history, link


def two(api, name, *processings, lang="fr", **more):
    """The child and the parent, each with their own link."""
    made = ask_link(api, name, *processings, kind="joint", **{"age_band": "under_15", **more})
    assert made.status_code == 201, made.text
    body = made.json()
    paths = (each["url"].removeprefix("https://sceau.example.fr") for each in (body, body["parent"]))
    return tuple(Person(api, path, lang) for path in paths)


@pytest.mark.parametrize("child_first", [True, False])
def test_two_acts_in_either_order_are_one_consent(shared, child_first):
    """One act of two, in either order, permits nothing, and both together permit."""
    name = f"young-{child_first}"
    child, parent = two(shared, name, "ads-mail")
    first, second = (child, parent) if child_first else (parent, child)
    page = first.press("accept", "ads-mail")
    assert ("Il manque celui de ton parent" if child_first else "Il manque celui de l'enfant.") in page.text()
    assert page.buttons == {"ads-mail": ["withdraw"]}
    assert shared.reason(name, "ads-mail") == "consent_invalid"
    waiting = second.open()
    assert waiting.buttons == {"ads-mail": ["accept", "refuse"]}
    assert ("Il manque le vôtre." if child_first else "Il manque ton accord.") in waiting.text()
    page = second.press("accept", "ads-mail")
    holds = "Accords en vigueur jusqu'au" if child_first else "Tes messages peuvent être analysés jusqu'au"
    assert holds in page.text()
    assert "Les deux accords sont donnés, le dernier le" in page.text()
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
    as_parent = shared.ok("POST", "/v1/subjects/exports", {"subject": PARENT["parent"]})["as_parent"]
    acts = {(each["kind"], each["processing"], each["given_by"], each["parent_checked_how"]) for each in as_parent}
    assert ("granted", "ads-mail", "holder_of_parental_responsibility", "identity_document") in acts
    assert "young-known" not in str(as_parent)
    other = shared.ok("POST", "/v1/subjects/exports", {"subject": subject("young-known")})["as_parent"]
    assert other == []


@pytest.mark.parametrize("missing", ["parent", "parent_checked_how"])
def test_a_joint_link_says_who_the_parent_is(shared, missing):
    """A joint link needs the parent and the check of them, and another kind of link refuses both."""
    left = {name: value for name, value in PARENT.items() if name != missing}
    half = {"age_band": "under_15", **left, missing: None}
    assert ask_link(shared, "young-unknown", "ads-mail", kind="joint", **half).status_code == 422
    assert ask_link(shared, "grown", "ads-mail", **left).status_code == 422


@pytest.mark.parametrize("side", [0, 1])
def test_a_refusal_of_either_permits_nothing(shared, side):
    """A refusal by the child or the parent after the other's yes permits nothing."""
    name = f"young-refused-{side}"
    persons = two(shared, name, "ads-mail")
    persons[1 - side].press("accept", "ads-mail")
    page = persons[side].press("refuse", "ads-mail")
    for place, each in ((side, page), (1 - side, persons[1 - side].open())):
        assert ("L'un des deux a refusé le" if place else "L'un des deux a dit non le") in each.text()
        assert "Vous avez" not in each.text()
    assert shared.reason(name, "ads-mail") == "consent_refused"


@pytest.mark.parametrize("side", [0, 1])
def test_either_withdraws(shared, side):
    """Child and parent can each withdraw a joint consent alone, by their own link."""
    name = f"young-withdrawn-{side}"
    persons = two(shared, name, "ads-mail")
    for each in persons:
        each.press("accept", "ads-mail")
    persons[side].press("withdraw", "ads-mail")
    assert shared.reason(name, "ads-mail") == "consent_withdrawn"


def test_each_page_speaks_to_its_reader(shared):
    """The child is spoken to plainly; the parent reads whose messages are meant; each hash is that of its page."""
    child, parent = two(shared, "young-reader", "ads-mail")
    page = child.open()
    assert "Es-tu d'accord pour qu'un programme analyse tes messages ?" in page.text()
    assert "C'est Exemple SAS qui te le demande." in page.text()
    assert "Il faut donc ton accord, et celui d'un parent" in page.text()
    assert "ne répondez pas ici" not in page.text()
    other = parent.open()
    assert "Acceptez-vous que les messages de l'enfant soient analysés ?" in other.text()
    assert "Compte de l'enfant : yo…" in other.text()
    assert "Ton compte : yo…" in page.text()
    assert "Le contenu des messages de l'enfant" in other.text()
    for each in (page, other):
        assert each.fingerprint("ads-mail") == each.stated["ads-mail"]
    assert page.stated != other.stated
    assert "whoever is responsible for you" in Person(shared, child.path, "en").open().text()


VOUS = re.compile(r"\b(vous|votre|vos)\b|\b\w+ez\b", re.IGNORECASE)


def test_the_child_is_never_spoken_to_as_vous(shared):
    """Not before, between or after the answers, nor in the receipt: all that is read on the child's page says `tu`."""
    child, parent = two(shared, "young-tu", "ads-mail")
    pages = [child.open(), child.press("accept", "ads-mail"), child.press("withdraw", "ads-mail")]
    pages += [child.press("accept", "ads-mail"), parent.press("accept", "ads-mail"), child.open()]
    of_child = [each for each in pages if "de l'enfant" not in each.text()]
    assert len(of_child) == len(pages) - 1
    assert [word for each in of_child for word in VOUS.findall(each.text())] == []
    receipt = Page(shared.with_key(None).client.get(f"{child.path}?lang=fr&receipt=html"))
    assert "Reçu de tes réponses" in receipt.text()
    assert VOUS.search(parent.open().text()) is not None  # the control


def test_those_of_fifteen_to_seventeen_have_a_page_of_their_own(shared):
    """Stated with the link or before it, the age makes the page speak to them; they answer alone, as adults do."""
    name = "teenager"
    path = link(shared, name, "ads-mail", age_band="minor_15_plus")
    teen = Person(shared, path)
    page = teen.open()
    assert "tu décides toi-même" in page.text()
    assert page.fingerprint("ads-mail") == page.stated["ads-mail"]
    assert VOUS.search(page.text()) is None
    answered = teen.press("accept", "ads-mail")
    assert "Ton accord dure jusqu'au" in answered.text()
    assert VOUS.search(answered.text()) is None
    assert shared.reason(name, "ads-mail") == "consent_in_force"
    withdrawn = Person(shared, link(shared, name, "ads-mail", kind="withdraw")).press("withdraw", "ads-mail")
    assert "Tes messages ne sont plus analysés pour cela." in withdrawn.text()


def test_a_parent_says_in_which_capacity_they_consent(shared):
    """Without it a consent is not recorded, and the page says why; with it, it is kept; to refuse none is needed."""
    _, parent = two(shared, "young-guarded", "ads-mail")
    sent = parent.open().filled("accept", "ads-mail")
    assert sent.pop("answering_as") == "holder_of_parental_responsibility"
    page = parent.send(sent)
    assert page.status == 409
    assert "dites d'abord à quel titre vous répondez" in page.text()
    page = parent.send({**parent.open().filled("accept", "ads-mail"), "answering_as": "guardian"})
    assert "Votre accord est noté." in page.text()
    assert history(shared, "young-guarded")[0]["evidence"]["answering_as"] == "guardian"
    _, parent = two(shared, "young-guarded-no", "ads-mail")
    assert "L'un des deux a refusé" in parent.press("refuse", "ads-mail").text()


@pytest.mark.parametrize("chosen", ["neighbour", "guardian"])
def test_nobody_else_states_a_capacity(shared, chosen):
    """A capacity on the child's form, or one that the parent's page does not offer, is a 400."""
    child, parent = two(shared, f"young-{chosen}", "ads-mail")
    person = child if chosen == "guardian" else parent
    assert person.send({**person.open().filled("accept", "ads-mail"), "answering_as": chosen}).status == 400


def test_only_of_who_is_under_fifteen(shared):
    """A joint link is refused for a person not stated to be under fifteen, and another link for one who is."""
    answer = ask_link(shared, "grown-up", "ads-mail", kind="joint")
    assert refused(answer) == (409, "joint-consent-not-applicable")
    alone = ask_link(shared, "child-alone", "ads-mail", age_band="under_15")
    assert refused(alone) == (409, "joint-consent-needed")
    assert "parent" not in ask_link(shared, "grown-up", "ads-mail").json()


def test_who_turned_fifteen_is_not_asked_by_a_joint_link(shared):
    """Both pages of a joint link ask no more once the person is stated to be fifteen."""
    child, parent = two(shared, "older", "ads-mail")
    shared.state_age("older", "minor_15_plus", checked_how="identity_document")
    for person in (child, parent):
        page = person.open()
        assert page.status == 410
        assert page.buttons == {}
