import re

import pytest

from tests.support.api import refusal_of, refused, running, subject, utc
from tests.support.consent_page import Person, ask_link, link
from tests.support.databases import rows
from tests.support.two_persons import add

NOON = utc("2026-06-15T12:00:00Z")


def test_the_answer(moving, shared_clock):
    """A link has an unguessable address below SCEAU_PUBLIC_URL, an id, what it offers, and lasts thirty days."""
    shared_clock.at = NOON
    moving.register("asked")
    answer = ask_link(moving, "alice", "asked")
    assert answer.status_code == 201
    body = answer.json()
    assert re.fullmatch(r"https://sceau\.example\.fr/consent/[A-Za-z0-9_-]{43}", body["url"])
    assert body["expires_at"] == "2026-07-15T12:00:00Z"
    assert (body["kind"], body["processings"], body["left_out"]) == ("decide", ["asked"], [])
    assert ask_link(moving, "alice", "asked").json()["url"] != body["url"]


def test_no_identifier_is_in_the_address_and_no_token_in_the_database(api, database):
    """The address does not name the subject; the database has the token's SHA-256 and not the token."""
    api.register("ads-mail")
    token = link(api, "alice@example.fr", "ads-mail").rpartition("/")[2]
    assert "alice" not in token
    ((kept,),) = rows(database, "SELECT t::text FROM consent_link t")
    assert (token in kept, "alice" in kept) == (False, False)


def test_a_key_is_not_replayed(shared_register):
    """Under one Idempotency-Key two requests make two links, so that no secret is kept to be answered again."""
    body = {"subject": subject("twice"), "processings": ["ads-mail"], "authentication": "mailbox", "kind": "decide"}
    sent = ("POST", "/v1/consent-links", body, {"Idempotency-Key": "same"})
    assert shared_register.ok(*sent)["url"] != shared_register.ok(*sent)["url"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"processings": []}, 422),
        ({"processings": ["ads-mail", "ads-mail"]}, 422),
        ({"processings": ["ads-mail"] * 21}, 422),
        ({"authentication": "trust me"}, 422),
        ({"kind": "both"}, 422),
        ({"by_person": 1}, 422),
        ({"processings": ["ads-mail", "nothing"]}, 404),
    ],
)
def test_what_is_refused(shared_register, more, status):
    """A link is refused for no or a repeated processing, an unknown word or an unregistered processing."""
    assert ask_link(shared_register, "alice", "ads-mail", **more).status_code == status


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("filter", "consent-not-applicable"),
        ("archive", "consent-not-applicable"),
        ("reading", "consent-not-applicable"),
        ("suspended", "processing-suspended"),
        ("retired", "processing-retired"),
    ],
)
def test_what_no_consent_can_permit_is_not_asked(shared_register, identifier, expected):
    """No link asks about a processing that no consent can permit; the 409 names it and says why."""
    answer = ask_link(shared_register, "alice", "ads-mail", identifier)
    assert refused(answer) == (409, expected)
    assert identifier in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == "processings"


@pytest.mark.parametrize("identifier", ["suspended", "retired"])
def test_what_is_stopped_can_still_be_withdrawn(shared_register, identifier):
    """A withdraw link is made for a consent to a processing that is suspended or retired."""
    path = link(shared_register, "holder", identifier, kind="withdraw")
    assert Person(shared_register, path).open().buttons == {identifier: ["withdraw"]}


def test_nothing_to_withdraw(shared_register):
    """A withdraw link without any consent is a 409; a processing without one among others is left out."""
    answer = ask_link(shared_register, "nobody", "ads-mail", kind="withdraw")
    assert refused(answer) == (409, "nothing-to-withdraw")
    shared_register.decide("partly", "ads-mail")
    body = ask_link(shared_register, "partly", "ads-mail", "suspended", kind="withdraw").json()
    assert body["processings"] == ["ads-mail"]
    assert body["left_out"] == [{"processing": "suspended", "reason": "no_consent"}]


@pytest.mark.parametrize("how", ["stated", "recorded"])
def test_under_fifteen(shared_register, how):
    """A link to decide is refused for a person under fifteen, by the request's word or an earlier decision's."""
    stated = {"age_band": "under_15"} if how == "stated" else {}
    if how == "recorded":
        capacity = {"age_band": "under_15", "given_by": "both"}
        shared_register.decide(f"child-{how}", "ads-mail", capacity=capacity)
    answer = ask_link(shared_register, f"child-{how}", "ads-mail", **stated)
    assert refused(answer) == (409, "joint-consent-needed")


@pytest.mark.parametrize("declined", ["refused", "withdrawn"])
def test_what_was_declined_is_not_offered_for_six_months(moving, shared_clock, declined):
    """A declined processing is left out for six months, unless the person asks; a link with nothing left is a 409."""
    shared_clock.at = NOON
    one, other = f"one-{declined}", f"other-{declined}"
    for identifier in (one, other):
        moving.register(identifier)
    if declined == "refused":
        moving.decide("decliner", one, "refused")
    else:
        moving.decide("decliner", one)
        shared_clock.at = utc("2026-06-15T12:00:01Z")
        moving.withdraw("decliner", one)
    until = shared_clock.at.replace(month=12, hour=13).isoformat().replace("+00:00", "Z")  # winter in Paris
    body = ask_link(moving, "decliner", one, other).json()
    assert body["processings"] == [other]
    assert body["left_out"] == [{"processing": one, "reason": declined, "until": until}]
    answer = ask_link(moving, "decliner", one)
    assert refused(answer) == (409, "solicitation-paused")
    assert f"{one} until 2026-12-15" in answer.json()["detail"]
    assert ask_link(moving, "decliner", one, by_person=True, request_reference="ticket-1").status_code == 201
    shared_clock.at = utc("2026-12-15T12:59:59Z")
    assert ask_link(moving, "decliner", one).status_code == 409
    shared_clock.at = utc(until)
    assert ask_link(moving, "decliner", one).status_code == 201


def test_the_pause_is_a_setting(database, clock):
    """SCEAU_SOLICITATION_PAUSE sets the pause, which holds neither for a closed account nor for a renewal."""
    with running(database, clock=clock, solicitation_pause="P30D") as api:
        api.register("ads-mail")
        api.decide("alice", "ads-mail", "refused")
        clock.at = utc("2026-07-15T11:59:59Z")
        assert ask_link(api, "alice", "ads-mail").status_code == 409
        api.ok("POST", "/v1/subjects/closures", {"subject": {"type": "user", "id": "alice"}})
        assert ask_link(api, "alice", "ads-mail").status_code == 201
        api.decide("bob", "ads-mail")
        assert ask_link(api, "bob", "ads-mail").status_code == 201


@pytest.mark.parametrize("pause", ["P2Y", "six months", "P0D"])
def test_a_pause_that_cannot_be_one_is_refused_at_start(monkeypatch, pause):
    """A pause of over a year, of no days or in bad form stops the start, and the refusal names the setting."""
    assert "SCEAU_SOLICITATION_PAUSE: " in refusal_of(monkeypatch, solicitation_pause=pause)


def test_who_is_asked_is_told_a_contact(asking):
    """A version without a data-protection contact gets no link to decide (GDPR art. 13), but one to withdraw."""
    asking.register("silent", data_protection_contact=None)
    answer = ask_link(asking, "alice", "ads-mail", "silent")
    assert refused(answer) == (409, "contact-missing")
    assert "silent names no data_protection_contact" in answer.json()["detail"]
    asking.decide("alice", "silent")
    assert ask_link(asking, "alice", "silent", kind="withdraw").status_code == 201


def test_a_version_that_loses_its_contact_is_not_asked_for(asking):
    """A link that was sent collects no consent for a later version without a contact."""
    asking.register("losing")
    person = Person(asking, link(asking, "alice", "losing"))
    assert add(asking, "losing", data_protection_contact=None, material=True).status_code == 201
    page = person.open()
    assert page.buttons == {}
    assert "Vous pouvez répondre ici" not in page.text()


def test_the_contact_is_registered_and_told(shared_register):
    """The register keeps the data-protection contact of each version."""
    registered = shared_register.register("told", data_protection_contact="dpo@exemple.example")
    assert registered["version"]["data_protection_contact"] == "dpo@exemple.example"
    add(shared_register, "told", data_protection_contact="cnil@exemple.example", material=True)
    versions = shared_register.ok("GET", "/v1/processings/told/versions")["items"]
    assert [each["data_protection_contact"] for each in versions] == ["dpo@exemple.example", "cnil@exemple.example"]
