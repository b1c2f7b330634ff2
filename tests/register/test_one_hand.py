"""What one human being alone cannot do: by a second key, an identity, a later version or old words."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api import UNLIMITED, Api, refused, running, subject
from tests.support.consent_page import Person, link
from tests.support.consents import written
from tests.support.databases import new_database
from tests.support.imports import row
from tests.support.issuer import Issuer, issuing
from tests.support.two_persons import WHY, add, answer, person, rule, waiting

REASON = {"reason": WHY}
Place = tuple[Api, Api, Api, Issuer]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A deployment where two persons decide: the program that bootstraps it, Ada, Bob, and an issuer of tokens."""
    with (
        issuing() as issuer,
        new_database() as database,
        running(database, register_approval="two", **issuer.settings, **UNLIMITED) as api,
    ):
        yield api, person(api, "Ada", *_scopes(api)), person(api, "Bob", *_scopes(api)), issuer


def _scopes(api: Api) -> list[str]:
    return list(api.ok("GET", "/v1/keys")["items"][0]["scopes"])


def _identity(place: Place, by: Api, name: str) -> tuple[Api, str]:
    """Register an issuer's account as a caller; that caller and its id."""
    api, _, _, issuer = place
    account = {"issuer": issuer.url, "subject": name}
    made = by.ok("POST", "/v1/keys", {"name": name, "kind": "person", "scopes": _scopes(api), "identity": account})
    return api.with_key(issuer.token(name)), made["id"]


def _ads(place: Place, identifier: str, **more: Any) -> str:
    _, ada, bob, _ = place
    ada.register(identifier, **more)
    assert rule(bob, identifier, 1).status_code == 201
    return identifier


@pytest.mark.parametrize("who", ["herself", "the bootstrap program"])
def test_a_key_and_an_identity_may_be_one_human_beings(place, who):
    """A key and an identity do not count as two human beings, no matter who registered the identity."""
    api, ada, _, _ = place
    eve = person(ada, "Eve")
    name = who.replace(" ", "-")
    account, _ = _identity(place, ada if who == "herself" else api, name)
    eve.register(f"mixed-{name}", purpose="sorting")
    assert rule(account, f"mixed-{name}", 1).status_code == 403
    ada.register(f"mixed-{name}-too", purpose="sorting")
    assert rule(account, f"mixed-{name}-too", 1).status_code == 403


def test_one_account_registered_twice_is_one_human_being(place):
    """An account that is revoked and registered again cannot approve its own proposal; another account can."""
    api, *_ = place
    uma, identifier = _identity(place, api, "uma")
    ian, _ = _identity(place, api, "ian")
    uma.register("twice", purpose="sorting")
    api.ok("DELETE", f"/v1/keys/{identifier}")
    again, _ = _identity(place, api, "uma")
    assert rule(again, "twice", 1).status_code == 403
    assert rule(ian, "twice", 1).status_code == 201


@pytest.mark.parametrize("stays", [True, False])
def test_a_rename_is_not_put_off_by_a_version_far_ahead(place, stays):
    """A controller's approved new name supersedes consents at once, even if a version of 2099 drops the controller."""
    api, ada, bob, _ = place
    gone, other = f"gone-{stays}".lower(), f"stays-{stays}".lower()
    for each in (gone, other):
        ada.ok("PUT", f"/v1/controllers/{each}", {"kind": "other", "legal_name": each})
    ads = _ads(place, f"ads-{gone}", controller=None, controllers=[gone, other])
    api.decide("nina", ads)
    ahead = [gone, other] if stays else [other]
    made = add(ada, ads, controller=None, controllers=ahead, effective_from="2099-01-01T00:00:00Z")
    assert made.status_code == 201, made.text
    assert rule(bob, ads, 2).status_code == 201
    assert api.reason("nina", ads) == "consent_in_force"
    waits = ada.call("PUT", f"/v1/controllers/{gone}", {"legal_name": "Courtier SA"}).json()
    answer(bob, waits["id"]).raise_for_status()
    assert api.reason("nina", ads) == "consent_superseded"


def test_what_was_invalidated_is_not_said_again(place):
    """A version that repeats invalidated words is refused; one with other words waits for a second person."""
    _, ada, bob, _ = place
    ads = _ads(place, "struck")
    ada.ok("POST", f"/v1/processings/{ads}/invalidations", {"version": 1, **REASON})
    same = add(ada, ads, material=True)
    assert (same.status_code, same.json()["errors"][0]["field"]) == (422, "notice")
    words = {"fr": "Nous lisons votre courrier.", "en": "We read your letters."}
    other = add(ada, ads, material=True, notice=words).json()
    assert other["proposed_version"] == 2
    assert rule(bob, ads, 2).status_code == 201


@pytest.mark.parametrize("what", ["text", "version"])
def test_nobody_is_asked_anew_by_one_hand_after_an_invalidation(place, what):
    """After an invalidation, even a narrowing version waits, and an invalidated page asks for no consent."""
    api, ada, bob, _ = place
    ads = _ads(place, f"asked-by-{what}")
    page = Person(api, link(api, f"a-{ads}", ads))
    struck = {"text": page.open().stated[ads], "version": 1}[what]
    page.press("accept", ads)
    ada.ok("POST", f"/v1/processings/{ads}/invalidations", {what: struck, **REASON})
    answer = add(ada, ads, retention="P29D")
    assert (answer.status_code, answer.json().get("proposed_version")) == (201, 2), answer.text
    if what == "text":
        assert "accept" not in Person(api, link(api, f"b-{ads}", ads)).open().buttons.get(ads, [])
    assert rule(bob, ads, 2).status_code == 201
    # The third follows a version that nothing is wrong with; one hand is not enough for it either.
    assert add(ada, ads, retention="P28D").json().get("proposed_version") == 3


def test_a_version_that_one_hand_put_ahead_asks_nobody_after_an_invalidation(place):
    """A narrowing version for later waits too, because it could ask again for what is invalidated before then."""
    _, ada, _, _ = place
    ads = _ads(place, "put-ahead")
    later = written(datetime.now(UTC) + timedelta(hours=1))
    assert add(ada, ads, retention="P29D", effective_from=later).json().get("proposed_version") == 2


def test_a_controllers_contact_brings_no_struck_page_back_by_one_hand(place):
    """One person cannot bring back an invalidated page with a new contact, which would change the page's text."""
    api, ada, bob, _ = place
    ada.ok("PUT", "/v1/controllers/reached", {"kind": "other", "legal_name": "Reached SA"})
    ads = _ads(place, "reached-ads", controller=None, controllers=["reached"])
    contact = {"legal_name": "Reached SA", "contact": "one@reached.example"}
    assert ada.call("PUT", "/v1/controllers/reached", contact).status_code == 201
    page = Person(api, link(api, "rolf", ads))
    text = page.open().stated[ads]
    page.press("accept", ads)
    ada.ok("POST", f"/v1/processings/{ads}/invalidations", {"text": text, **REASON})
    contact["contact"] = "other@reached.example"
    waits = ada.call("PUT", "/v1/controllers/reached", contact)
    assert waits.status_code == 202, waits.text
    assert "accept" not in Person(api, link(api, "rosa", ads)).open().buttons.get(ads, [])
    approved = answer(bob, waits.json()["id"])
    assert approved.status_code == 201, approved.text


def test_what_was_invalidated_meanwhile_is_not_approved(place):
    """A version that repeats words that were invalidated after its proposal cannot be approved."""
    _, ada, bob, _ = place
    ads = _ads(place, "struck-later")
    waits = add(ada, ads, recipients=[{"name": "Régie"}], data_recipients=None, material=True).json()
    text = ada.ok("GET", f"/v1/processings/{ads}")["version"]["notice_sha256"]["fr"]
    ada.ok("POST", f"/v1/processings/{ads}/invalidations", {"text": text, **REASON})
    assert rule(bob, ads, waits["proposed_version"]).status_code == 422


def test_a_rename_does_not_say_again_what_was_invalidated(place):
    """A rename cannot be approved if the version that it would make repeats invalidated words."""
    api, ada, bob, _ = place
    ada.ok("PUT", "/v1/controllers/struck-name", {"kind": "other", "legal_name": "Before"})
    ads = _ads(place, "struck-named", controller=None, controllers=["struck-name"])
    ada.ok("POST", f"/v1/processings/{ads}/invalidations", {"version": 1, **REASON})
    waits = ada.call("PUT", "/v1/controllers/struck-name", {"legal_name": "After"}).json()
    refused = answer(bob, waits["id"])
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "notice")
    assert api.ok("GET", f"/v1/processings/{ads}")["versions"] == 1


def test_a_no_of_who_may_import_is_as_strong_as_anybodys(place):
    """A withdrawal dated an hour ago, by a program that may import, ends a consent given since."""
    api, *_ = place
    ads = _ads(place, "late-no")
    api.decide("rita", ads)
    received = written(datetime.now(UTC) - timedelta(hours=1))
    api.ok("POST", "/v1/withdrawals", {"subject": subject("rita"), "processing": ads, "received_at": received})
    assert api.reason("rita", ads) == "consent_withdrawn"


def test_an_import_that_grew_is_not_what_was_approved(place):
    """Bob's approval covers the number of grants that he saw, and Ada cannot import more by raising it."""
    api, ada, bob, _ = place
    ads = _ads(place, "grows")
    time.sleep(0.01)
    until = datetime.now(UTC)
    rows = [row(number, "gil", at=until, processing=ads) for number in (1, 2)]
    body = {"import": "grows", "until": written(until), "rows": rows}
    for grants, kind in ((1, "import-not-approved"), (1_000_000, "proposal-pending")):
        answered = ada.call("POST", "/v1/imports", {**body, "rows": rows[:1], "grants_expected": grants})
        assert refused(answered) == (409, kind)
    [proposal] = waiting(ada, "import")
    assert (proposal["wanted"]["grants"], answer(bob, proposal["id"]).status_code) == (1, 201)
    for grants in (0, 1, 1_000_000):
        assert ada.call("POST", "/v1/imports", {**body, "grants_expected": grants}).status_code == 409
    assert api.reason("gil", ads) == "no_consent"
