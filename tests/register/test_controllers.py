import pytest

from tests.support.api import processing, put_controller, refused
from tests.support.two_persons import add

SIREN = "732829320"


def controller(name, **more):
    """A controller to register."""
    return {"id": name, "kind": "other", "legal_name": f"{name} SA", **more}


def known(api, identifier):
    """A controller as the register gives it, or None if there is none."""
    return next((each for each in api.ok("GET", "/v1/controllers")["items"] if each["id"] == identifier), None)


def refusal(answer):
    """Status and the first field at fault, or the kind of problem."""
    status, kind = refused(answer)
    return status, answer.json().get("errors", [{"field": kind}])[0]["field"]


def test_a_controller_is_registered_by_its_siren(pap):
    """A controller is registered with its identifier, name and address; registered again, it does not change."""
    body = controller("by-siren", kind="siren", identifier=SIREN, country="FR", postal_address="1 rue, Paris")
    entry = pap.ok(*put_controller(body))
    assert (entry["kind"], entry["identifier"], entry["legal_name"]) == ("siren", SIREN, "by-siren SA")
    assert entry["versions"][0]["postal_address"] == "1 rue, Paris"
    assert entry in pap.ok("GET", "/v1/controllers")["items"]
    assert pap.ok(*put_controller(body)) == entry
    again, changed = controller("again", kind="siren", identifier=SIREN), {**body, "identifier": "542051180"}
    for taken in (again, changed):
        assert refusal(pap.call(*put_controller(taken))) == (409, "controller-exists")


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("identifier", {"kind": "siren", "identifier": "732829321"}),
        ("identifier", {"kind": "siren"}),
        ("identifier", {"kind": "lei", "identifier": SIREN}),
        ("kind", {"kind": "siret", "identifier": SIREN}),
        ("country", {"country": "France"}),
        ("legal_name", {"legal_name": ""}),
        ("id", {"id": "Not An Id"}),
    ],
)
def test_a_wrong_controller_is_refused(pap, field, more):
    """A controller with a bad identifier, kind or country is a 422 that names the field."""
    assert refusal(pap.call(*put_controller({**controller("wrong"), **more}))) == (422, field)
    assert known(pap, "wrong") is None


@pytest.mark.parametrize(("name", "stated"), [("same", True), ("another", False)])
def test_another_name_is_the_same_controller_where_that_is_stated(pap, name, stated):
    """A new name of a controller of kind `other` supersedes consents, unless it is stated to be one legal person."""
    pap.ok("PUT", f"/v1/controllers/other-{name}", {"kind": "other", "legal_name": "Ancien nom SA"})
    pap.agreed(f"of-{name}", "alice", controller=None, controllers=[f"other-{name}"])
    renamed = {"legal_name": "Nouveau nom SA", "same_legal_person": stated}
    pap.ok("PUT", f"/v1/controllers/other-{name}", renamed)
    assert pap.ok("GET", f"/v1/processings/of-{name}")["controller"] == "Nouveau nom SA"
    assert pap.reason("alice", f"of-{name}") == ("consent_in_force" if stated else "consent_superseded")


def test_a_controller_that_moves_abroad_is_asked_for_anew(pap):
    """A controller with a SIREN that moves to another country supersedes the consents."""
    pap.ok(*put_controller(controller("moved", kind="siren", identifier="542051180", country="FR")))
    pap.agreed("of-moved", "alice", controller=None, controllers=["moved"])
    pap.ok("PUT", "/v1/controllers/moved", {"legal_name": "moved SA", "country": "US"})
    assert pap.reason("alice", "of-moved") == "consent_superseded"


def test_renaming_is_not_another_controller(pap):
    """A new legal name of a controller with a SIREN is shown for its processings, and ends no consent."""
    pap.ok(*put_controller(controller("renamed", kind="siren", identifier="552081317")))
    made = pap.register("of-renamed", controller=None, controllers=["renamed"])
    assert made["controller"] == "renamed SA"
    pap.decide("alice", "of-renamed")
    body = pap.ok("PUT", "/v1/controllers/renamed", {"legal_name": "Nouveau nom SA"})
    assert [each["number"] for each in body["versions"]] == [1, 2]
    assert pap.ok("GET", "/v1/processings/of-renamed")["controller"] == "Nouveau nom SA"
    assert pap.reason("alice", "of-renamed") == "consent_in_force"
    assert pap.call("PUT", "/v1/controllers/nobody", {"legal_name": "x"}).status_code == 404


def test_a_legal_name_stands_for_a_record(pap):
    """A legal name in `controller` makes a record of kind `other` once, and later finds it by its present name."""
    first = pap.register("by-name", controller="Par nom SA")
    (identifier,) = first["controllers"]
    assert pap.register("by-name-too", controller="Par nom SA")["controllers"] == [identifier]
    made = known(pap, identifier)
    assert (made["kind"], made["legal_name"], "identifier" in made) == ("other", "Par nom SA", False)
    pap.ok("PUT", f"/v1/controllers/{identifier}", {"legal_name": "Par autre nom SA"})
    for name in ("Par autre nom SA", "Par nom SA"):
        assert add(pap, "by-name", controller=name).json()["controllers"] == [identifier]


def test_another_set_of_controllers_is_material(pap):
    """A version with another or one more controller must be called material, and supersedes earlier consents."""
    for name in ("joint-a", "joint-b"):
        pap.ok(*put_controller(controller(name)))
    pap.agreed("joint", "alice", controller="Exemple SAS")
    assert refusal(add(pap, "joint", controller="Autre SA")) == (422, "controllers")
    both = {"controller": None, "controllers": ["joint-b", "joint-a"]}
    assert refusal(add(pap, "joint", **both)) == (422, "controllers")
    body = add(pap, "joint", **both, material=True).json()
    assert (body["controller"], body["controllers"]) == ("joint-b SA", ["joint-b", "joint-a"])
    assert pap.reason("alice", "joint") == "consent_superseded"
    assert add(pap, "joint", controller=None, controllers=["joint-a", "joint-b"]).status_code == 201


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("controller", {"controllers": ["by-both"]}),
        ("controller", {"controller": None}),
        ("controllers", {"controller": None, "controllers": []}),
        ("controllers", {"controller": None, "controllers": ["nobody"]}),
        ("controllers", {"controller": None, "controllers": ["nobody", "nobody"]}),
    ],
)
def test_controllers_are_named_in_one_way(pap, field, more):
    """A processing names either ids of controllers or one legal name, and an unknown id is refused."""
    assert refusal(pap.call("POST", "/v1/processings", processing("ambiguous", **more))) == (422, field)
    assert pap.call("GET", "/v1/processings/ambiguous").status_code == 404


def test_a_caller_of_some_processings_changes_no_controller(pap):
    """A caller limited to some processings may name controllers and may not change them."""
    limited = pap.with_key(pap.new_key("register:write", "register:read", processings=["mine-alone"]))
    assert limited.call(*put_controller(controller("theirs"))).status_code == 403
    assert limited.register("mine-alone")["controller"] == "Exemple SAS"
