"""Commands that talk to a running service: the register from a file, links to the consent page, the event feed."""

import json

import pytest
import yaml

from tests.faults.service import Service
from tests.faults.words import ADS, decision
from tests.support.api import BOOTSTRAP, processing
from tests.support.commands import run_bare

SCOPES = ["register:read", "register:write", "register:approve"]
_CHILD = {"age_band": "under_15", "stated_by": "operator", "checked_how": "account_data"}
CONTROLLER = {"id": "exemple", "kind": "siren", "identifier": "732829320", "legal_name": "Exemple SAS", "country": "FR"}


@pytest.fixture
def sceau(pair):
    """Run a command on the service, with the caller of every scope: status, standard error, standard output."""

    def run(*words, key=BOOTSTRAP, url=None, typed=""):
        address = url or f"http://127.0.0.1:{pair.service.port}"
        return run_bare({"SCEAU_URL": address, "SCEAU_KEY": key}, *words, typed=typed)

    return run


@pytest.fixture
def register_file(tmp_path):
    """Write a file of the register; its path."""

    def write(*processings, controllers=(CONTROLLER,)):
        path = tmp_path / "register.yaml"
        path.write_text(yaml.safe_dump({"controllers": [*controllers], "processings": [*processings]}))
        return path

    return write


def wanted(identifier, **more):
    """A processing as a file says it."""
    entry = {**processing(identifier), "controllers": ["exemple"], **more}
    del entry["controller"]
    return entry


def test_a_register_is_planned_applied_and_then_as_the_file_says(sceau, register_file):
    """The plan of a dry run exits with 2 and changes nothing; applied once, the same file changes nothing again."""
    path = register_file(wanted("planned"))
    plan = ["+ controller exemple", "+ processing planned (advertising)"]
    for _ in range(2):
        status, _, output = sceau("apply", path, "--dry-run")
        assert (status, output.splitlines()) == (2, plan)
    status, error, output = sceau("apply", path)
    assert (status, output.splitlines(), error.splitlines()[-1]) == (0, plan, "2 changes made.")
    for words in (["--dry-run"], []):
        status, error, output = sceau("apply", path, *words)
        assert (status, output, error.splitlines()[-1]) == (0, "", "The register is as the file says.")


def test_a_difference_is_a_version_with_its_changes_named(sceau, register_file):
    """Another retention and another name: one version, one renamed controller, each change from what to what."""
    sceau("apply", register_file(wanted("changed")))
    renamed = {**CONTROLLER, "legal_name": "Exemple Courriel SAS"}
    changed = wanted("changed", retention="P7D", material=False)
    status, _, output = sceau("apply", register_file(changed, controllers=[renamed]))
    assert status == 0
    assert output.splitlines() == [
        "~ controller exemple: legal_name Exemple SAS → Exemple Courriel SAS",
        "~ processing changed: a new version, not material: retention P30D → P7D",
    ]
    assert sceau("apply", register_file(changed, controllers=[renamed]), "--dry-run")[0] == 0
    sceau("apply", register_file(changed))  # its name of before


def test_a_status_is_set(sceau, register_file, pair):
    """A processing is suspended, and is what the file says."""
    sceau("apply", register_file(wanted("stopped")))
    status, _, output = sceau("apply", register_file(wanted("stopped", status="suspended")))
    assert (status, output) == (0, "~ processing stopped: status active → suspended\n")
    assert pair.service.ok("GET", "/v1/processings/stopped")["status"] == "suspended"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"retention": "P7D"}, "say `material: true`"),
        ({"purpose": "statistics"}, "its purpose never changes"),
        ({"id": "over", "status": "active"}, "it is retired, which is final"),
        ({"id": "over", "retention": "P7D", "material": False}, "it is retired, which is final"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_done(sceau, register_file, more, message):
    """One impossible change keeps the others from being made, too."""
    sceau("apply", register_file(wanted("fixed"), wanted("over", status="retired")))
    status, error, _ = sceau("apply", register_file({**wanted("fixed"), **more}, wanted("never-made")))
    assert status == 1
    assert message in error
    assert error.splitlines()[-1] == "Nothing was changed."
    assert "+ processing never-made" in sceau("apply", register_file(wanted("never-made")), "--dry-run")[2]


@pytest.mark.parametrize("beside", [[], [CONTROLLER]], ids=["in the register", "in the file"])
def test_one_legal_person_is_registered_once(sceau, register_file, beside):
    """A second record of a SIREN is impossible, and nothing is done."""
    sceau("apply", register_file())
    twice = [*beside, {**CONTROLLER, "id": "exemple-bis"}]
    status, error, _ = sceau("apply", register_file(wanted("never-made"), controllers=twice))
    assert (status, error.splitlines()[-1]) == (1, "Nothing was changed.")
    assert "controller exemple-bis: exemple is the same legal person" in error


def test_every_mistake_in_a_file_is_told_at_once(sceau, register_file):
    """Two wrong fields and a wrong SIREN are three lines, before anything is asked of the service."""
    path = register_file(
        wanted("wrong", purpose="none", retention="long"), controllers=[{**CONTROLLER, "identifier": "1"}]
    )
    status, error, _ = sceau("apply", path, url="http://127.0.0.1:9")
    assert (status, len(error.splitlines())) == (1, 3)
    assert "processings.0.purpose" in error


def test_a_name_that_stands_twice_in_a_file_is_refused(sceau, tmp_path):
    """Of two values of one name none is taken, and the line of the second is told; what a merge adds is no second one.

    A value that is not of the type that it says, a name that is a list and lists too deep are told too.
    """
    path = tmp_path / "register.yaml"
    path.write_text("processings:\n  - id: twice\n    status: suspended\n    status: active\n")
    status, error, _ = sceau("apply", path, url="http://127.0.0.1:9")
    assert (status, f"{path}:4: it is no YAML, or a name stands in it twice" in error) == (2, True)
    for odd in (
        "? [1]\n: 2",
        "a: !!timestamp soon",
        "a: !!bool maybe",
        "a: !!int ''",
        "[" * 1_500,
        "a: !!binary \u00e9",
    ):
        path.write_text(odd)
        assert "it is no YAML" in sceau("apply", path, url="http://127.0.0.1:9")[1]
    path.write_text("controllers:\n  - &one {id: a}\n  - {<<: *one, id: b}\n")
    assert "controllers.1.kind" in sceau("apply", path, url="http://127.0.0.1:9")[1]


def test_a_link_is_made_for_an_id_on_standard_input(sceau, register_file, pair):
    """The address alone is on standard output, and the page that it leads to opens."""
    sceau("apply", register_file(wanted("linked")))
    status, error, output = sceau("links", "create", "--processing", "linked", typed="alice@example.fr\n")
    assert (status, error.startswith("It asks until ")) == (0, True)
    path = output.strip().removeprefix(str(pair.settings["SCEAU_PUBLIC_URL"]))
    assert "/consent/" in path
    status, _, output = sceau("links", "create", "--processing", "linked", "--json", typed="alice@example.fr\n")
    assert (status, json.loads(output)["processings"]) == (0, ["linked"])


def test_a_joint_link_takes_the_parents_id_in_a_second_line(sceau, pair):
    """Both addresses are printed; without the second line nothing is asked of the service."""
    pair.service.ok("POST", "/v1/subjects/ages", {**_CHILD, "subject": {"type": "user", "id": "young@example.fr"}})
    words = ("links", "create", "--processing", "linked", "--kind", "joint", "--parent-checked-how", "declaration")
    status, error, output = sceau(*words, typed="young@example.fr\nparent@example.fr\n")
    assert (status, len(output.split())) == (0, 2), error
    status, error, _ = sceau(*words, typed="young@example.fr\n")
    assert (status, "the parent's is the second line" in error) == (2, True)


def test_a_link_to_nothing_says_which_id(sceau):
    """An unknown processing is named."""
    status, error, _ = sceau("links", "create", "--processing", "unknown-one", typed="alice@example.fr")
    assert (status, error) == (1, "404: No processing unknown-one is registered.")


def test_events_are_printed_in_order_and_gone_on_with(sceau, pair, register_file):
    """Lines of JSON, one for each event; the cursor at the end begins after the last one."""
    pair.service.call("POST", "/v1/processings", ADS)
    cursor = sceau("watch", "--once")[1].split()[-1]
    made = pair.service.ok("POST", "/v1/consents", decision("watched"))
    status, error, output = sceau("watch", "--once", "--json", "--after", cursor)
    (event,) = map(json.loads, output.splitlines())
    assert (status, event["type"], event["data"]["consent"]) == (0, "fr.sceau.consent.granted", made["id"])
    _, _, line = sceau("watch", "--once", "--after", cursor)
    assert "consent.granted" in line
    assert made["id"] in line
    assert sceau("watch", "--once", "--after", error.split()[-1])[2] == ""


@pytest.mark.parametrize(
    ("words", "more", "message"),
    [
        (["watch", "--once"], {"key": ""}, "no key: give --key-file, or set SCEAU_KEY"),
        (["watch", "--once"], {"key": "sceau_wrong"}, "401: The key or token is not in force."),
        (["watch", "--once"], {"url": "http://127.0.0.1:9"}, "the service does not answer (ConnectError)"),
        (["watch", "--once"], {"url": "sceau.example.fr"}, "--url or SCEAU_URL is no address"),
        (["watch", "--once"], {"url": "ftp://sceau.example.fr"}, "--url or SCEAU_URL is no address"),
    ],
)
def test_a_refusal_is_one_line(sceau, words, more, message):
    """No key, a wrong one, no service: one line each."""
    status, error, _ = sceau(*words, **more)
    assert status == 1
    assert error.splitlines()[-1].startswith(message)


def test_a_scope_that_is_missing_is_named(sceau, pair):
    """A key without consents:read is told which scope it lacks."""
    key = pair.service.ok("POST", "/v1/keys", {"name": "narrow", "scopes": ["register:read"]})["key"]
    assert "consents:read" in sceau("watch", "--once", key=key)[1]


def test_a_second_person_s_approval_is_waited_for(sceau, register_file, pair):
    """Where two persons are needed, a new processing is proposed, said to wait, and not proposed again.

    The last of this file: from then on two decide on this database, whatever a service says.
    """
    settings = {**pair.settings, "SCEAU_REGISTER_APPROVAL": "two", "SCEAU_JOBS": "false"}
    second = Service(pair.place / "two.log", settings).wait_until_it_listens()
    persons = [{"name": name, "kind": "person", "scopes": SCOPES} for name in ("Ada", "Bob")]
    key, _ = (pair.service.ok("POST", "/v1/keys", each)["key"] for each in persons)
    try:
        url, path = f"http://127.0.0.1:{second.port}", register_file(wanted("proposed"))
        status, error, output = sceau("apply", path, url=url, key=key)
        assert status == 0, error
        assert "… processing proposed: version 1 waits for a second person's approval" in output
        status, error, output = sceau("apply", path, "--dry-run", url=url, key=key)
        assert (status, output) == (0, "… processing proposed: version 1 waits for a second person's approval\n")
        assert error.splitlines()[-1] == "Nothing to do but to approve."
        other = register_file(wanted("proposed", retention="P7D", material=True))
        assert "have it approved or rejected first" in sceau("apply", other, url=url, key=key)[1]
        error = sceau("apply", register_file(wanted("by-a-program")), url=url)[1]
        assert ("POST /v1/processings: 4" in error, "persons" in error) == (True, True)
    finally:
        second.end()
