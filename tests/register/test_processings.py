from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from tests.support.api import processing, refused, utc
from tests.support.golden_replay import wire
from tests.support.two_persons import add, version

NOON = utc("2026-06-15T12:00:00Z")


def refusal(answer):
    """Status and kind of a problem, and the first field that it names if it names one."""
    fields = [each["field"] for each in answer.json().get("errors", [])][:1]
    return (*refused(answer), *fields)


def test_a_processing_is_in_force_at_once(pap):
    """A registered processing has version 1, is active and told with the paragraph that governs it."""
    answer = pap.call("POST", "/v1/processings", processing("new"))
    body = answer.json()
    assert answer.status_code == 201
    assert (body["status"], body["version"]["number"], body["versions"]) == ("active", 1, 1)
    assert (body["registered_at"], body["version"]["effective_from"]) == (wire(NOON), wire(NOON))
    assert body["paragraph"] == "L32-3 IV"
    assert pap.ok("GET", "/v1/processings/new") == body


@pytest.mark.parametrize(
    ("purpose", "paragraph"), [("sorting", "L32-3 III"), ("statistics", "L32-3 IV"), ("other", None)]
)
def test_the_paragraph_follows_from_the_purpose(pap, purpose, paragraph):
    """A purpose of III or IV is told with its paragraph, one in neither list with none."""
    assert pap.register(f"for-{purpose}", purpose=purpose).get("paragraph") == paragraph


def test_a_taken_id_is_a_409(pap):
    """An id is registered once: a change is a new version."""
    pap.register("taken")
    again = pap.call("POST", "/v1/processings", processing("taken", purpose="sorting"))
    assert refused(again) == (409, "processing-exists")
    assert pap.ok("GET", "/v1/processings/taken")["purpose"] == "advertising"


MAY_BE_LEFT_OUT = {"data_recipients", "data_protection_contact"}


@pytest.mark.parametrize("left_out", sorted(processing("x").keys() - MAY_BE_LEFT_OUT))
def test_nothing_of_a_processing_has_a_default(pap, left_out):
    """Every other member must be given; the party mode above all is the operator's own choice."""
    body = processing("incomplete")
    del body[left_out]
    assert refusal(pap.call("POST", "/v1/processings", body)) == (422, "invalid-request", left_out)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "Ads"),
        ("id", "a/b"),
        ("id", ""),
        ("id", "a" * 101),
        ("id", "ads\n"),
        ("purpose", "marketing"),
        ("elements", []),
        ("elements", ["headers"]),
        ("elements", "content"),
        ("party_mode", "nobody"),
        ("party_mode", None),
        ("started_on", "2026-02-30"),
        ("started_on", "2026-01-01T00:00:00Z"),
        ("consent_validity", "P13M"),
        ("retention", "P1M1Y"),
        ("name", {}),
        ("name", {"en": "English alone"}),
        ("name", {"fr": "x", "de": "y"}),
        ("name", {"fr": ""}),
        ("notice", "text"),
        ("data_recipients", [""]),
        ("data_recipients", None),
        ("controller", ""),
        ("service", "mail\u0000"),
        ("provider_kind", "other"),
        ("surprise", 1),
    ],
)
def test_an_invalid_processing_is_refused(pap, field, value):
    """An invalid processing is refused with the field at fault, and nothing is registered."""
    body = {**processing("invalid"), field: value}
    answer = pap.call("POST", "/v1/processings", body)
    assert answer.status_code in {400, 422}
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["field"].split(".")[0] == field
    assert pap.call("GET", "/v1/processings/invalid").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("elements", ["content", "subject_line", "attachments"]),
        ("recipients", [{"name": "Régie"}]),
        ("retention", "P1M1D"),
    ],
)
def test_a_material_change_must_be_called_material(pap, field, value):
    """A change of a told fact that does not only narrow is refused if it is called immaterial."""
    name = f"m{sha256(str((field, value)).encode()).hexdigest()[:8]}"
    pap.register(name, party_mode="all_local_users", derived_data_erased_within="P30D")
    usual: dict[str, Any] = {
        "party_mode": "all_local_users",
        "derived_data_erased_within": "P30D",
        "data_recipients": None if field == "recipients" else [],
    }
    assert refusal(add(pap, name, **{**usual, field: value})) == (422, "invalid-version", field)
    accepted = add(pap, name, **{**usual, field: value, "material": True})
    assert (accepted.status_code, accepted.json()["version"]["number"]) == (201, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("elements", ["content"]),
        ("data_recipients", []),
        ("retention", "PT0S"),
    ],
)
def test_a_minor_change_keeps_the_consents(pap, field, value):
    """A change that widens nothing may be immaterial, and keeps the consents given."""
    name = f"n{sha256(str((field, value)).encode()).hexdigest()[:8]}"
    pap.register(name, party_mode="all_local_users", data_recipients=["Régie"])
    consent = pap.decide("alice", name)
    same = {"party_mode": "all_local_users", "data_recipients": ["Régie"]}
    assert add(pap, name, **{**same, field: value}).status_code == 201
    assert pap.ok("GET", f"/v1/consents/{consent['id']}")["state"] == "in_force"


def test_the_purpose_never_changes(pap):
    """Another purpose is another processing, material or not."""
    pap.register("own")
    assert refusal(add(pap, "own", purpose="statistics", material=True)) == (422, "invalid-version", "purpose")


def test_a_version_comes_now_or_later(pap, shared_clock):
    """A version in the past is refused; a future one is listed, and is in force from its instant."""
    pap.register("planned")
    past = wire(NOON - timedelta(minutes=1, microseconds=1))
    assert refusal(add(pap, "planned", effective_from=past)) == (422, "invalid-version", "effective_from")
    body = add(pap, "planned", effective_from="2026-07-01T00:00:00Z").json()
    assert (body["version"]["number"], body["versions"]) == (1, 2)
    assert len(pap.ok("GET", "/v1/processings/planned/versions")["items"]) == 2
    shared_clock.at = utc("2026-07-01T00:00:00Z")
    assert pap.ok("GET", "/v1/processings/planned")["version"]["number"] == 2


def test_a_version_never_comes_before_the_one_it_follows(pap):
    """While a version is to come, another one cannot be in force before it."""
    pap.register("ordered")
    assert add(pap, "ordered", effective_from="2026-08-01T00:00:00Z").status_code == 201
    for earlier in ({"effective_from": "2026-07-31T23:59:59Z"}, {}):
        assert refusal(add(pap, "ordered", **earlier)) == (422, "invalid-version", "effective_from")
    assert add(pap, "ordered", effective_from="2026-08-01T00:00:00Z").status_code == 201


def test_a_version_carries_the_hash_of_its_texts(pap):
    """Each version tells its notices and their SHA-256, which is what proves the text shown."""
    pap.register("hashed", notice={"fr": "Première é"})
    add(pap, "hashed", notice={"fr": "Deuxième", "en": "Second"}, material=True)
    first, second = pap.ok("GET", "/v1/processings/hashed/versions")["items"]
    assert first["notice_sha256"] == {"fr": sha256("Première é".encode()).hexdigest()}
    assert second["notice_sha256"] == {
        "fr": sha256("Deuxième".encode()).hexdigest(),
        "en": sha256(b"Second").hexdigest(),
    }
    assert (first["number"], second["number"]) == (1, 2)


def test_a_material_version_supersedes(pap):
    """A material version ends the consents before it at once."""
    pap.agreed("remade", "alice")
    assert add(pap, "remade", material=True).status_code == 201
    assert pap.reason("alice", "remade") == "consent_superseded"


@pytest.mark.parametrize("identifier", ["nowhere", "Nowhere", "a%00b", "%00", "%ff", "%F0%9F%98%80", "a%2Fb", "..%2f"])
def test_what_is_not_registered_is_not_found(pap, identifier):
    """An unregistered id is a 404 on every route, with any characters."""
    for method, path, body in (
        ("GET", f"/v1/processings/{identifier}", None),
        ("GET", f"/v1/processings/{identifier}/versions", None),
        ("POST", f"/v1/processings/{identifier}/versions", version("x")),
        ("PATCH", f"/v1/processings/{identifier}", {"status": "active"}),
    ):
        assert pap.call(method, path, body).status_code in {404, 422}, path


def test_the_register_is_listed_by_id(pap):
    """The list holds every processing with what reading it alone tells."""
    for name in ("zeta", "alpha"):
        pap.register(name)
    items = pap.ok("GET", "/v1/processings")["items"]
    assert [item["id"] for item in items] == sorted(item["id"] for item in items)
    assert pap.ok("GET", "/v1/processings/alpha") in items
