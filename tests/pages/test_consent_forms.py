from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.requests import Request

from app.core.errors import FormNotOursError
from app.db.database import DatabaseUnavailableError, PoolLimits
from app.operations.consents import answer_consent_form
from app.pages.rendering import read_form
from tests.pages.test_errors_for_people import BROWSER
from tests.support.api import running, subject
from tests.support.consent_page import Page, Person, link
from tests.support.two_persons import add, other_words


def events(api, name, identifier):
    """Every ledger event of a person about a processing that they decided on, in order."""
    items = api.ok("POST", "/v1/consents/search", {"subject": subject(name), "processing": identifier})["items"]
    return api.ok("GET", f"/v1/consents/{items[0]['id']}/history")["items"] if items else []


@pytest.fixture
def person(shared, request):
    """A person with a link about one processing, who has answered nothing."""
    return Person(shared, link(shared, request.node.name, "ads-mail"))


def test_a_form_counts_once(shared, person, request):
    """A form that is sent twice is recorded once, and the second answer says so and shows the person's situation."""
    fields = person.open().filled("accept", "ads-mail")
    assert person.send(fields).status == 200
    again = person.send(fields)
    assert again.status == 409
    assert "Votre réponse n'a été enregistrée qu'une fois." in again.text()
    assert 'role="alert" tabindex="-1" autofocus' in again.html
    assert "Accord en vigueur jusqu'au" in again.text()
    assert [each["kind"] for each in events(shared, request.node.name, "ads-mail")] == ["granted"]


@pytest.mark.parametrize("first", ["accept", "withdraw"])
def test_each_button_of_a_form_counts(shared, request, first):
    """A no is recorded although the same form has said yes before, and a yes is not where it has said no."""
    shared.decide(request.node.name, "ads-mail")
    person = Person(shared, link(shared, request.node.name, "ads-mail"))
    page = person.open()
    fields = {press: page.filled(press, "ads-mail") for press in ("accept", "withdraw")}
    assert fields["accept"]["form"] == fields["withdraw"]["form"]
    then = "withdraw" if first == "accept" else "accept"
    assert person.send(fields[first]).status == 200
    second = person.send(fields[then])
    assert second.status == (200 if then == "withdraw" else 409)
    assert shared.reason(request.node.name, "ads-mail") == "consent_withdrawn"
    assert person.send(fields[then]).status == 409
    shared.decide(request.node.name, "ads-mail")
    assert person.send(fields["withdraw"]).status == 200, "a no that is sent again withdraws what was given since"


def test_a_form_kept_from_before_undoes_nothing(shared, person, request):
    """A refusal from a page that was opened before the person accepted is refused when it is sent late."""
    old = person.open().filled("refuse", "ads-mail")
    person.press("accept", "ads-mail")
    late = person.send(old)
    assert late.status == 409
    assert "La situation a changé" in late.text()
    assert shared.reason(request.node.name, "ads-mail") == "consent_in_force"


def test_a_form_that_the_page_did_not_make_is_refused(shared, person, request):
    """Any field altered, missing or added is a 400 page, and nothing is recorded; the form as it was counts."""
    made = person.open().filled("accept", "ads-mail")
    for changed in (
        {"press": "accept_all"},
        {"press": "withdraw_all"},
        {"press": ""},
        {"form": "zz"},
        {"form": "00" * 16},
        {"form": ""},
        {"seal": "0" * 64},
        {"seal": "é"},
        {"processing": "stats-mail"},
        {"processing": ""},
        {"shown": "0" * 64},
        {"more": "1"},
    ):
        answer = person.send({**made, **changed})
        assert answer.status == 400, changed
        assert "Rien n'a été enregistré." in answer.text()
        assert shared.reason(request.node.name, "ads-mail") == "no_consent", changed
    assert person.send(made).status == 200  # the control


def test_a_form_is_for_its_own_link_and_language(shared):
    """A form of one link's page is refused on another link, or for the text in the other language."""
    one, other = (Person(shared, link(shared, name, "ads-mail")) for name in ("form-one", "form-other"))
    fields = one.open().filled("accept", "ads-mail")
    assert other.send(fields).status == 400
    assert Person(shared, one.path, "en").send(fields).status == 400
    assert shared.reason("form-one", "ads-mail") == shared.reason("form-other", "ads-mail") == "no_consent"


def test_what_is_not_such_a_form_is_refused(shared, person):
    """A body of another kind, with too long or too many fields, or from another site is refused with a page."""
    nobody = person.api.client
    assert Page(nobody.post(person.path, json={"press": "accept"})).status == 400
    assert Page(nobody.post(person.path, content=b"\xff\xfe")).status == 400
    assert Page(nobody.post(person.path, data={f"f{number}": "1" for number in range(50)})).status == 400
    assert Page(nobody.post(person.path, data={"press": "a" * 5_000})).status == 413
    fields = person.open().filled("accept", "ads-mail")
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        assert person.send(fields, **{"Sec-Fetch-Site": site}).status == status


@pytest.mark.parametrize("body", [b"name=a%00b", b"name=a\0b", b"name=a&o%00=b"])
async def test_no_form_brings_a_nul_in(body):
    """A NUL in a field or in its name, which PostgreSQL cannot store, is in no form of ours; without it the form is."""

    async def receive():
        return {"type": "http.request", "body": body}

    scope = {"type": "http", "headers": [(b"content-type", b"application/x-www-form-urlencoded")]}
    with pytest.raises(FormNotOursError):
        await read_form(Request(scope, receive), {"name"}, others=True)
    body = body.replace(b"%00", b"").replace(b"\0", b"")
    assert "name" in await read_form(Request(scope, receive), {"name"}, others=True)


@pytest.mark.parametrize("material", [True, False])
def test_a_text_that_changed_meanwhile_is_not_consented_to(shared, material):
    """A form whose text changed before it was sent records nothing, and the page shows the new text."""
    identifier = f"changed-{material}".lower()
    shared.register(identifier)
    person = Person(shared, link(shared, "slow", identifier))
    page = old = person.open()
    notice = {"fr": "Nouveau texte.", "en": "New text."}
    if material:
        add(shared, identifier, notice=notice, material=True)
    else:
        other_words(shared, identifier, notice)
    for press in ("accept", "refuse"):
        page = person.send(old.filled(press, identifier))
        assert page.status == 409
        assert "Le texte a changé depuis que vous avez ouvert la page. Rien n'a été enregistré." in page.text()
        assert "Nouveau texte." in page.text()
    assert shared.reason("slow", identifier) == "no_consent"
    person.send(page.filled("accept", identifier))
    (recorded,) = events(shared, "slow", identifier)
    assert (recorded["version"], recorded["evidence"]["notice_version"]) == (2, 2)
    assert recorded["evidence"]["presented_text_sha256"] == page.stated[identifier] != old.stated[identifier]


def test_a_version_with_the_same_words_is_a_change_too(shared):
    """A material version whose text reads the same is not consented to by a form of the one before."""
    shared.register("same-mail")
    person = Person(shared, link(shared, "slow", "same-mail"))
    fields = person.open().filled("accept", "same-mail")
    add(shared, "same-mail", material=True)
    assert person.send(fields).status == 409
    assert shared.reason("slow", "same-mail") == "no_consent"


def test_a_changed_text_keeps_nobody_from_withdrawing(shared):
    """A form from before a change of text still withdraws."""
    shared.agreed("reworded-mail", "leaver")
    person = Person(shared, link(shared, "leaver", "reworded-mail", kind="withdraw"))
    fields = person.open().filled("withdraw", "reworded-mail")
    other_words(shared, "reworded-mail", {"fr": "Autre."})
    assert person.send(fields).status == 200
    assert shared.reason("leaver", "reworded-mail") == "consent_withdrawn"


@pytest.mark.parametrize("status", ["suspended", "retired"])
def test_a_processing_stopped_meanwhile_is_not_consented_to_but_withdrawn(shared, status):
    """A processing stopped after the page was opened takes no consent, and a consent to it can be withdrawn."""
    identifier = f"{status}-mail"
    shared.agreed(identifier, "holder")
    person, holder = (Person(shared, link(shared, name, identifier)) for name in ("asked", "holder"))
    fields = person.open().filled("accept", identifier)
    shared.ok("PATCH", f"/v1/processings/{identifier}", {"status": status})
    refused = person.send(fields)
    assert refused.status == 409
    assert "suspendu ou a pris fin" in refused.text()
    assert refused.buttons == {}
    assert holder.open().buttons == {identifier: ["withdraw"]}
    holder.press("withdraw", identifier)
    assert [each["kind"] for each in events(shared, "holder", identifier)] == ["granted", "withdrawn"]


def test_refusing_all_says_what_was_on_the_page(shared):
    """A form to refuse all is refused itself if one of its processings was answered after the page was opened."""
    person = Person(shared, link(shared, "two-tabs", "ads-mail", "stats-mail", "better-mail"))
    fields = person.open().filled("refuse_all")
    person.press("accept", "ads-mail")
    assert person.send(fields).status == 409
    assert shared.reason("two-tabs", "ads-mail") == "consent_in_force"
    assert events(shared, "two-tabs", "stats-mail") == []


def test_under_fifteen_nothing_is_recorded(shared):
    """For a person last stated to be under fifteen, the page says so, has no button and takes no form."""
    person = Person(shared, link(shared, "refused-child", "ads-mail"))
    fields = person.open().filled("accept", "ads-mail")
    shared.decide("refused-child", "ads-mail", "refused", capacity={"age_band": "under_15", "given_by": "both"})
    page = person.open()
    assert "Tu as moins de 15 ans" in page.text()
    assert "Cette page n'enregistre rien." in page.text()
    assert page.buttons == {}
    assert person.send(fields).status == 403
    assert [each["kind"] for each in events(shared, "refused-child", "ads-mail")] == ["refused"]


def test_under_fifteen_a_joint_consent_can_be_withdrawn(shared):
    """A joint consent that was given elsewhere can be withdrawn by a link."""
    shared.decide("joint-child", "ads-mail", capacity={"age_band": "under_15", "given_by": "both"})
    person = Person(shared, link(shared, "joint-child", "ads-mail", kind="withdraw"))
    person.press("withdraw", "ads-mail")
    assert shared.reason("joint-child", "ads-mail") == "consent_withdrawn"


def test_under_fifteen_a_page_that_withdraws_does_not_say_that_it_records_nothing(shared):
    """A link from before the person was stated to be under fifteen offers only to withdraw, and says so."""
    person = Person(shared, link(shared, "grown-down", "ads-mail"))
    shared.decide("grown-down", "ads-mail", capacity={"age_band": "under_15", "given_by": "both"})
    page = person.open()
    assert page.buttons == {"ads-mail": ["withdraw"]}
    assert "Tu peux seulement retirer un accord déjà donné." in page.text()
    assert "n'enregistre rien" not in page.text()


def test_too_many_forms(shared, person, monkeypatch):
    """Too many forms within an hour are a 429, except those that withdraw."""
    monkeypatch.setattr(answer_consent_form, "FORMS_AN_HOUR", 1)
    person.press("accept", "ads-mail")
    assert person.press("withdraw", "ads-mail").status == 200
    assert person.press("accept", "ads-mail").status == 429
    assert person.open().buttons == {"ads-mail": ["accept"]}


def test_two_submissions_at_once_are_one(shared, person, request):
    """One form sent by several connections at once is recorded once."""
    fields = person.open().filled("accept", "ads-mail")
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(lambda _: person.send(fields).status, range(4)))
    assert statuses == [200, 409, 409, 409]
    assert len(events(shared, request.node.name, "ads-mail")) == 1


def test_nothing_is_recorded_while_the_database_is_away(database):
    """A form sent while the database cannot be reached is a 503 page that claims nothing, and can be sent again."""
    with running(database) as api:
        api.register("ads-mail")
        person = Person(api, link(api, "patient", "ads-mail"))
        fields = person.open().filled("accept", "ads-mail")
        reached = api.client.app.state.services.database  # type: ignore[attr-defined]
        reached._limits = PoolLimits(waiting=0)
        away = person.send(fields)
        assert "Nous ne savons pas si votre réponse est enregistrée" in away.text()
        assert 'href="?lang=fr">Recharger la page' in away.html
        for page in (away, person.open(**BROWSER)):
            assert (page.status, page.headers["retry-after"]) == (503, "1")
            assert '<html lang="fr">' in page.html
            assert "Rien n'a été enregistré" not in page.text()
        reached._limits = PoolLimits()
        assert person.send(fields).status == 200


def test_a_withdrawal_sent_again_is_confirmed_like_the_first(shared, monkeypatch):
    """A withdrawal that was committed and not confirmed is confirmed by the replicas when it is sent again."""
    person = Person(shared, link(shared, "sent-again", "ads-mail"))
    person.press("accept", "ads-mail")
    fields = person.open().filled("withdraw", "ads-mail")
    confirmer = shared.client.app.state.services.writer.confirmer
    confirm, confirmed = confirmer.confirm, []

    async def fails(*_, **__):
        raise DatabaseUnavailableError

    async def counts(xid, *of, **more):
        confirmed.append(xid)
        await confirm(xid, *of, **more)

    monkeypatch.setattr(confirmer, "confirm", fails)
    lost = person.send(fields)
    assert lost.status == 503
    assert "Nous ne savons pas si votre réponse est enregistrée" in lost.text()
    assert person.send(fields).status == 503
    monkeypatch.setattr(confirmer, "confirm", counts)
    again = person.send(fields)
    assert (again.status, len(confirmed)) == (409, 1)
    assert "Vous avez retiré votre accord le" in again.text()
    assert [each["kind"] for each in events(shared, "sent-again", "ads-mail")] == ["granted", "withdrawn"]
