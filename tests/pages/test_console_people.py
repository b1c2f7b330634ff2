"""A person in the console: found by id, shown, withdrawn for, closed and erased; and where the id never appears."""

import json
import re

import pytest

from tests.support.acts import trail
from tests.support.api import running
from tests.support.desk import Officer, forms_of

DPO = ("subjects:read", "consents:read", "consents:write", "subjects:erase", "register:read", "audit:read")


@pytest.fixture(scope="module")
def served(shared_database):
    """An application with two processings that ask, and one that does not; persons have names of their own."""
    with running(shared_database) as api:
        api.register("ads-mail", name={"fr": "Publicité", "en": "Advertising"})
        api.register("stats-mail", purpose="statistics", name={"fr": "Statistiques", "en": "Statistics"})
        api.register("filter", purpose="malware_detection")
        yield api


@pytest.fixture
def dpo(served):
    """An officer who answers people, signed in."""
    return Officer(served, served.new_key(*DPO))


def found(officer, name):
    """The page of a person, after a search."""
    return officer.press(officer.open("/console/people"), "find", id=name)


def test_present_state_first_then_history(served, dpo):
    """The page shows the person's situation on each processing first, then the history, then who looked."""
    served.decide("olga@example.fr", "ads-mail")
    served.decide("olga@example.fr", "stats-mail", "refused")
    page = found(dpo, "olga@example.fr")
    text = page.text()
    assert "This reading is recorded, with the id of your key or account." in text
    assert text.index("Consent in force until") < text.index("Refusal recorded") < text.index("History")
    assert "Consent: Advertising" in page.text("history")
    assert "Nothing is analysed for this." in text
    assert "your messages" not in text


def test_a_withdrawal_takes_effect(served, dpo):
    """One press withdraws; the page says so, offers it no more, and the next decision is a no."""
    served.decide("paul@example.fr", "ads-mail")
    page = found(dpo, "paul@example.fr")
    page = dpo.press(page, "withdraw", method="phone")
    assert "The withdrawal is recorded: it takes effect from now on." in page.text()
    assert "withdraw" not in dict(forms_of(page))
    assert served.reason("paul@example.fr", "ads-mail") == "consent_withdrawn"


def test_all_at_once_closed_and_erased(served, dpo):
    """All consents are withdrawn, the account closed, the person erased; each says what it does before."""
    for identifier in ("ads-mail", "stats-mail"):
        served.decide("rosa@example.fr", identifier)
    page = dpo.press(found(dpo, "rosa@example.fr"), "withdraw_all")
    assert served.reason("rosa@example.fr", "stats-mail") == "consent_withdrawn"
    page = dpo.press(page, "close")
    assert served.reason("rosa@example.fr", "ads-mail") == "no_consent"
    page = dpo.press(page, "erase")
    assert "The person is erased." in page.text()
    assert "Nothing is recorded for this id." in page.text()


def test_an_age_counts(served, dpo):
    """An age that is stated stands on the page and counts for the next decision."""
    served.decide("theo@example.fr", "ads-mail")
    page = found(dpo, "theo@example.fr")
    wrong = dpo.press(page, "state_age", age_band="adult", stated_by="", checked_how="")
    assert wrong.status == 422
    assert wrong.html.count('aria-invalid="true"') == 2
    statement = {"age_band": "under_15", "stated_by": "operator", "checked_how": "account_data"}
    page = dpo.press(page, "state_age", **statement)
    assert "under 15" in page.text()
    assert served.reason("theo@example.fr", "ads-mail") == "consent_invalid"


def test_a_link_is_shown_once(served, dpo):
    """A link to send is made for the person, shown on the page that answers, and nowhere afterwards."""
    served.decide("uma@example.fr", "ads-mail")
    page = dpo.press(found(dpo, "uma@example.fr"), "make_link", kind="overview", authentication="mailbox")
    assert page.status == 201
    address = re.search(r"https://sceau\.example\.fr/consent/[\w-]+", page.text())
    assert address is not None
    assert served.client.get(address[0].removeprefix("https://sceau.example.fr")).status_code == 200
    assert address[0] not in dpo.open("/console/person").html


def test_a_mailbox_that_several_share(served, dpo):
    """A mailbox that several people share consents to nothing any more."""
    served.decide("contact@example.fr", "ads-mail")
    page = dpo.press(found(dpo, "contact@example.fr"), "share_mailbox", shared="yes")
    assert "It is recorded." in page.text()
    assert served.reason("contact@example.fr", "ads-mail") == "other_party"


def test_file_and_receipt(served, dpo):
    """The file of GDPR 15 is what the API answers, and the receipt is the signed one; both are saved, not shown."""
    served.decide("vera@example.fr", "ads-mail")
    page = found(dpo, "vera@example.fr")
    file = dpo.open("/console/person/export")
    assert file.headers["content-disposition"] == 'attachment; filename="data.jsonld"'
    body = {"subject": {"type": "user", "id": "vera@example.fr"}}
    assert {*json.loads(file.html)} == {*served.ok("POST", "/v1/subjects/exports", body)}
    address = re.search(r'href="(/console/person/receipts/[\w-]+)', page.html)
    assert address is not None
    assert "ads-mail" in dpo.open(address[1]).html


def test_reading_is_recorded(served, shared_database, dpo):
    """The opening of a person's page is in the trail with its caller, and in the person's export."""
    served.decide("walt@example.fr", "ads-mail")
    found(dpo, "walt@example.fr")
    entry = next(each for each in reversed(trail(shared_database)) if each["act"] == "subject.read")
    assert entry["way"] == "page"
    body = {"subject": {"type": "user", "id": "walt@example.fr"}}
    assert "subject.read" in [each["act"] for each in served.ok("POST", "/v1/subjects/exports", body)["looked_at"]]


def test_the_id_stands_in_no_address_and_no_log(served, dpo, capfd):
    """Neither addresses, nor cookies, nor hidden fields, nor the log hold the id in clear."""
    name = "secret-name@example.fr"
    served.decide(name, "ads-mail")
    page = found(dpo, name)
    dpo.press(page, "withdraw")
    visible = page.html.replace(f"<bdi>{name}</bdi>", "")
    assert name not in visible
    traces = "".join(capfd.readouterr()) + str(dict(served.client.cookies)) + str(page.headers)
    assert "secret-name" not in traces
    assert name in page.html  # the control: it is on the page, where the person is named


def test_a_form_is_about_the_person_of_its_page(served, dpo):
    """A form withdraws for the person of its own page, even if another person was found since."""
    for name in ("xeno@example.fr", "yann@example.fr"):
        served.decide(name, "ads-mail")
    first = found(dpo, "xeno@example.fr")
    found(dpo, "yann@example.fr")
    dpo.press(first, "withdraw")
    assert served.reason("xeno@example.fr", "ads-mail") == "consent_withdrawn"
    assert served.reason("yann@example.fr", "ads-mail") == "consent_in_force"


def test_a_sealed_person_is_of_one_session(served, dpo):
    """A person's sealed id from another session, or a forged one, is a 404."""
    served.decide("zeno@example.fr", "ads-mail")
    page = found(dpo, "zeno@example.fr")
    sealed = dict(forms_of(page))["close"]["about"]
    other = Officer(served, served.new_key(*DPO))
    mine = dict(forms_of(found(other, "nobody@example.fr")))["close"]
    for about in (sealed, "x" * 40):
        assert other.post("/console/acts/close", {**mine, "about": about}).status == 404
    assert served.reason("zeno@example.fr", "ads-mail") == "consent_in_force"


@pytest.mark.parametrize("lacking", ["subjects:read", "consents:read"])
def test_without_the_scopes_nobody_is_found(served, lacking):
    """Both scopes are needed, as for the API's lists of names and histories: without one the page is not there."""
    scopes = [each for each in DPO if each != lacking]
    officer = Officer(served, served.new_key(*scopes))
    assert officer.open("/console/people").status == 403
    assert "/console/people" not in officer.open("/console").html


def test_without_writing_nothing_is_offered(served):
    """A caller that may only read sees a person without buttons, and one limited to processings finds no one."""
    served.decide("ines@example.fr", "ads-mail")
    reader = Officer(served, served.new_key("subjects:read", "consents:read"))
    page = found(reader, "ines@example.fr")
    assert "Consent in force until" in page.text()
    assert dict(forms_of(page)) == {}
    limited = served.new_key("subjects:read", "consents:read", processings=["ads-mail"])
    assert Officer(served, limited).open("/console/people").status == 403


def test_an_id_that_cannot_be_is_told_at_the_form(served, dpo):
    """An id with a domain that cannot exist is refused in words, and what was typed stays."""
    page = found(dpo, "a@ex..ample.fr")
    assert page.status == 400
    assert "That id is not possible." in page.text()
    assert 'value="a@ex..ample.fr"' in page.html


def test_in_french(served):
    """The page is whole in French, and speaks of the person, not to them."""
    served.decide("lise@example.fr", "ads-mail")
    officer = Officer(served, served.new_key(*DPO), "fr")
    text = found(officer, "lise@example.fr").text()
    assert "Consentement en vigueur jusqu'au" in text
    assert "Situation actuelle" in text
    assert "vos messages" not in text


def test_two_names_of_one_person(served, dpo):
    """A name that is added counts as the person's, and permits nothing once it is taken away."""
    served.decide("quentin@example.fr", "ads-mail")
    page = found(dpo, "quentin@example.fr")
    page = dpo.press(page, "link_name", **{"from.id": "q.martin@example.fr", "basis": "provider_account"})
    assert "The name is added." in page.text()
    assert served.reason("q.martin@example.fr", "ads-mail") == "consent_in_force"
    same = dpo.press(page, "link_name", **{"from.id": "quentin@example.fr", "basis": "provider_account"})
    assert "It is the same id, written differently." in same.text()
    page = dpo.press(page, "unlink_name", **{"from.id": "q.martin@example.fr"})
    assert "The name is taken away." in page.text()
    assert served.reason("q.martin@example.fr", "ads-mail") == "no_consent"
