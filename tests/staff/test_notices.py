from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256

import psycopg
import pytest

from app.auth.callers import Scope
from app.core.staff import first_notice
from tests.faults.service import eventually
from tests.support.api import running
from tests.support.console import Visitor
from tests.support.staff import ENOUGH, TEXT, acknowledge, acknowledged_before, covered, paper, person, publish, shown

WAITS = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"


def test_the_text_that_ships_is_version_1(api):
    """A new deployment has a notice: the obligations and penalties, with a passage for the operator to write."""
    (first,) = api.ok("GET", "/v1/staff/notices")["items"]
    assert (first["number"], first["to_be_completed"]) == (1, True)
    assert first["lacking"] == {"fr": ["passage_to_complete"], "en": ["passage_to_complete"]}
    for language, text in first_notice().items():
        assert first["texts"][language] == {"title": text.title, "body": text.body, "sha256": text.sha256}


def test_a_restart_keeps_it(database):
    """Starting again, and starting twice at once, leaves one version 1."""
    for _ in range(2):
        with running(database) as api:
            assert [each["number"] for each in api.ok("GET", "/v1/staff/notices")["items"]] == [1]


def test_a_version_is_published_once_and_for_all(api):
    """Versions are numbered, told whole, and none can be changed; French is required."""
    made = publish(api)
    assert (made["number"], made["to_be_completed"]) == (2, False)
    assert made["texts"]["fr"]["sha256"] == sha256(f"Titre\n{ENOUGH['fr']}".encode()).hexdigest()
    assert publish(api, fr=TEXT["fr"])["texts"].keys() == {"fr"}
    assert [each["number"] for each in api.ok("GET", "/v1/staff/notices")["items"]] == [1, 2, 3]
    assert api.call("POST", "/v1/staff/notices", {"en": TEXT["en"]}).status_code == 422
    assert api.call("PATCH", "/v1/staff/notices/1", TEXT).status_code == 404


@pytest.mark.parametrize(
    ("language", "part", "instead", "lack"),
    [
        ("fr", "# Ce qui est secret", "[À compléter]", "passage_to_complete"),
        ("fr", "l’identité", "le nom", "four_elements"),
        ("fr", "15 000", "des", "code_penal_226_13"),
        ("fr", "226-15", "226", "code_penal_226_15"),
        ("fr", "432-9", "432", "code_penal_432_9"),
        ("fr", "ses deux alinéas", "", "both_paragraphs_of_432_9"),
        ("fr", "Le secret dure", "Il dure", "secrecy_after_leaving"),
        ("en", "# What is secret", "[To be completed]", "passage_to_complete"),
        ("en", "three years", "years", "code_penal_432_9"),
        ("en", "both paragraphs", "", "both_paragraphs_of_432_9"),
        ("en", "Secrecy outlasts", "It outlasts", "secrecy_after_leaving"),
    ],
)
def test_an_incomplete_version_is_not_published(staffed, language, part, instead, lack):
    """Whichever language leaves something out, the version is refused, and the answer says what it lacks and where."""
    body = ENOUGH[language].replace(part, instead)
    answer = staffed.call("POST", "/v1/staff/notices", {**TEXT, language: {"title": "T", "body": body}})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sceau:problem:incomplete-notice")
    assert [each["field"] for each in answer.json()["errors"]] == [f"{language}.body"]
    assert lack in answer.json()["errors"][0]["message"]


def test_an_incomplete_version_is_acknowledged_by_nobody(database):
    """The text that ships is refused, by key and on paper; what was acknowledged of it before counts for nobody."""
    with running(database) as api:
        identifier, ada = person(api)
        answer = ada.call("POST", "/v1/staff/acknowledgements", shown(ada))
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:sceau:problem:notice-unfinished")
        member = api.ok("POST", "/v1/staff/members", {"name": "Hal"})["id"]
        signed = api.ok("GET", "/v1/staff/notices")["items"][0]["published_at"]
        assert paper(api, member, signed, notice=1).status_code == 409
        acknowledged_before(database, identifier)
        assert covered(api, identifier)["standing"] == "missing"
        publish(api)
        assert covered(api, identifier)["standing"] == "missing"
        acknowledge(ada)
        assert covered(api, identifier)["standing"] == "acknowledged"


def test_nothing_is_closed_to_who_did_not_acknowledge(staffed):
    """A person with every scope administers without an acknowledgement; the coverage says who is missing."""
    identifier, ada = person(staffed, *[scope.value for scope in Scope])
    for method, path, body in (
        ("GET", "/v1/processings", None),
        ("POST", "/v1/staff/members", {"name": "Bob"}),
        ("POST", "/v1/keys", {"name": "x", "scopes": ["audit:read"]}),
    ):
        assert ada.call(method, path, body).status_code in {200, 201}
    assert "<h1>Console" in Visitor(staffed).sign_in(str(ada.key)).html
    assert covered(staffed, identifier)["standing"] == "missing"


# --- acknowledging ---------------------------------------------------------------------------------------------------


def test_a_person_acknowledges_what_was_shown(staffed):
    """Who, which version, in which language, when, and the hash of the text: all of it is kept."""
    identifier, ada = person(staffed)
    read = ada.ok("GET", "/v1/staff/notices")
    assert read["own"] == {"standing": "missing", "page": "https://sceau.example.fr/staff/notice"}
    assert read["items"] == staffed.ok("GET", "/v1/staff/notices")["items"]
    made = acknowledge(ada, "en")
    assert made["member"] == made["recorded_by"] == identifier
    assert (made["language"], made["way"]) == ("en", "api")
    assert made["text_sha256"] == read["items"][-1]["texts"]["en"]["sha256"]
    assert made["acknowledged_at"] == made["recorded_at"]
    own = ada.ok("GET", "/v1/staff/notices")["own"]
    assert (own["standing"], own["acknowledged_at"]) == ("acknowledged", made["acknowledged_at"])
    assert covered(staffed, identifier)["acknowledgements"] == [made]


def test_a_second_time_tells_of_the_first(staffed):
    """Nothing is counted twice, nor moved to a later day."""
    _, ada = person(staffed)
    first = acknowledge(ada)
    assert acknowledge(ada, "en") == first


@pytest.mark.parametrize("change", [{"notice": 99}, {"text_sha256": "0" * 64}, {"language": "en"}])
def test_what_was_not_shown_is_not_acknowledged(staffed, change):
    """Another version, another text, or the hash of the other language: nothing is recorded."""
    identifier, ada = person(staffed)
    answer = ada.call("POST", "/v1/staff/acknowledgements", {**shown(ada), **change})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sceau:problem:text-changed")
    assert covered(staffed, identifier)["standing"] == "missing"


def test_a_program_acknowledges_nothing(staffed):
    """A machine's key acknowledges nothing, whatever its scopes, and has no standing of its own."""
    body = {"notice": 1, "language": "fr", "text_sha256": "0" * 64}
    answer = staffed.call("POST", "/v1/staff/acknowledgements", body)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:sceau:problem:persons-only")
    assert staffed.ok("GET", "/v1/staff/notices").keys() == {"items"}


def test_the_versions_are_read_by_persons_and_officers(staffed):
    """A person reads them whatever she may do; a program needs the officers' scope, and no list of processings."""
    staffed.register("ads")
    program = lambda scope, **more: staffed.with_key(staffed.new_key(scope, **more)).call("GET", "/v1/staff/notices")  # noqa: E731
    others = [each.value for each in Scope if each is not Scope.STAFF_WRITE]
    limited = staffed.ok(
        "POST", "/v1/keys", {"name": "x", "kind": "person", "scopes": ["audit:read"], "processings": ["ads"]}
    )
    assert "own" in staffed.with_key(limited["key"]).ok("GET", "/v1/staff/notices")
    assert program("staff:write").status_code == 200
    for scope in others:
        assert program(scope).json()["type"] == "urn:sceau:problem:persons-only"
    assert program("staff:write", processings=["ads"]).json()["type"] == "urn:sceau:problem:processing-not-allowed"


def test_acknowledgements_cannot_be_changed(database):
    """Not even by the schema's owner: the same holds as for the ledger."""
    with running(database) as api:
        publish(api)
        acknowledge(person(api)[1])
    with psycopg.connect(database.owner_url) as owner, pytest.raises(psycopg.errors.InsufficientPrivilege):
        owner.execute("UPDATE staff_acknowledgement SET notice = 1")


# --- coverage --------------------------------------------------------------------------------------------------------


def test_coverage(api):
    """Everybody by standing: persons with access without being registered, others by registration, machines never."""
    ada, ada_calls = person(api, name="Ada")
    bob, bob_calls = person(api, name="Bob")
    carol, _ = person(api, name="Carol")
    dora = api.ok("POST", "/v1/staff/members", {"name": "Dora"})["id"]
    gone = api.ok("POST", "/v1/staff/members", {"name": "Gone"})["id"]
    publish(api)
    acknowledge(bob_calls)
    publish(api)
    acknowledge(ada_calls)
    api.ok("PATCH", f"/v1/staff/members/{gone}", {"status": "left"})
    page = api.ok("GET", "/v1/staff/coverage")
    assert page["notice"] == 3
    assert page["counts"] == {"acknowledged": 1, "outdated": 1, "missing": 2, "left": 1}
    assert {each["id"]: (each["name"], each["standing"], each.get("acknowledged")) for each in page["items"]} == {
        ada: ("Ada", "acknowledged", 3),
        bob: ("Bob", "outdated", 2),
        carol: ("Carol", "missing", None),
        dora: ("Dora", "missing", None),
        gone: ("Gone", "left", None),
    }
    assert [each["access"] for each in page["items"]] == [each["id"] in {ada, bob, carol} for each in page["items"]]


def test_coverage_by_pages_and_standing(api):
    """Pages hold everybody once; the counts are of all, whatever part is read; a cursor is for its own query."""
    made = [api.ok("POST", "/v1/staff/members", {"name": f"M{number}"})["id"] for number in range(5)]
    seen, path = [], "/v1/staff/coverage?limit=2"
    cursor = ""
    while True:
        page = api.ok("GET", path + cursor)
        seen += [each["id"] for each in page["items"]]
        assert page["counts"]["missing"] == 5
        if "next_cursor" not in page:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(made)
    assert api.ok("GET", "/v1/staff/coverage?standing=left")["items"] == []
    assert api.call("GET", f"/v1/staff/coverage?standing=missing&limit=2{cursor}").status_code == 422


def test_a_person_whose_access_was_revoked_has_left(staffed):
    """Whoever cannot call any more is not missing, and has no access."""
    identifier, _ = person(staffed)
    assert covered(staffed, identifier)["access"] is True
    staffed.ok("DELETE", f"/v1/keys/{identifier}")
    coverage = covered(staffed, identifier)
    assert (coverage["standing"], coverage["name"], coverage["access"]) == ("left", "Ada", False)
    assert coverage["left_at"]


# --- members ---------------------------------------------------------------------------------------------------------


def test_who_left_can_be_forgotten(staffed):
    """Erasing takes the name for good and leaves what was acknowledged, under an id that names nobody."""
    member = staffed.ok("POST", "/v1/staff/members", {"name": "Eve"})["id"]
    signed = staffed.ok("GET", "/v1/staff/notices")["items"][1]["published_at"]
    assert paper(staffed, member, signed).status_code == 201
    path = f"/v1/staff/members/{member}"
    for early in ({"erase_name": True}, {"erase_name": True, "status": "active"}):
        answer = staffed.call("PATCH", path, early)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:sceau:problem:member-active")
    assert covered(staffed, member)["name"] == "Eve"
    staffed.ok("PATCH", path, {"status": "left"})
    for _ in range(2):
        assert staffed.ok("PATCH", path, {"erase_name": True})["status"] == "left"
    coverage = covered(staffed, member)
    assert "name" not in coverage
    assert (coverage["standing"], coverage["acknowledged"]) == ("left", 2)


def test_who_leaves_can_be_forgotten_at_once(staffed):
    """One request says that a member left and erases the name; without a name to erase or a status it is refused."""
    path = f"/v1/staff/members/{staffed.ok('POST', '/v1/staff/members', {'name': 'Lou'})['id']}"
    for nothing in ({}, {"erase_name": False}):
        answer = staffed.call("PATCH", path, nothing)
        assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["status"])
    assert staffed.ok("PATCH", path, {"status": "left", "erase_name": True})["status"] == "left"
    assert "name" not in covered(staffed, path.rpartition("/")[2])


def test_nobody_is_covered_by_an_id_that_no_member_has(staffed):
    """An id of nobody gives an empty list, and acknowledgements stand only where one member is asked for."""
    nobody = "01990000-0000-7000-8000-000000000000"
    assert staffed.ok("GET", f"/v1/staff/coverage?member={nobody}")["items"] == []
    assert not any("acknowledgements" in each for each in staffed.ok("GET", "/v1/staff/coverage?limit=500")["items"])


def test_somebody_can_come_back(staffed):
    """Left and back: whoever works here again is missing again; the time of leaving is told while it counts."""
    member = staffed.ok("POST", "/v1/staff/members", {"name": "Fay"})["id"]
    first = staffed.ok("PATCH", f"/v1/staff/members/{member}", {"status": "left"})
    assert staffed.ok("PATCH", f"/v1/staff/members/{member}", {"status": "left"}) == first
    assert "left_at" not in staffed.ok("PATCH", f"/v1/staff/members/{member}", {"status": "active"})
    assert covered(staffed, member)["standing"] == "missing"


def test_a_person_with_access_can_be_given_a_name(staffed):
    """A name registered for a caller stands in the place of what the key is called, and makes no second member."""
    identifier, _ = person(staffed, name="key of G")
    assert staffed.ok("POST", "/v1/staff/members", {"name": "Gus", "caller": identifier})["id"] == identifier
    assert staffed.ok("POST", "/v1/staff/members", {"name": "Gustave", "caller": identifier})["id"] == identifier
    assert covered(staffed, identifier)["name"] == "Gustave"


def test_a_name_that_two_give_at_once_is_given_twice(staffed, shared_database):
    """Somebody else is about to replace the same name: this one waits for it, and then replaces theirs."""
    identifier, _ = person(staffed)
    body = {"name": "Gus", "caller": identifier}
    staffed.ok("POST", "/v1/staff/members", body)
    with psycopg.connect(shared_database.owner_url) as other, ThreadPoolExecutor(1) as threads:
        other.execute("SELECT FROM staff_member WHERE id = %s FOR NO KEY UPDATE", [identifier])
        kept = other.execute("DELETE FROM staff_name WHERE member = %s RETURNING *", [identifier]).fetchone()
        other.execute("INSERT INTO staff_name VALUES (%s, %s, %s, %s)", kept)
        answer = threads.submit(staffed.call, "POST", "/v1/staff/members", {**body, "name": "Gustave"})
        with psycopg.connect(shared_database.owner_url, autocommit=True) as looking:
            eventually(lambda: looking.execute(WAITS, [other.info.backend_pid]).fetchone())
        other.commit()
        assert answer.result(60).status_code == 201
    assert covered(staffed, identifier)["name"] == "Gustave"


@pytest.mark.parametrize(("kind", "status"), [("machine", 403), (None, 404)])
def test_only_persons_are_members(staffed, kind, status):
    """A program is no member of staff, and neither is nobody."""
    identifier = "01990000-0000-7000-8000-000000000000"
    if kind is not None:
        identifier = staffed.ok("POST", "/v1/keys", {"name": "x", "scopes": ["audit:read"]})["id"]
    for method, path, body in (
        ("POST", "/v1/staff/members", {"name": "x", "caller": identifier}),
        ("PATCH", f"/v1/staff/members/{identifier}", {"status": "left"}),
    ):
        assert staffed.call(method, path, body).status_code == status
    assert paper(staffed, identifier, datetime.now(UTC).isoformat(), notice=1).status_code == status
