import asyncio
import re

import psycopg
import pytest

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.db.database import Database
from app.main import create_app
from app.operations.remove_ended_links import remove_ended_links
from app.operations.sweep_renewals import sweep_renewals
from app.settings import SettingsError
from tests.support.api import Api, TestClock, processing, running, settings_for, subject, utc
from tests.support.consent_page import Person, ask_link, link
from tests.support.databases import TestDatabase

VERSION = {name: value for name, value in processing("x").items() if name != "id"}


def slug(answer):
    """The word of a problem document."""
    return answer.json()["type"].rpartition(":")[2]


def test_the_answer(clocked):
    """A link has an unguessable address below SCEAU_PUBLIC_URL, an id, what it offers, and lasts thirty days."""
    clocked.register("ads-mail")
    answer = ask_link(clocked, "alice", "ads-mail")
    assert answer.status_code == 201
    body = answer.json()
    assert re.fullmatch(r"https://sceau\.example\.fr/consent/[A-Za-z0-9_-]{43}", body["url"])
    assert body["expires_at"] == "2026-07-15T12:00:00Z"
    assert (body["kind"], body["processings"], body["left_out"]) == ("decide", ["ads-mail"], [])
    assert ask_link(clocked, "alice", "ads-mail").json()["url"] != body["url"]


def test_no_identifier_is_in_the_address_and_no_token_in_the_database(api, database):
    """The address does not name the subject; the database has the token's SHA-256 and not the token."""
    api.register("ads-mail")
    token = link(api, "alice@example.fr", "ads-mail").rpartition("/")[2]
    assert "alice" not in token
    with psycopg.connect(database.owner_url) as connection:
        rows = connection.execute("SELECT t::text FROM consent_link t").fetchall()
    assert len(rows) == 1
    assert token not in rows[0][0]
    assert "alice" not in rows[0][0]


def test_a_key_is_not_replayed(api):
    """Under one Idempotency-Key two requests make two links, so that no secret is kept to be answered again."""
    api.register("ads-mail")
    body = {"subject": {"type": "user", "id": "a"}, "processings": ["ads-mail"], "authentication": "mailbox"}
    once = {"Idempotency-Key": "same"}
    first, second = (
        api.call("POST", "/v1/consent-links", {**body, "kind": "decide"}, once).json()["url"] for _ in range(2)
    )
    assert first != second


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
    """Nothing to ask about, twice the same, unknown words, a processing that is not registered."""
    assert ask_link(shared_register, "alice", "ads-mail", **more).status_code == status


@pytest.fixture(scope="module")
def shared_register(shared):
    """An application with processings in every situation."""
    shared.register("ads-mail")
    shared.register("filter", purpose="unsolicited_content_detection")
    shared.register("archive", purpose="other")
    shared.register("reading", automated=False)
    for status in ("suspended", "retired"):
        shared.register(status)
        shared.decide("holder", status)
        shared.ok("PATCH", f"/v1/processings/{status}", {"status": status})
    return shared


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
    """Exempt, of no listed purpose, read by a person, suspended, retired: 409 that names which and says why."""
    answer = ask_link(shared_register, "alice", "ads-mail", identifier)
    assert (answer.status_code, slug(answer)) == (409, expected)
    assert identifier in answer.json()["detail"]
    assert answer.json()["errors"][0]["field"] == "processings"


@pytest.mark.parametrize("identifier", ["suspended", "retired"])
def test_what_is_stopped_can_still_be_withdrawn(shared_register, identifier):
    """A withdraw link is made for a consent to a processing that is suspended or retired."""
    path = link(shared_register, "holder", identifier, kind="withdraw")
    assert Person(shared_register, path).open().buttons == {identifier: ["withdraw"]}


def test_nothing_to_withdraw(shared_register):
    """Where no consent holds, a withdraw link is a 409; one that does not hold among others is left out."""
    answer = ask_link(shared_register, "nobody", "ads-mail", kind="withdraw")
    assert (answer.status_code, slug(answer)) == (409, "nothing-to-withdraw")
    shared_register.decide("partly", "ads-mail")
    body = ask_link(shared_register, "partly", "ads-mail", "suspended", kind="withdraw").json()
    assert body["processings"] == ["ads-mail"]
    assert body["left_out"] == [{"processing": "suspended", "reason": "no_consent"}]


@pytest.mark.parametrize("how", ["stated", "recorded"])
def test_under_fifteen(shared_register, how):
    """Nobody under fifteen gets a link to decide, whether the request says so or an earlier decision did."""
    stated = {"age_band": "under_15"} if how == "stated" else {}
    if how == "recorded":
        capacity = {"age_band": "under_15", "given_by": "both"}
        shared_register.decide(f"child-{how}", "ads-mail", capacity=capacity)
    answer = ask_link(shared_register, f"child-{how}", "ads-mail", **stated)
    assert (answer.status_code, slug(answer)) == (409, "joint-consent-needed")


def test_a_caller_of_some_processings_links_to_those(shared_register):
    """A caller makes links about processings that it may name, with consents:write and not without."""
    key = shared_register.new_key("consents:write", processings=["suspended"])
    assert ask_link(shared_register.with_key(key), "alice", "ads-mail").status_code == 403
    key = shared_register.new_key("consents:read")
    assert ask_link(shared_register.with_key(key), "alice", "ads-mail").status_code == 403


@pytest.mark.parametrize("declined", ["refused", "withdrawn"])
def test_what_was_declined_is_not_offered_for_six_months(clocked, clock, declined):
    """Left out with the date when it may be asked; all of it left out is 409; asked by the person, it is offered."""
    for identifier in ("ads-mail", "stats"):
        clocked.register(identifier)
    if declined == "refused":
        clocked.decide("alice", "ads-mail", "refused")
    else:
        clocked.decide("alice", "ads-mail")
        clock.at = utc("2026-06-15T12:00:01Z")
        clocked.withdraw("alice", "ads-mail")
    until = clock.at.replace(month=12, hour=13).isoformat().replace("+00:00", "Z")  # winter in Paris
    body = ask_link(clocked, "alice", "ads-mail", "stats").json()
    assert body["processings"] == ["stats"]
    assert body["left_out"] == [{"processing": "ads-mail", "reason": declined, "until": until}]
    answer = ask_link(clocked, "alice", "ads-mail")
    assert (answer.status_code, slug(answer)) == (409, "solicitation-paused")
    assert "ads-mail until 2026-12-15" in answer.json()["detail"]
    assert ask_link(clocked, "alice", "ads-mail", by_person=True).status_code == 201
    clock.at = utc("2026-12-15T12:59:59Z")
    assert ask_link(clocked, "alice", "ads-mail").status_code == 409
    clock.at = utc(until)
    assert ask_link(clocked, "alice", "ads-mail").status_code == 201


def test_the_pause_is_a_setting(database, clock):
    """SCEAU_SOLICITATION_PAUSE says how long; a closed account and a renewal are not paused."""
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
def test_a_pause_that_cannot_be_one_is_refused_at_start(database, pause):
    """More than a year, no period, or none at all: the service does not start, and says which setting."""
    with pytest.raises(SettingsError, match="SCEAU_SOLICITATION_PAUSE"):
        create_app(settings_for(database, solicitation_pause=pause))


def gone(person: Person) -> tuple[int, int]:
    """The statuses of opening a link, and of sending it a form."""
    fields = {"form": "00" * 16, "seal": "0" * 64, "processing": "ads-mail", "shown": "0" * 64, "press": "accept"}
    page, sent = person.open(), person.send(fields)
    assert "Ce lien n'est plus valable" in page.text()
    assert page.buttons == {}
    assert "Ce lien n'est plus valable" in sent.text()
    return page.status, sent.status


def test_unknown_altered_and_ended_links_are_one_page(clocked, clock):
    """404 for one that there is not, 410 for one that ended; the same page word for word, which names nobody."""
    clocked.register("ads-mail")
    path = link(clocked, "alice", "ads-mail")
    altered = path[:-1] + ("A" if path[-1] != "A" else "B")
    texts = []
    for each in (altered, path + "x", "/consent/x", "/consent/" + "x" * 2_000, "/consent/%00%ff"):
        assert gone(Person(clocked, each)) == (404, 404)
        texts.append(Person(clocked, each).open().text())
    clock.at = utc("2026-07-15T12:00:00Z")
    assert gone(Person(clocked, path)) == (410, 410)
    texts.append(Person(clocked, path).open().text())
    assert len(set(texts)) == 1
    assert "Exemple SAS" not in texts[0]


def test_a_form_opened_in_time_and_sent_too_late_records_nothing(clocked, clock):
    """The link expires between the page and the button."""
    clocked.register("ads-mail")
    person = Person(clocked, link(clocked, "late", "ads-mail"))
    fields = person.open().filled("accept", "ads-mail")
    clock.at = utc("2026-07-15T12:00:00Z")
    assert person.send(fields).status == 410
    assert clocked.reason("late", "ads-mail") == "no_consent"


def test_a_link_withdraws_what_it_collected_for_as_long_as_that_lasts(clocked, clock):
    """Expired, it asks no more, and still shows the one button that withdraws; after the consent's end it is gone."""
    for identifier in ("ads-mail", "stats"):
        clocked.register(identifier)
    person = Person(clocked, link(clocked, "keeper", "ads-mail", "stats"))
    person.press("accept", "ads-mail")
    clock.at = utc("2027-05-01T12:00:00Z")
    page = person.open()
    assert page.buttons == {"ads-mail": ["withdraw"]}
    assert "Ce lien ne sert plus à répondre." in page.text()
    fields = page.filled("withdraw", "ads-mail")
    told = person.send(fields)
    assert told.status == 200
    assert "Vos réponses sont enregistrées." in told.text()
    assert "Vous avez retiré votre accord le 1er mai 2027 à 14 h 00" in told.text()
    assert "Ce lien ne sert plus qu'à montrer vos réponses, jusqu'au 8 mai 2027 à 14 h 00" in told.text()
    assert told.buttons == {}
    again = person.send(fields)
    assert again.status == 409
    assert "Vous avez retiré votre accord le" in again.text()
    assert clocked.reason("keeper", "ads-mail") == "consent_withdrawn"


def test_an_answer_is_shown_for_a_week_after_the_link_is_good_for_nothing_else(clocked, clock):
    """The page that tells of a withdrawal stays, and its row; then it ends, and says nothing of what was decided."""
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


def test_a_withdraw_link_lives_as_long_as_the_consent(clocked, clock):
    """It answers until the last instant of the longest consent, also of one renewed meanwhile, and not after."""
    clocked.register("ads-mail")
    clocked.register("short", consent_validity="P90D")
    for identifier in ("ads-mail", "short"):
        clocked.decide("alice", identifier)
    body = ask_link(clocked, "alice", "ads-mail", "short", kind="withdraw").json()
    assert body["expires_at"] == "2027-06-14T22:00:00Z"
    person = Person(clocked, body["url"].removeprefix("https://sceau.example.fr"))
    clock.at = utc("2027-06-14T21:59:59Z")
    assert person.open().buttons == {"ads-mail": ["withdraw"]}
    clocked.decide("alice", "short")
    clock.at = utc("2027-08-01T00:00:00Z")
    assert person.open().buttons == {"short": ["withdraw"]}
    told = person.press("withdraw", "short")
    assert told.status == 200
    assert "Vous avez retiré votre accord le 1er août 2027" in told.text()
    clock.at = utc("2027-09-30T00:00:00Z")
    assert person.open().status == 410


@pytest.mark.parametrize("how", ["closures", "erasures"])
def test_a_link_ends_with_the_account(clocked, how):
    """Closed or erased, the account's links are gone, also when somebody else gets the address."""
    clocked.register("ads-mail")
    clocked.decide("alice", "ads-mail")
    people = [Person(clocked, link(clocked, "alice", "ads-mail", kind=kind)) for kind in ("decide", "withdraw")]
    clocked.ok("POST", f"/v1/subjects/{how}", {"subject": {"type": "user", "id": "alice"}})
    assert [gone(person) for person in people] == [(410, 410)] * 2
    clocked.decide("alice", "ads-mail")  # the address's next holder
    assert [gone(person) for person in people] == [(410, 410)] * 2
    assert Person(clocked, link(clocked, "alice", "ads-mail")).open().status == 200


def test_a_retired_processing_ends_no_link_about_others(clocked, clock, database):
    """What the sweep closes for one processing leaves a link about another as it was."""
    for identifier in ("ads-mail", "ended"):
        clocked.register(identifier)
        clocked.decide("alice", identifier)
    people = [Person(clocked, link(clocked, "alice", "ads-mail", kind=kind)) for kind in ("decide", "withdraw")]
    clocked.ok("PATCH", "/v1/processings/ended", {"status": "retired"})
    clock.at = utc("2026-06-16T12:00:00Z")

    async def sweep() -> None:
        made = Database(database.app_url, clock=clock)
        try:
            await sweep_renewals(made, Renewal(PeriodPolicy()))
        finally:
            await made.close()

    asyncio.run(sweep())
    closed = clocked.ok("POST", "/v1/consents/search", {"subject": subject("alice"), "processing": "ended"})["items"]
    assert [each["state"] for each in closed] == ["closed"]
    assert [person.open().status for person in people] == [200, 200]
    assert "withdraw" in people[1].open().buttons["ads-mail"]


def take_away(how: str, api: Api, made: dict[str, str]) -> None:
    """Take from a caller what lets it ask."""
    path = f"/v1/keys/{made['id']}"
    if how == "key":
        (key,) = api.ok("GET", path)["keys"]
        api.ok("DELETE", f"{path}/keys/{key['id']}")
    elif how == "compromised":
        api.ok("POST", f"{path}/rotations", {"compromised": True})
    elif how == "scope":
        api.ok("PATCH", path, {"scopes": ["consents:read"]})
    else:
        api.ok("PATCH", path, {"processings": ["stats"]})


@pytest.mark.parametrize("how", ["key", "compromised", "scope", "processing"])
def test_links_of_who_may_no_longer_ask_still_withdraw(asking, how):
    """Its key revoked or known to others, its scope or the processing taken: a link asks no more, and withdraws."""
    made = asking.ok("POST", "/v1/keys", {"name": "form", "scopes": ["consents:write", "consents:read"]})
    form, names = asking.with_key(made["key"]), (f"asked-{how}", f"given-{how}")
    asked, given = (Person(asking, link(form, name, "ads-mail")) for name in names)
    given.press("accept", "ads-mail")
    fields = asked.open().filled("accept", "ads-mail")
    take_away(how, asking, made)
    assert asked.send(fields).status == 410
    assert asking.reason(names[0], "ads-mail") == "no_consent"
    assert given.open().buttons == {"ads-mail": ["withdraw"]}
    assert given.press("withdraw", "ads-mail").status == 200
    assert asking.reason(names[1], "ads-mail") == "consent_withdrawn"


@pytest.fixture(scope="module")
def asking(shared_register):
    """An application with two processings that ask, among others."""
    shared_register.register("stats")
    return shared_register


def test_a_key_that_ends_as_planned_leaves_its_links_asking(clocked, clock):
    """A rotation, and the old key's end after its overlap, stop no link that was sent; a later revocation does."""
    clocked.register("ads-mail")
    made = clocked.ok("POST", "/v1/keys", {"name": "form", "scopes": ["consents:write"]})
    person = Person(clocked, link(clocked.with_key(made["key"]), "alice", "ads-mail"))
    clocked.ok("POST", f"/v1/keys/{made['id']}/rotations", {"overlap": "PT1S"})
    clock.at = utc("2026-06-20T12:00:00Z")
    assert person.open().buttons == {"ads-mail": ["accept", "refuse"]}
    clocked.ok("POST", f"/v1/keys/{made['id']}/rotations", {"compromised": True})
    assert person.open().status == 410


def test_only_one_of_several_processings_is_taken_away(asking):
    """A caller that may name one of a link's processings no more asks about the others by it."""
    made = asking.ok("POST", "/v1/keys", {"name": "form", "scopes": ["consents:write"]})
    person = Person(asking, link(asking.with_key(made["key"]), "both", "ads-mail", "stats"))
    take_away("processing", asking, made)
    assert person.open().buttons == {"stats": ["accept", "refuse"]}


def test_who_is_asked_is_told_a_contact(asking):
    """Without a contact for the protection of data nobody is asked (GDPR art. 13): 409; a consent can be withdrawn."""
    asking.register("silent", data_protection_contact=None)
    answer = ask_link(asking, "alice", "ads-mail", "silent")
    assert (answer.status_code, slug(answer)) == (409, "contact-missing")
    assert "silent names no data_protection_contact" in answer.json()["detail"]
    asking.decide("alice", "silent")
    assert ask_link(asking, "alice", "silent", kind="withdraw").status_code == 201


def test_a_version_that_loses_its_contact_is_not_asked_for(asking):
    """A link that was sent collects nothing for a version that tells no contact."""
    asking.register("losing")
    person = Person(asking, link(asking, "alice", "losing"))
    asking.ok(
        "POST", "/v1/processings/losing/versions", {**VERSION, "data_protection_contact": None, "material": False}
    )
    page = person.open()
    assert page.buttons == {}
    assert "Vous pouvez répondre ici" not in page.text()


def test_links_of_a_revoked_key_ask_no_more_and_still_withdraw(api):
    """A leaked key's links collect nothing once it is revoked; what was given can still be withdrawn by them."""
    api.register("ads-mail")
    made = api.ok("POST", "/v1/keys", {"name": "form", "scopes": ["consents:write"]})
    form = api.with_key(made["key"])
    asked, given = (Person(api, link(form, name, "ads-mail")) for name in ("asked", "given"))
    given.press("accept", "ads-mail")
    fields = asked.open().filled("accept", "ads-mail")
    api.ok("DELETE", f"/v1/keys/{made['id']}")
    assert asked.send(fields).status == 410
    assert api.reason("asked", "ads-mail") == "no_consent"
    assert given.open().buttons == {"ads-mail": ["withdraw"]}
    given.press("withdraw", "ads-mail")
    assert api.reason("given", "ads-mail") == "consent_withdrawn"


def removed(api: Api, limit: int = 1_000) -> int:
    """How many links the job's operation removes now."""
    services = api.client.app.state.services  # type: ignore[attr-defined]

    async def remove() -> int:
        async with services.database.write() as session:
            return await remove_ended_links(session, limit=limit)

    assert api.client.portal is not None
    return api.client.portal.call(remove)


def test_ended_links_are_removed_and_no_others(clocked: Api, clock: TestClock, database: TestDatabase):
    """Removed are links past their end by which nothing can be withdrawn, in batches; consents stay."""
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


def test_the_contact_is_registered_and_told(api):
    """The register keeps the data-protection contact of each version, which may change without being material."""
    registered = api.register("ads-mail", data_protection_contact="dpo@exemple.example")
    assert registered["version"]["data_protection_contact"] == "dpo@exemple.example"
    later = {**VERSION, "data_protection_contact": "cnil@exemple.example", "material": False}
    api.ok("POST", "/v1/processings/ads-mail/versions", later)
    versions = api.ok("GET", "/v1/processings/ads-mail/versions")["items"]
    assert [each["data_protection_contact"] for each in versions] == ["dpo@exemple.example", "cnil@exemple.example"]
