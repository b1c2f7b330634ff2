import re
from uuid import uuid4

from app.api.openapi import EVERYDAY
from app.auth.callers import Scope
from tests.faults.service import eventually
from tests.support.api import running
from tests.support.databases import new_database
from tests.support.staff import person as member
from tests.support.two_persons import person

PAGES = ("/docs", "/docs/everything", "/docs/start.js")
WELL_KNOWN = tuple(f"/.well-known/{name}" for name in ("authzen-configuration", "jwks.json", "webhook-keys"))
LOG = ("/proof/v1/keys", "/proof/v1/checkpoint", "/proof/v1/tile/{tile}")
OPEN = ("/livez", "/readyz", "/metrics", *WELL_KNOWN, *LOG)
METHODS = ("get", "post", "patch", "delete", "put")
# Everything that must be known before an operation's own proposal can work, in the order of the page.
STORY = (
    ("put", "/v1/controllers/{id}", 201),
    ("get", "/v1/controllers", 200),
    ("post", "/v1/processings", 201),
    ("get", "/v1/processings", 200),
    ("get", "/v1/processings/{id}", 200),
    ("patch", "/v1/processings/{id}", 200),
    ("get", "/v1/processings/{id}/versions", 200),
    ("post", "/v1/processings/{id}/versions", 201),
    ("post", "/v1/processings/{id}/invalidations", 200),
    ("get", "/v1/proposals", 200),
    ("post", "/v1/consents", 201),
    ("post", "/v1/consents/batch", 200),
    ("post", "/v1/consent-links", 201),
    ("post", "/v1/renewals/declined", 201),
    ("post", "/v1/subjects/ages", 201),
    ("post", "/v1/subjects/links", 201),
    ("post", "/v1/subjects/mailboxes", 200),
    ("post", "/v1/imports", 200),
    ("get", "/v1/imports", 200),
    ("post", "/access/v1/evaluation", 200),
    ("post", "/access/v1/evaluations", 200),
    ("post", "/access/v1/search/subject", 200),
    ("post", "/access/v1/search/action", 200),
    ("post", "/v1/withdrawals", 200),
    ("post", "/v1/withdrawals/batch", 200),
    ("post", "/v1/subjects/closures", 200),
    ("post", "/v1/subjects/erasures", 200),
    ("post", "/v1/consents/search", 200),
    ("get", "/proof/v1/keys", 200),
    ("get", "/proof/v1/checkpoint", 404),  # what is recorded is entered by the jobs process, a little later
    ("get", "/proof/v1/tile/{tile}", 404),
    ("post", "/v1/subjects/exports", 200),
    ("post", "/v1/explanations", 200),
    ("post", "/v1/decisions/search", 200),
    ("post", "/v1/audit-trail/search", 200),
    ("get", "/v1/renewals", 200),
    ("get", "/v1/job-runs", 200),
    ("get", "/v1/staff/notices", 200),
    ("post", "/v1/staff/notices", 201),
    ("post", "/v1/staff/members", 201),
    ("get", "/v1/staff/coverage", 200),
    ("post", "/v1/keys", 201),
    ("get", "/v1/keys", 200),
    ("get", "/.well-known/jwks.json", 200),
    ("get", "/livez", 200),
    ("get", "/readyz", 200),
    ("get", "/metrics", 200),
    ("get", "/.well-known/authzen-configuration", 200),
    ("get", "/v1/events", 200),
    ("post", "/v1/webhooks", 201),
    ("get", "/v1/webhooks", 200),
    ("post", "/v1/signing-keys", 201),
    ("get", "/.well-known/webhook-keys", 200),
    ("post", "/v1/proposals", 201),
)


def operations(document):
    """Every operation, by method and path."""
    return {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def answers_of(document, operation):
    """The answers of an operation by status; those that several operations share stand in the components."""
    shared = document["components"]["responses"]
    return {
        status: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for status, answer in operation["responses"].items()
    }


def body_schema(document, operation):
    """The schema of an operation's JSON body, or None when it takes none."""
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    named = next(each for each in schema.get("anyOf", [schema]) if "$ref" in each)  # a body that may be left out
    return document["components"]["schemas"][named["$ref"].rpartition("/")[2]]


def proposal(document, operation):
    """The body that the page proposes: the first example."""
    schema = body_schema(document, operation)
    return None if schema is None else schema["examples"][0]


def filled(path, operation):
    """The path with the examples that the page fills in."""
    for parameter in operation.get("parameters", []):
        path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example")))
    return path


def test_page_and_its_files_are_served_here(shared):
    """Every file that the page names is on this server, and none of its addresses leads elsewhere."""
    nobody = shared.with_key(None)
    page = nobody.call("GET", "/docs").text
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert named
    for address in named:
        if address.startswith("data:"):
            continue
        assert address.startswith("/docs")
        answer = nobody.call("GET", address)
        assert answer.status_code == 200
        assert answer.content
    for address in PAGES:
        assert "//" not in re.sub(r"^\s*//.*$", "", nobody.call("GET", address).text, flags=re.MULTILINE)


def test_the_document_is_small(shared):
    """Everything takes less than 300 KB, of which a browser shows the part of every day: less than a half."""
    everything, part = (shared.call("GET", address) for address in ("/openapi.json", "/docs/everyday.json"))
    assert len(everything.content) < 300_000
    assert len(part.content) < len(everything.content) / 2
    named = {each["operationId"] for each in operations(part.json()).values()}
    assert named == EVERYDAY
    assert len(named) < 30


def test_what_is_answered_leads_on(document):
    """Each link of an answer names an operation, a parameter of it, and a place that the real answer has."""
    by_id = {each["operationId"]: each for each in operations(document).values()}
    links = [
        (operation["operationId"], name, link)
        for operation in by_id.values()
        for answer in answers_of(document, operation).values()
        for name, link in answer.get("links", {}).items()
    ]
    assert len(links) > 15
    for source, name, link in links:
        assert link["operationId"] == name
        taken = {each["name"] for each in by_id[name].get("parameters", ())}
        assert set(link["parameters"]) <= taken, (source, name)
        assert {part.strip("{}") for part in re.findall(r"{\w+}", _path(document, name))} <= set(link["parameters"])


def _path(document, identifier):
    """The path of an operation."""
    return next(path for (_, path), each in operations(document).items() if each["operationId"] == identifier)


def test_page_is_under_a_strict_policy(shared):
    """The page's content security policy allows scripts and connections of this server only, and no frame."""
    policy = shared.with_key(None).call("GET", "/docs").headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["connect-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert "http" not in policy


def test_no_other_file_of_the_page_is_served(shared):
    """Names that are not the page's files are problem documents, whatever they climb to."""
    for name in ("swagger-ui-standalone-preset.js", "..%2f..%2fpyproject.toml", "redoc.standalone.js"):
        assert shared.call("GET", f"/docs/{name}").status_code in {404, 422}


def test_every_operation_says_what_it_is(document):
    """Every operation has a summary, a description, one known section, and a description of each answer."""
    sections = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document).items():
        assert operation["summary"].strip(), name
        assert operation["description"].strip(), name
        assert len(operation["tags"]) == 1, name
        assert set(operation["tags"]) <= sections, name
        assert all(answer["description"] for answer in answers_of(document, operation).values()), name
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), name


def test_every_section_is_explained_and_used(document):
    """The sections stand in the order of the work, each with a sentence and at least one operation."""
    used = {tag for operation in operations(document).values() for tag in operation["tags"]}
    names = [tag["name"] for tag in document["tags"]]
    assert names[:5] == ["register", "consents", "decisions", "renewals", "proof"]
    assert names[5:] == ["audit", "events", "staff", "keys", "operation"]
    assert set(names) == used
    assert all(tag["description"] for tag in document["tags"])


def test_every_operation_behind_a_key_names_its_scope(document):
    """An operation that takes a key says which scope the key needs; the open ones are the four of operation."""
    without = {path for (_, path), operation in operations(document).items() if "x-scope" not in operation}
    assert without == {*OPEN}
    for name, operation in operations(document).items():
        if "x-scope" in operation:
            assert {"key": []} in operation["security"], name
            assert all(f"`{scope}`" in operation["description"] for scope in operation["x-scope"].split()), name
            assert operation["x-scope"] or "any scope" in operation["description"], name


def test_every_body_has_a_proposal(document):
    """An operation that takes a body proposes one."""
    for name, operation in operations(document).items():
        schema = body_schema(document, operation)
        assert schema is None or schema.get("examples"), name


def test_story_covers_every_operation_that_needs_no_id_of_an_answer(document):
    """The proposals tried in order are all there are, but for operations on what an earlier answer or setting gave."""
    of_answers = {("get", f"/v1/consents/{{id}}{what}") for what in ("", "/history", "/proof", "/receipt")}
    of_answers |= {("get", "/v1/consent-events/{id}")}
    of_answers |= {("get", "/v1/presented-texts/{sha256}")}
    # Where two persons decide: the first one's proposal is there to be ruled on.
    of_answers |= {("post", "/v1/rulings")}
    of_answers |= {("post", "/v1/acknowledgements")}  # of an event that the feed told
    beginnings = ("/v1/webhooks/{id}", "/v1/keys/{id}", "/v1/staff/members/{id}")
    of_answers |= {each for each in operations(document) if each[1].startswith(beginnings)}
    of_answers |= {("post", "/v1/staff/acknowledgements")}  # for persons
    assert {(method, path) for method, path, _ in STORY} == set(operations(document)) - of_answers


def test_proposals_for_persons_work_unedited(api, document):
    """A person who presses the buttons acknowledges the text that the page's own example publishes."""
    api.ok("POST", "/v1/staff/notices", proposal(document, operations(document)["post", "/v1/staff/notices"]))
    _, ada = member(api)
    for method, path, status in (
        ("GET", "/v1/staff/notices", 200),
        ("POST", "/v1/staff/acknowledgements", 201),
    ):
        proposed = proposal(document, operations(document)[method.lower(), path])
        assert ada.call(method, path, proposed).status_code == status


def pressed(api, method, path, body):
    """The answer to a request, which is sent again while its outcome is not known, as it asks for."""
    once = {"Idempotency-Key": uuid4().hex} if method == "post" else {}

    def answered():
        answer = api.call(method.upper(), path, body, once)
        return None if "outcome-unknown" in answer.text else answer

    return eventually(answered)


def test_proposals_work_unedited_in_order(api, document):
    """Every proposal, unedited and in order, succeeds; the decision is a permit, and a deny after the withdrawal."""
    by_path = operations(document)
    answers = {}
    for method, path, status in STORY:
        operation = by_path[method, path]
        answer = pressed(api, method, filled(path, operation), proposal(document, operation))
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        answers[method, path] = answer
    consent = answers["post", "/v1/consents"].json()
    assert consent["state"] == "in_force"
    permit = answers["post", "/access/v1/evaluation"].json()
    assert (permit["decision"], permit["context"]["consent"]) == (True, consent["id"])
    batch = answers["post", "/access/v1/evaluations"].json()["evaluations"]
    assert [(each["decision"], each["context"]["reason"]) for each in batch] == [
        (True, "consent_in_force"),
        (False, "no_consent"),
    ]
    assert answers["post", "/v1/withdrawals"].json()["withdrawn"] == [consent["id"]]
    (granted,) = answers["post", "/v1/consents/batch"].json()["items"]
    (withdrawn,) = answers["post", "/v1/withdrawals/batch"].json()["items"]
    assert withdrawn["answer"]["withdrawn"] == [granted["answer"]["id"]]
    again = api.ok("POST", "/access/v1/evaluation", proposal(document, by_path["post", "/access/v1/evaluation"]))
    assert again["context"]["reason"] == "consent_withdrawn"
    assert answers["post", "/v1/explanations"].json()["context"]["reason"] == "consent_withdrawn"
    assert [each["id"] for each in answers["post", "/v1/consents/search"].json()["items"]] == [consent["id"]]


def test_proposals_work_in_order_where_two_persons_decide(document):
    """Each proposal, unedited and in order, by one person; another one approves what waits by the page's example."""
    by_path, everything = operations(document), [scope.value for scope in Scope]
    waited = []
    with new_database() as database, running(database, register_approval="two") as first:
        ada, bob = (person(first, name, *everything) for name in ("Ada", "Bob"))
        for method, path, status in STORY:
            operation = by_path[method, path]
            answer = pressed(ada, method, filled(path, operation), proposal(document, operation))
            assert answer.status_code in ({status, 202} if status < 300 else {status}), (
                f"{method} {path}: {answer.text}"
            )
            for about in _waiting(path, answer):
                example = proposal(document, by_path["post", "/v1/rulings"])
                assert bob.call("POST", "/v1/rulings", {**example, **about}).is_success, (method, path)
                waited.append(path)
        decided = ada.ok("POST", "/v1/decisions/search", proposal(document, by_path["post", "/v1/decisions/search"]))
    # A version that only shortens what is kept takes nobody else's word.
    assert {"/v1/processings", "/v1/proposals"} <= set(waited)
    assert all(each["decision"] for each in decided["items"])
    assert decided["items"]


def test_keys_that_the_page_proposes_suffice_where_two_persons_decide(document):
    """A key for each, by the examples: one registers, the other approves; then that first one's consent decides."""
    posts = {path: each for (method, path), each in operations(document).items() if method == "post"}
    offered = posts["/v1/keys"]["requestBody"]["content"]["application/json"]["examples"]
    with new_database() as database, running(database, register_approval="two") as first:
        keys = {}
        for who in ("one who proposes", "one who approves"):
            assert f"*{who}*" in document["info"]["description"]
            keys[who] = first.ok("POST", "/v1/keys", offered[who]["value"])["key"]
        proposes, approves = map(first.with_key, keys.values())
        for caller, path, word, outcome in (
            (proposes, "/v1/processings", "status", "proposed"),
            (approves, "/v1/rulings", "status", "active"),
            (proposes, "/v1/consents", "state", "in_force"),
            (proposes, "/access/v1/evaluation", "decision", True),
        ):
            assert caller.ok("POST", path, proposal(document, posts[path]))[word] == outcome, path


def _waiting(path, answer):
    """What of an answer waits for another person, as a ruling names it."""
    body = answer.json() if answer.content and "json" in answer.headers["content-type"] else {}
    if body.get("status") == "proposed" and path == "/v1/processings":
        yield {"processing": body["id"], "version": 1}
    elif answer.status_code == 202 and "id" in body:
        yield {"processing": None, "version": None, "proposal": body["id"]}


def test_key_has_a_button(document):
    """The document tells the page that a bearer key is used, which is what gives it the Authorize button."""
    scheme = document["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
