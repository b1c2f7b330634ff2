from datetime import UTC, datetime, timedelta

import pytest
import structlog

from app.audit.trail import ActKind, UnknownDetailError, checked
from tests.support.acts import IDENTIFIED, World, trail
from tests.support.api import BOOTSTRAP, processing, question, running, subject
from tests.support.commands import run_command
from tests.support.console import Visitor
from tests.support.databases import APP_ROLE, execute, new_database

SEARCH = "/v1/audit-trail/search"


@pytest.fixture
def world(api, database):
    """An application and its trail."""
    return World(api, database)


@pytest.fixture(scope="module")
def searched():
    """A trail with a few acts of two callers, and the callers."""
    with new_database() as database, running(database) as api:
        for identifier in ("ads", "stats"):
            api.register(identifier)
        made = api.ok("POST", "/v1/keys", {"name": "dpo", "scopes": ["audit:read", "register:write"]})
        officer = api.with_key(made["key"])
        officer.ok("PATCH", "/v1/processings/ads", {"status": "suspended"})
        for name in ("alice", "zoe"):
            api.decide(name, "stats")
        officer.ok("POST", "/v1/explanations", question("alice", "ads"))
        api.ok("POST", "/v1/subjects/closures", {"subject": subject("zoe")})
        yield api, officer, made["id"]


@pytest.fixture
def unwritable(database):
    """A call after which nobody may write the trail; what fails then is logged in a few words."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer(key_order=["event"])])

    def take_away():
        execute(database, f"REVOKE INSERT ON administrative_act FROM {APP_ROLE}")

    return take_away


def _acts(database):
    return [each["act"] for each in trail(database) if each["act"] != "schema.migrated"]


@pytest.fixture
def sceau(database):
    """The command, on the test's database: its exit status."""
    return lambda *words: run_command(database, *words)[0]


def _found(api, **query):
    return [each["act"] for each in api.ok("POST", SEARCH, query)["items"] if each["act"] != "audit_trail.searched"]


def test_an_entry_tells_what_who_when_and_on_what(world):
    """An entry has the act, the caller, the database's time, the object, the request's id and a small detail."""
    before = datetime.now(UTC)
    made = world.send("POST", "/v1/keys", {"name": "mail server", "scopes": ["decisions:evaluate"]}).json()
    entry = trail(world.database)[-1]
    assert (entry["act"], entry["way"], entry["request_id"]) == ("caller.made", "api", IDENTIFIED["X-Request-ID"])
    assert (entry["thing"], entry["thing_id"]) == ("caller", made["id"])
    assert entry["detail"] == {"known_by": "key", "kind": "machine", "scopes": ["decisions:evaluate"]}
    assert before - timedelta(minutes=5) < entry["at"] < datetime.now(UTC) + timedelta(minutes=5)
    assert entry["id"].version == 7


def test_the_first_key_and_the_schema_are_recorded(world):
    """What the service does by itself at its start, and what migrated the schema, stand there without a caller."""
    acts = [(each["act"], each["way"], each["caller"]) for each in trail(world.database)]
    assert acts == [("schema.migrated", "command", None), ("caller.made", "service", None)]


def test_commands_are_recorded(database, sceau):
    """A key made and revoked at the command line leaves two entries that say so."""
    assert sceau("keys", "create", "clerk", "--scope", "audit:read") == 0
    identifier = trail(database)[-1]["thing_id"]
    assert sceau("keys", "revoke", identifier) == 0
    acts = [(each["act"], each["way"], each["caller"], each["thing_id"]) for each in trail(database)[-2:]]
    assert acts == [("caller.made", "command", None, identifier), ("caller.revoked", "command", None, identifier)]


def test_a_repaired_projection_is_recorded(world, sceau):
    """Rows that are written again from the ledger are told with their number; a mere comparison is not."""
    world.consent()
    execute(world.database, "DELETE FROM consent")
    assert sceau("rebuild-projection", "--check") == 1
    assert "projection.repaired" not in _acts(world.database)
    assert sceau("rebuild-projection") == 0
    entry = trail(world.database)[-1]
    assert (entry["act"], entry["way"], entry["detail"]) == ("projection.repaired", "command", {"consents": 1})


def test_what_was_not_done_is_not_recorded(world):
    """A repetition under an Idempotency-Key, a second revocation and a status that stands already leave no entry."""
    body = processing("ads")
    for _ in range(2):
        assert world.api.call("POST", "/v1/processings", body, {"Idempotency-Key": "one"}).status_code == 201
    assert world.api.call("POST", "/v1/processings", body).status_code == 409
    world.api.ok("PATCH", "/v1/processings/ads", {"status": "active"})
    key = world.key()
    for _ in range(2):
        world.api.ok("DELETE", f"/v1/keys/{key}")
    assert _acts(world.database) == ["caller.made", "processing.registered", "caller.made", "caller.revoked"]


def test_an_act_that_cannot_be_recorded_is_not_done(world, unwritable):
    """Act and entry are one transaction: without the right to write the trail, nothing is registered."""
    unwritable()
    assert world.api.call("POST", "/v1/processings", processing("ads")).status_code == 500
    assert world.api.ok("GET", "/v1/processings")["items"] == []


@pytest.mark.parametrize("read", ["explanation", "history", "decisions", "trail"])
def test_what_was_looked_up_and_cannot_be_recorded_is_not_told(world, unwritable, read):
    """A record that somebody looks at without leaving a trace is not shown."""
    consent = world.consent()
    calls = {
        "explanation": ("POST", "/v1/explanations", question("alice", "ads")),
        "history": ("GET", f"/v1/consents/{consent}/history", None),
        "decisions": ("POST", "/v1/decisions/search", {}),
        "trail": ("POST", SEARCH, {}),
    }
    assert world.api.call(*calls[read]).status_code == 200
    unwritable()
    answer = world.api.call(*calls[read])
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:sceau:problem:internal")


def test_an_explanation_names_whose_record_and_no_word_of_the_question(world):
    """The entry has the subject's pseudonym; a processing that is not registered is the caller's own word: left out."""
    world.api.agreed("ads", "alice")
    for processing_asked in ("ads", "alice.in-the-action"):
        world.api.ok("POST", "/v1/explanations", {**question("alice", processing_asked), "at": "2026-01-01T00:00:00Z"})
    known, unknown = trail(world.database)[-2:]
    assert known["subject_ref"] == unknown["subject_ref"] is not None
    assert (known["thing_id"], unknown["thing_id"]) == ("ads", None)
    assert known["detail"] == {"at": "2026-01-01T00:00:00+00:00"}


def test_links_and_imports_are_recorded_once_a_day(world):
    """A campaign of links, or an import of thousands, is one entry for each caller and day."""
    identifier = world.registered()
    for name in ("alice", "bob"):
        body = {"subject": subject(name), "processings": [identifier], "authentication": "mailbox", "kind": "decide"}
        world.api.ok("POST", "/v1/consent-links", body)
        world.api.decide(name, identifier, collected_at="2026-01-01T10:00:00Z")
    assert _acts(world.database)[-2:] == ["consent_links.made", "consents.imported"]
    key = world.api.new_key("consents:write", "consents:import")
    world.api.with_key(key).decide("carol", identifier, collected_at="2026-01-02T10:00:00Z")
    assert _acts(world.database)[-1] == "consents.imported"


def test_a_refused_attempt_is_recorded_once_an_hour(world):
    """A caller that is refused leaves one entry for each route and reason in an hour, however often it tries."""
    weak = world.api.with_key(world.api.new_key("decisions:evaluate"))
    for _ in range(5):
        assert weak.call("POST", "/v1/keys", {"name": "x", "scopes": ["keys:manage"]}, IDENTIFIED).status_code == 403
    assert weak.call("GET", "/v1/keys").status_code == 403
    refused = [each for each in trail(world.database) if each["act"] == "request.refused"]
    assert [each["detail"] for each in refused] == [
        {"route": "/v1/keys", "method": method, "problem": "scope-missing"} for method in ("POST", "GET")
    ]
    assert refused[0]["request_id"] == IDENTIFIED["X-Request-ID"]
    assert refused[0]["caller"] is not None


def test_nobody_from_outside_writes_the_trail(world):
    """Without a key in force nothing is recorded, at the API or at the sign-in; nor is anything for decisions."""
    before = len(trail(world.database))
    for key in (None, "sceau_" + "x" * 43):
        assert (
            world.api.with_key(key).call("POST", "/v1/keys", {"name": "x", "scopes": ["audit:read"]}).status_code == 401
        )
    assert Visitor(world.api).sign_in("sceau_" + "x" * 43).status == 403
    evaluator = world.api.with_key(BOOTSTRAP)
    assert evaluator.call("POST", "/access/v1/evaluation", question("alice", "ads")).status_code == 200
    assert len(trail(world.database)) == before


def test_a_sign_in_that_its_key_may_not_is_recorded(world):
    """A key in force without a scope of the console is one that somebody holds: its try is told."""
    assert Visitor(world.api).sign_in(world.api.new_key("decisions:evaluate")).status == 403
    entry = trail(world.database)[-1]
    assert (entry["act"], entry["way"]) == ("request.refused", "page")
    assert entry["detail"]["route"] == "/console/sign-in"


def test_a_refusal_stands_when_it_cannot_be_recorded(world, unwritable):
    """Nothing was done, so a 403 is answered even while the trail cannot be written."""
    weak = world.api.with_key(world.api.new_key("decisions:evaluate"))
    unwritable()
    assert weak.call("GET", "/v1/keys").status_code == 403


def test_an_unusable_request_id_is_not_kept(world):
    """A request id that could be more than an id is echoed to who sent it, and kept nowhere."""
    headers = {"X-Request-ID": "alice@example.fr"}
    answer = world.api.call("POST", "/v1/processings", processing("ads"), headers)
    assert answer.headers["x-request-id"] == headers["X-Request-ID"]
    assert trail(world.database)[-1]["request_id"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"acts": ["processing.suspended", "subject.closed"]}, ["subject.closed", "processing.suspended"]),
        ({"object": {"type": "processing", "id": "stats"}}, ["processing.registered"]),
        ({"subject": subject("alice")}, ["decision.explained"]),
        ({"subject": subject("zoe")}, []),
        ({"subject": subject("nobody")}, []),
        ({"until": "2020-01-01T00:00:00Z"}, []),
    ],
)
def test_searching(searched, query, expected):
    """The trail is narrowed by act, object, subject and time, newest first; a closed account is nobody's any more."""
    api, _, _ = searched
    assert _found(api, **query) == expected


def test_searching_by_caller(searched):
    """Everything that one caller did."""
    api, _, identifier = searched
    assert _found(api, caller=identifier) == ["decision.explained", "processing.suspended"]


def test_paging_gives_every_entry_once(searched):
    """Pages of two give what one page gives; a cursor is good for its own query and caller."""
    api, officer, _ = searched
    query = {"until": datetime.now(UTC).isoformat()}
    at_once = [each["id"] for each in api.ok("POST", SEARCH, query)["items"]]
    paged, cursor = [], None
    while True:
        page = api.ok("POST", SEARCH, {**query, "page": {"limit": 2, **({"cursor": cursor} if cursor else {})}})
        paged += [each["id"] for each in page["items"]]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
        last = cursor
    assert paged == at_once
    assert len(at_once) >= 6
    assert officer.call("POST", SEARCH, {**query, "page": {"limit": 2, "cursor": last}}).status_code == 422
    assert api.call("POST", SEARCH, {"page": {"cursor": last}}).status_code == 422


def test_a_restricted_caller_sees_its_own_part(searched):
    """A caller of one processing sees what was done to that one and what it did itself, and nobody's keys."""
    api, _, _ = searched
    mine = api.with_key(api.new_key("audit:read", processings=["stats"]))
    mine.ok("POST", "/v1/explanations", question("alice", "stats"))
    assert _found(mine) == ["decision.explained", "processing.registered"]
    assert "caller.made" in _found(api)


def test_an_act_carries_only_its_own_details():
    """A detail that an act may not carry is refused before anything is written; every act allows what it carries."""
    assert checked(ActKind.CALLER_MADE, {"scopes": ("a", "b"), "processings": None}) == {"scopes": ["a", "b"]}
    for act, name in ((ActKind.CALLER_MADE, "key"), (ActKind.CALLER_REVOKED, "scopes")):
        with pytest.raises(UnknownDetailError, match=name):
            checked(act, {name: "x"})
