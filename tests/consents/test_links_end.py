"""What ends a link to the consent page, and what it offers before and after its end."""

from datetime import timedelta

import pytest

from app.operations.consents.make_links import remove_ended_links
from tests.support.api import Api, TestClock, subject, utc
from tests.support.consent_page import Person, ask_link, link
from tests.support.databases import TestDatabase
from tests.support.narrowings import NARROWINGS
from tests.support.people import people
from tests.support.sweeping import sweep


def gone(person: Person) -> tuple[int, int]:
    """The statuses of opening a link, and of sending it a form."""
    fields = {"form": "00" * 16, "seal": "0" * 64, "processing": "ads-mail", "shown": "0" * 64, "press": "accept"}
    page, sent = person.open(), person.send(fields)
    assert "Ce lien n'est plus valable" in page.text()
    assert page.buttons == {}
    assert "Ce lien n'est plus valable" in sent.text()
    return page.status, sent.status


@pytest.fixture(scope="module")
def with_processings(moving):
    """A service with processings; each test uses names of its own."""
    moving.register("ads-mail")
    moving.register("stats")
    moving.register("short", consent_validity="P90D")
    return moving


@pytest.fixture
def served(with_processings, shared_clock):
    """That service, at noon of 15 June 2026."""
    shared_clock.at = utc("2026-06-15T12:00:00Z")
    return with_processings


def test_unknown_altered_and_ended_links_are_one_page(served, shared_clock, alice):
    """An unknown link is a 404 and an ended one a 410, with one page, word for word, that names no company."""
    path = link(served, alice, "ads-mail")
    altered = path[:-1] + ("A" if path[-1] != "A" else "B")
    texts = []
    for each in (altered, path + "x", "/consent/x", "/consent/" + "x" * 2_000, "/consent/%00%ff"):
        assert gone(Person(served, each)) == (404, 404)
        texts.append(Person(served, each).open().text())
    shared_clock.at = utc("2026-07-15T12:00:00Z")
    assert gone(Person(served, path)) == (410, 410)
    texts.append(Person(served, path).open().text())
    assert len(set(texts)) == 1
    assert "Exemple SAS" not in texts[0]


def test_a_form_opened_in_time_and_sent_too_late_records_nothing(served, shared_clock):
    """A form that is sent after its link has expired is a 410 and records nothing."""
    [late] = people("late")
    person = Person(served, link(served, late, "ads-mail"))
    fields = person.open().filled("accept", "ads-mail")
    shared_clock.at = utc("2026-07-15T12:00:00Z")
    assert person.send(fields).status == 410
    assert served.reason(late, "ads-mail") == "no_consent"


def test_a_link_withdraws_what_it_collected_for_as_long_as_that_lasts(served, shared_clock):
    """An expired link still shows the button that withdraws what it collected, and then the withdrawal."""
    [keeper] = people("keeper")
    person = Person(served, link(served, keeper, "ads-mail", "stats"))
    person.press("accept", "ads-mail")
    shared_clock.at = utc("2027-05-01T12:00:00Z")
    page = person.open()
    assert page.buttons == {"ads-mail": ["withdraw"]}
    assert "Ce lien ne permet plus de répondre." in page.text()
    fields = page.filled("withdraw", "ads-mail")
    answered = person.send(fields)
    assert answered.status == 200
    assert "Vos réponses sont enregistrées." in answered.text()
    assert "Vous avez retiré votre accord le 1er mai 2027 à 14 h 00" in answered.text()
    assert "Ce lien permet seulement de consulter vos réponses, jusqu'au 8 mai 2027 à 14 h 00" in answered.text()
    assert answered.buttons == {}
    again = person.send(fields)
    assert again.status == 409
    assert "Vous avez retiré votre accord le" in again.text()
    assert served.reason(keeper, "ads-mail") == "consent_withdrawn"


def test_an_answer_is_shown_for_a_week_after_the_link_is_good_for_nothing_else(clocked, clock):
    """A page shows a withdrawal for a week; then it is a 410 without any answer, and its row is removed."""
    clocked.register("ads-mail")
    person = Person(clocked, link(clocked, "keeper", "ads-mail"))
    person.press("accept", "ads-mail")
    clock.at = utc("2027-05-01T12:00:00Z")
    person.press("withdraw", "ads-mail")
    clock.at = utc("2027-05-08T11:59:59Z")
    assert removed(clocked) == 0
    assert person.open().status == 200
    clock.at = utc("2027-05-08T12:00:01Z")
    page = person.open()
    assert page.status == 410
    assert "enregistré" not in page.text()
    assert "décidé" not in page.text()
    assert removed(clocked) == 1


def test_a_withdraw_link_lives_as_long_as_the_consent(served, shared_clock, alice):
    """A withdraw link works until the end of its longest consent, even of one that was renewed meanwhile."""
    for identifier in ("ads-mail", "short"):
        served.decide(alice, identifier)
    body = ask_link(served, alice, "ads-mail", "short", kind="withdraw").json()
    assert body["expires_at"] == "2027-06-14T22:00:00Z"
    person = Person(served, body["url"].removeprefix("https://sceau.example.fr"))
    shared_clock.at = utc("2027-06-14T21:59:59Z")
    assert person.open().buttons == {"ads-mail": ["withdraw"]}
    served.decide(alice, "short")
    shared_clock.at = utc("2027-08-01T00:00:00Z")
    assert person.open().buttons == {"short": ["withdraw"]}
    shown = person.press("withdraw", "short")
    assert shown.status == 200
    assert "Vous avez retiré votre accord le 1er août 2027" in shown.text()
    shared_clock.at = utc("2027-09-30T00:00:00Z")
    assert person.open().status == 410


@pytest.mark.parametrize(("how", "status"), [("closures", 410), ("erasures", 404)])
def test_a_link_ends_with_the_account(served, shared_clock, how, status, alice):
    """The links of a closed account are gone and those of an erased one unknown, even if the address is used again."""
    served.decide(alice, "ads-mail")
    pages = [Person(served, link(served, alice, "ads-mail", kind=kind)) for kind in ("decide", "withdraw")]
    served.ok("POST", f"/v1/subjects/{how}", {"subject": {"type": "user", "id": alice}})
    assert [gone(person) for person in pages] == [(status, status)] * 2
    shared_clock.at += timedelta(seconds=1)
    served.decide(alice, "ads-mail")  # the address's next holder
    assert [gone(person) for person in pages] == [(status, status)] * 2
    assert Person(served, link(served, alice, "ads-mail")).open().status == 200


def test_a_retired_processing_ends_no_link_about_others(clocked, clock, database):
    """A link about one processing still works after the sweep has closed a consent to a retired one."""
    for identifier in ("ads-mail", "ended"):
        clocked.agreed(identifier, "alice")
    people = [Person(clocked, link(clocked, "alice", "ads-mail", kind=kind)) for kind in ("decide", "withdraw")]
    clocked.ok("PATCH", "/v1/processings/ended", {"status": "retired"})
    clock.at = utc("2026-06-16T12:00:00Z")
    sweep(database, clock)
    closed = clocked.ok("POST", "/v1/consents/search", {"subject": subject("alice"), "processing": "ended"})["items"]
    assert [each["state"] for each in closed] == ["closed"]
    assert [person.open().status for person in people] == [200, 200]
    assert "withdraw" in people[1].open().buttons["ads-mail"]


@pytest.mark.parametrize("how", NARROWINGS)
def test_links_of_who_may_no_longer_ask_still_withdraw(asking, how):
    """The links of a caller that lost its key, its scope or the processing collect nothing, and still withdraw."""
    made = asking.ok("POST", "/v1/keys", {"name": "form", "scopes": ["consents:write", "consents:read"]})
    form, names = asking.with_key(made["key"]), (f"asked-{how}", f"given-{how}")
    asked, consenting = (Person(asking, link(form, name, "ads-mail")) for name in names)
    consenting.press("accept", "ads-mail")
    fields = asked.open().filled("accept", "ads-mail")
    asking.ok(*NARROWINGS[how](made, "ads-mail"))
    assert asked.send(fields).status == 410
    assert asking.reason(names[0], "ads-mail") == "no_consent"
    assert consenting.open().buttons == {"ads-mail": ["withdraw"]}
    assert consenting.press("withdraw", "ads-mail").status == 200
    assert asking.reason(names[1], "ads-mail") == "consent_withdrawn"


def test_a_key_that_ends_as_planned_leaves_its_links_asking(served, shared_clock, alice):
    """A planned rotation of its caller's key ends no link; a rotation because the key is compromised does."""
    made = served.ok("POST", "/v1/keys", {"name": "form", "scopes": ["consents:write"]})
    person = Person(served, link(served.with_key(made["key"]), alice, "ads-mail"))
    served.ok("POST", f"/v1/keys/{made['id']}/rotations", {"overlap": "PT1S"})
    shared_clock.at = utc("2026-06-20T12:00:00Z")
    assert person.open().buttons == {"ads-mail": ["accept", "refuse"]}
    served.ok("POST", f"/v1/keys/{made['id']}/rotations", {"compromised": True})
    assert person.open().status == 410


def test_only_one_of_several_processings_is_taken_away(asking):
    """A link still asks about its other processings when its caller loses one of them."""
    made = asking.ok("POST", "/v1/keys", {"name": "form", "scopes": ["consents:write"]})
    person = Person(asking, link(asking.with_key(made["key"]), "both", "ads-mail", "stats"))
    asking.ok("PATCH", f"/v1/keys/{made['id']}", {"processings": ["stats"]})
    assert person.open().buttons == {"stats": ["accept", "refuse"]}


def removed(api: Api, limit: int = 1_000) -> int:
    """How many links the job's operation removes now."""
    services = api.client.app.state.services  # type: ignore[attr-defined]

    async def remove() -> int:
        async with services.database.write() as session:
            return await remove_ended_links(session, limit=limit)

    assert api.client.portal is not None
    return api.client.portal.call(remove)


def test_ended_links_are_removed_and_no_others(clocked: Api, clock: TestClock, database: TestDatabase):
    """The job removes, in batches, ended links that can withdraw nothing, and leaves the consents."""
    clocked.register("ads-mail")
    unanswered, refused, accepted = (Person(clocked, link(clocked, name, "ads-mail")) for name in "ura")
    refused.press("refuse", "ads-mail")
    accepted.press("accept", "ads-mail")
    assert removed(clocked) == 0
    clock.at = utc("2026-07-15T12:00:01Z")
    assert removed(clocked, limit=1) == 1
    assert removed(clocked) == 1
    assert removed(clocked) == 0
    assert (unanswered.open().status, refused.open().status, accepted.open().status) == (404, 404, 200)
    assert clocked.reason("r", "ads-mail") == "consent_refused"
    clock.at = utc("2027-06-14T22:00:00Z")
    assert accepted.open().status == 410
    assert removed(clocked) == 1
    assert accepted.open().status == 404
    assert clocked.reason("a", "ads-mail") == "consent_expired"
