"""The page about everything that is held about a person: whose it is, what it says, and when it ends.

What is withdrawn by it is in `test_overview_withdrawals`.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.audit.trail import ActKind
from app.core.consent import AgeBand, CheckedHow, EventKind, GivenBy, StatedBy
from app.core.consent_link import AnsweringAs
from app.core.renewal import FlagKind
from app.pages.consents.overview import ACTS, AGES, CHECKED, EVENTS, FLAGS, GIVEN_BY, STATED_BY
from tests.faults.service import eventually
from tests.support.api import TestClock, question, running, subject, utc
from tests.support.consent_page import Page, Person, link, overview_link
from tests.support.consents import notice_of
from tests.support.databases import execute, new_database


@pytest.fixture(scope="module")
def api():
    """A service that logs every decision, with two processings, and alice who answered; others each test brings.

    Its clock begins today, for the log has no place for the decisions of other days, and only goes on.
    """
    clock = TestClock(datetime.now(UTC))
    with new_database() as database, running(database, clock=clock, decision_log="durable") as called:
        called.register("ads")
        called.register("stats", purpose="statistics")
        _answered(called, "alice")
        called.ok("POST", "/access/v1/evaluation", question("alice", "ads"))
        eventually(lambda: _export(called, "alice")["decisions_by_day"])  # its log is written a moment later
        yield called


def _answered(api, name):
    """A person who consented to one processing and refused the other."""
    Person(api, link(api, name, "ads")).press("accept", "ads")
    api.decide(name, "stats", "refused")


def _export(api, name):
    return api.call("POST", "/v1/subjects/exports", {"subject": subject(name)}).json()


def _overview(api, name="alice", **more):
    body = {"subject": subject(name), "kind": "overview", "authentication": "signed_in", **more}
    return api.call("POST", "/v1/consent-links", body)


def test_the_page_says_what_the_export_holds(api):
    """Answers with the text that was shown, decisions in words, who looked; in both languages, without the whole id."""
    path = overview_link(api, "alice")
    for language, words in (
        ("fr", ("Accord", "Refus", "analyse permise 1 fois", "1 fois (consentement en vigueur)", "a exporté")),
        ("en", ("Consent", "Refusal", "analysis permitted 1 time", "1 time (consent in force)", "exported these")),
    ):
        page = Page(api.with_key(None).client.get(f"{path}?lang={language}"))
        text = page.html.replace("\N{NO-BREAK SPACE}", " ")
        assert page.status == 200
        assert [word for word in (*words, "Exemple SAS") if word not in text] == []
        assert "alice" not in page.html
        assert page.headers["cache-control"] == "no-store"
        assert page.buttons == {"ads": ["withdraw"]}  # nothing is asked here, and what was refused is no button


def test_the_file_is_the_export(api):
    """What is saved from the page is what the export tells."""
    path = overview_link(api, "alice")
    answer = api.client.get(f"{path}?receipt=json")
    assert answer.headers["content-type"] == "application/ld+json"
    assert answer.headers["content-disposition"] == f'attachment; filename="mes-donnees-{api.clock.at:%Y-%m-%d}.json"'
    body, wanted = answer.json(), _export(api, "alice")
    assert body["events"] == wanted["events"]
    assert body["dpv:hasDataSubject"]["dct:identifier"] == "alice"
    assert body["processings"]["ads"] == wanted["processings"]["ads"]


def test_whoever_is_unknown_has_no_page(api):
    """No link is made about somebody of whom nothing is recorded, and no account is begun by asking."""
    assert _overview(api, "nobody").status_code == 404
    assert _export(api, "nobody")["looked_at"] == []


def test_it_is_for_callers_who_may_read_everything(api):
    """A caller that may only write consents, or is limited to some processings, cannot make this link."""
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
    assert _overview(api, **more).status_code == 422


def test_it_ends(api):
    """After a week, once its maker's key is revoked, and once the account is closed: it tells and withdraws nothing."""
    _answered(api, "erin")
    made = api.ok("POST", "/v1/keys", {"name": "desk", "scopes": ["consents:write", "consents:read"]})
    makers = (api.with_key(made["key"]), api)
    of_a_key, of_a_week = (Person(api, overview_link(each, "erin")) for each in makers)
    forms = [each.open().filled("withdraw", "ads") for each in (of_a_key, of_a_week)]
    api.call("DELETE", f"/v1/keys/{made['id']}")
    assert (of_a_key.open().status, of_a_key.send(forms[0]).status) == (410, 410)
    api.clock.at += timedelta(days=7) - timedelta(seconds=1)
    assert of_a_week.open().status == 200
    api.clock.at += timedelta(seconds=1)
    assert (of_a_week.open().status, of_a_week.send(forms[1]).status) == (410, 410)
    assert api.reason("erin", "ads") == "consent_in_force"
    of_an_account = Person(api, overview_link(api, "erin"))
    form = of_an_account.open().filled("withdraw", "ads")
    api.close("erin")
    assert of_an_account.send(form).status == 410
    for receipt in ("", "?receipt=json"):
        answer = api.client.get(f"{of_an_account.path}{receipt}")
        assert (answer.status_code, "ads" in answer.text) == (410, False)


def test_the_next_holder_of_the_id_has_a_page_of_their_own(api):
    """What an earlier holder did is not in it, and the earlier link stays ended."""
    _answered(api, "fay")
    before = overview_link(api, "fay")
    api.ok("POST", "/v1/subjects/closures", {"subject": subject("fay")})
    api.clock.at += timedelta(minutes=1)
    api.decide("fay", "stats")
    body = api.client.get(f"{overview_link(api, 'fay')}?receipt=json").json()
    assert [each["processing"] for each in body["events"]] == ["stats"]
    assert api.client.get(before).status_code == 410


def test_who_made_the_link_is_told(api):
    """The making of the link is in the audit trail and in the person's export."""
    before = len(_export(api, "alice")["looked_at"])
    _overview(api)
    looked = _export(api, "alice")["looked_at"]
    assert len(looked) == before + 2
    assert "overview" in [each["kind"] for each in _export(api, "alice")["consent_links"]]
    assert "alice" not in json.dumps(looked)


def test_every_word_there_may_be_is_said():
    """Each kind of event and flag, and each word of an age, has its words, and only known acts have any."""
    assert set(EVENTS) == {each.value for each in EventKind}
    assert set(FLAGS) == {each.value for each in FlagKind}
    assert set(AGES) == {each.value for each in AgeBand}
    assert set(STATED_BY) == {each.value for each in StatedBy}
    assert set(CHECKED) == {each.value for each in CheckedHow}
    assert set(GIVEN_BY) == {*(each.value for each in GivenBy), *(each.value for each in AnsweringAs)} - {"self"}
    assert set(ACTS) <= {each.value for each in ActKind}


def test_it_says_which_age_was_stated_by_whom_and_how_it_was_checked(api):
    """Not that an age was stated about every processing; and no key is named, only the operator of the service."""
    _answered(api, "gus")
    _export(api, "gus")
    api.state_age("gus", "minor_15_plus", checked_how="identity_document")
    page = Page(api.client.get(f"{overview_link(api, 'gus')}?lang=fr")).text().replace("\N{NO-BREAK SPACE}", " ")
    assert "Âge déclaré : 15 à 17 ans" in page
    assert "déclaré par l'opérateur du service, vérifié par une pièce d'identité" in page
    assert "tous les traitements" not in page
    assert "bootstrap" not in page
    assert "l'opérateur du service a exporté ces données" in page
    assert "Chaque jour est conservé 90 jours, puis effacé : il n'en reste que des totaux" in page
    assert "Vos droits" in page
    assert "Dernier âge déclaré : 15 à 17 ans, déclaré par l'opérateur du service, vérifié par" in page


def test_it_says_how_long_the_owner_keeps_days_at_least(database):
    """Where the owner's floor is longer than the service's setting, the page says the floor."""
    execute(database, "UPDATE owner_limit SET log_floor_days = 365")
    with running(database) as api:
        api.agreed("ads", "alice")
        page = Page(api.with_key(None).client.get(f"{overview_link(api, 'alice')}?lang=en")).text()
    assert "Each day is kept for 365 days" in page


def test_where_one_stands_comes_first(clocked, clock):
    """Until when in words, what for, who receives it, who is responsible and how long: above the history."""
    clocked.register("ads", data_recipients=["Régie SA"])
    clocked.register("stats", purpose="statistics")
    clocked.register("better", purpose="service_improvement")
    clock.at = utc("2027-01-28T10:00:00Z")
    clocked.decide("alice", "ads")
    clocked.decide("alice", "stats", "refused")
    clocked.decide("alice", "better")
    clocked.withdraw("alice", "better")
    for lang, words in (
        ("fr", ("Accord en vigueur jusqu'au 27 janvier 2028 inclus.", "Refus enregistré le", "Accord retiré le")),
        ("en", ("Consent in force until 27 January 2028 inclusive.", "Refusal recorded on", "Consent withdrawn on")),
    ):
        text = Page(clocked.with_key(None).client.get(f"{overview_link(clocked, 'alice')}?lang={lang}")).text()
        first, _, history = text.partition({"fr": "Historique", "en": "History"}[lang])
        more = ("Exemple SAS", "Régie SA", "dpo@exemple.example", "30 jours" if lang == "fr" else "30 days")
        assert [each for each in (*words, *more) if each not in first] == []
        assert [each for each in words if each in history] == []


def test_a_text_that_the_register_holds_is_never_said_not_to_be_kept(api):
    """The notice that a form of the operator's showed is told in page and file; a text that nobody has is said so."""
    api.decide("bea", "ads")
    path = overview_link(api, "bea")
    page = Page(api.client.get(f"{path}?lang=fr"))
    assert "n'a pas été conservé" not in page.text()
    assert notice_of("ads")["fr"] in page.text().replace("’", "'") or notice_of("ads")["fr"] in page.html
    assert list(api.client.get(f"{path}?receipt=json").json()["texts_shown"].values()) == [notice_of("ads")["fr"]]
    api.decide("cleo", "ads", evidence={"presented_text_sha256": "ab" * 32})
    assert "n'a pas été conservé" in Page(api.client.get(f"{overview_link(api, 'cleo')}?lang=fr")).text()


def test_receipts_are_saved_from_it(api):
    """The signed receipt of the answer that stands and everything as data, as files, and the receipt to print."""
    path = overview_link(api, "alice")
    page = Page(api.client.get(f"{path}?lang=fr"))
    (signed,) = [each for each in page.links if "receipt=signed&processing=ads" in each]
    assert api.client.get(path + signed).headers["content-type"] == "application/jwt"
    assert "Accord en vigueur" in api.client.get(f"{path}?lang=fr&receipt=html").text
    assert "?lang=fr&receipt=json" in page.links


def test_the_operator_has_a_name_that_people_know(database):
    """With SCEAU_BRAND what the operator did is told under its name."""
    with running(database, brand="Exemple Messagerie") as api:
        api.agreed("ads", "alice")
        text = Page(api.client.get(f"{overview_link(api, 'alice')}?lang=fr")).text()
        assert "Exemple Messagerie a exporté ces données" in text
        assert "Exemple Messagerie a établi un lien pour vous" in text
        assert "l'opérateur du service a" not in text


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_somebody_who_never_answered_has_a_page(api, lang):
    """For a person with an age alone, the page shows it, says that no answer is recorded, and has no button."""
    api.state_age("dan", "adult", stated_by="self", checked_how="not_checked")
    page = Page(api.client.get(f"{overview_link(api, 'dan')}?lang={lang}"))
    assert (page.status, page.forms) == (200, [])
    words = {"fr": "Aucune réponse n'est enregistrée : aucun accord", "en": "No answer is recorded: no consent"}[lang]
    assert words in page.text().replace("\N{NO-BREAK SPACE}", " ")
