"""The page about everything that is held about a person: whose it is, what it says, and when it ends."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.audit.trail import ActKind
from app.core.consent import AgeBand, CheckedHow, EventKind, GivenBy, StatedBy
from app.core.page.face import AnsweringAs
from app.core.renewal import FlagKind
from app.pages.consents.overview import ACTS, AGES, CHECKED, EVENTS, FLAGS, GIVEN_BY, STATED_BY
from tests.faults.service import eventually
from tests.support.api import TestClock, question, running, subject
from tests.support.consent_page import Page, Person, link
from tests.support.databases import new_database


@pytest.fixture
def clock():
    """The service's clock, of today: the log has no place for the decisions of other days."""
    return TestClock(datetime.now(UTC))


@pytest.fixture
def api(clock):
    """A service that logs every decision, with two processings and somebody who answered."""
    with new_database() as database, running(database, clock=clock, decision_log="durable") as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        Person(api, link(api, "alice", "ads")).press("accept", "ads")
        api.decide("alice", "stats", "refused")
        api.ok("POST", "/access/v1/evaluation", question("alice", "ads"))
        eventually(lambda: _export(api, "alice")["decisions_by_day"])  # its log is written a moment later
        yield api


def _export(api, name):
    return api.call("POST", "/v1/subjects/exports", {"subject": subject(name)}).json()


def _overview(api, name="alice"):
    body = {"subject": subject(name), "kind": "overview", "authentication": "signed_in"}
    return api.call("POST", "/v1/consent-links", body)


def _path(api, name="alice"):
    return _overview(api, name).json()["url"].removeprefix("https://sceau.example.fr")


def test_the_page_says_what_the_export_holds(api):
    """Answers with the text that was shown, decisions in words, who looked; in both languages, without the whole id."""
    path = _path(api)
    for language, words in (
        ("fr", ("Accord", "Refus", "analyse permise 1 fois", "1 fois (consentement en vigueur)", "a exporté")),
        (
            "en",
            ("Consent", "Refusal", "analysis permitted 1 time", "1 time (consent in force)", "exported these data"),
        ),
    ):
        page = Page(api.with_key(None).client.get(f"{path}?lang={language}"))
        said = page.html.replace("\N{NO-BREAK SPACE}", " ")
        assert page.status == 200
        assert [word for word in (*words, "Exemple SAS") if word not in said] == []
        assert "alice" not in page.html
        assert page.headers["cache-control"] == "no-store"
        assert page.forms == []  # it records nothing


def test_the_file_is_the_export(api, clock):
    """What is saved from the page is what the export tells."""
    path = _path(api)
    answer = api.client.get(f"{path}?receipt=json")
    assert answer.headers["content-type"] == "application/ld+json"
    assert answer.headers["content-disposition"] == f'attachment; filename="mes-donnees-{clock.at:%Y-%m-%d}.json"'
    told, wanted = answer.json(), _export(api, "alice")
    assert told["events"] == wanted["events"]
    assert (told["dpv:hasDataSubject"]["dct:identifier"], told["processings"]["ads"]) == (
        "alice",
        wanted["processings"]["ads"],
    )


def test_whoever_is_unknown_has_no_page(api):
    """No link is made about somebody of whom nothing is recorded, and no account is begun by asking."""
    assert _overview(api, "nobody").status_code == 404
    assert _export(api, "nobody")["looked_at"] == []


def test_it_is_for_callers_who_may_read_everything(api):
    """Whoever may only write consents, or may name some processings only, makes no such link."""
    for key in (
        api.new_key("consents:write"),
        api.new_key("consents:read"),
        api.new_key("consents:write", "consents:read", processings=["ads"]),
    ):
        assert _overview(api.with_key(key)).status_code == 403
    assert _overview(api.with_key(api.new_key("consents:write", "consents:read"))).status_code == 201


@pytest.mark.parametrize("more", [{"processings": ["ads"]}, {"consent": "01900000-0000-7000-8000-000000000000"}])
def test_it_names_no_processing(api, more):
    """A link about everything is about a person, and not about something."""
    body = {"subject": subject("alice"), "kind": "overview", "authentication": "signed_in", **more}
    assert api.call("POST", "/v1/consent-links", body).status_code == 422


def test_it_ends(api, clock):
    """After a week, once its maker's key is revoked, and once the account is closed: the page says nothing then."""
    path = _path(api)
    made = api.ok("POST", "/v1/keys", {"name": "desk", "scopes": ["consents:write", "consents:read"]})
    of_a_key = _path(api.with_key(made["key"]))
    assert api.client.get(of_a_key).status_code == 200
    api.call("DELETE", f"/v1/keys/{made['id']}")
    assert api.client.get(of_a_key).status_code == 410
    clock.at += timedelta(days=7) - timedelta(seconds=1)
    assert api.client.get(path).status_code == 200
    clock.at += timedelta(seconds=1)
    assert api.client.get(path).status_code == 410
    again = _path(api)
    api.ok("POST", "/v1/subjects/closures", {"subject": subject("alice")})
    for receipt in ("", "?receipt=json"):
        answer = api.client.get(f"{again}{receipt}")
        assert (answer.status_code, "ads" in answer.text) == (410, False)


def test_the_next_holder_of_the_id_has_a_page_of_their_own(api, clock):
    """What an earlier holder did is not in it, and the earlier link stays ended."""
    before = _path(api)
    api.ok("POST", "/v1/subjects/closures", {"subject": subject("alice")})
    clock.at += timedelta(minutes=1)
    api.decide("alice", "stats")
    told = api.client.get(f"{_path(api)}?receipt=json").json()
    assert [each["processing"] for each in told["events"]] == ["stats"]
    assert api.client.get(before).status_code == 410


def test_a_form_that_is_sent_to_it_records_nothing(api):
    """Fields of another page's form, sent to this address: nothing is recorded."""
    person = Person(api, link(api, "alice", "ads"))
    sent = person.open().filled("withdraw", "ads")
    assert person.send(sent, action="").status == 200  # the control: at its own address it counts
    again = Person(api, link(api, "alice", "ads", by_person=True, request_reference="ticket-1"))
    answer = api.client.post(_path(api), data=again.open().filled("accept", "ads"))
    assert answer.status_code == 404
    assert [each["kind"] for each in _export(api, "alice")["events"]] == ["granted", "refused", "withdrawn"]


def test_who_made_the_link_is_told(api):
    """The audit trail, and so the page itself, says that somebody had the means to read everything."""
    before = len(_export(api, "alice")["looked_at"])
    _overview(api)
    looked = _export(api, "alice")["looked_at"]
    assert len(looked) == before + 2
    assert "overview" in [each["kind"] for each in _export(api, "alice")["consent_links"]]
    assert "alice" not in json.dumps(looked)


def test_every_word_there_may_be_is_said():
    """Each kind of event and of flag has its words, and no act has any that is none."""
    assert set(EVENTS) == {each.value for each in EventKind}
    assert set(FLAGS) == {each.value for each in FlagKind}
    assert set(AGES) == {each.value for each in AgeBand}
    assert set(STATED_BY) == {each.value for each in StatedBy}
    assert set(CHECKED) == {each.value for each in CheckedHow}
    assert set(GIVEN_BY) == {*(each.value for each in GivenBy), *(each.value for each in AnsweringAs)} - {"self"}
    assert set(ACTS) <= {each.value for each in ActKind}


def test_it_says_which_age_was_stated_by_whom_and_how_it_was_checked(api):
    """Not that an age was stated about every processing; and no key is named, only the operator of the service."""
    age = {"subject": subject("alice"), "age_band": "minor_15_plus", "stated_by": "operator"}
    api.ok("POST", "/v1/subjects/ages", {**age, "checked_how": "identity_document"})
    page = Page(api.with_key(None).client.get(f"{_path(api)}?lang=fr")).text()
    assert "Âge déclaré : 15 à 17 ans" in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "déclaré par l'opérateur du service, vérifié par une pièce d'identité" in page
    assert "tous les traitements" not in page
    assert "bootstrap" not in page
    assert "l'opérateur du service a exporté ces données" in page
    assert "Chaque jour est conservé 90 jours, puis effacé : il n'en reste que des totaux" in page.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert "Vos droits" in page
