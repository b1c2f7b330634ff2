"""The register in the console: proposed, approved, suspended, invalidated by form, as by the API's routes."""

import pytest

from tests.support.acts import trail
from tests.support.api import running
from tests.support.console import count
from tests.support.databases import new_database
from tests.support.desk import Officer, forms_of
from tests.support.gate import propose_at_gate
from tests.support.two_persons import SCOPES, add, person, waiting

FORM = {
    "id": "ads-mail",
    "name__fr": "Publicité dans la messagerie",
    "name__en": "Advertising in the mailbox",
    "purpose": "advertising",
    "controller": "Exemple Courriel SAS",
    "provider_kind": "operator",
    "service": "mail",
    "elements__content": "on",
    "automated": "yes",
    "party_mode": "user_only",
    "notice__fr": "Le contenu de vos messages est analysé pour choisir des publicités.",
    "recipients": "Exemple Régie SA ; sous-traitant ; FR",
    "retention": "P30D",
    "consent_validity": "P1Y",
    "data_protection_contact": "dpo@exemple.example",
    "started_on": "2026-01-15",
}


@pytest.fixture(scope="module")
def deployment():
    """A deployment in which two persons decide, both of them, and its database; each test has names of its own."""
    with new_database() as database, running(database, register_approval="two") as api:
        yield api, person(api, "Ada"), person(api, "Bob"), database


@pytest.fixture
def two(deployment):
    """That deployment, and both persons, signed in."""
    api, ada, bob, _ = deployment
    return api, Officer(api, str(ada.key)), Officer(api, str(bob.key))


def proposed(ada, identifier):
    """A processing that Ada has proposed by form: the page that follows."""
    return ada.press(ada.open("/console/propose"), "propose", **{**FORM, "id": identifier})


def approved(two, identifier):
    """A processing that Ada has proposed, and Bob approved: the page that follows."""
    _, ada, bob = two
    proposed(ada, identifier)
    return bob.press(bob.open(f"/console/register/{identifier}"), "approve", reason="Read.")


def waits(api, kind, target=""):
    """The id of the one proposal of a kind about a thing that waits."""
    [proposal] = [each["id"] for each in waiting(api, kind) if each["target"] == target]
    return proposal


def test_two_people_bring_a_processing_into_force(two):
    """One proposes by form and cannot approve it; another approves with a reason: then it is in force."""
    api, ada, bob = two
    page = proposed(ada, "both")
    assert "Proposed: another person has to approve it." in page.text()
    assert "This is your proposal" in page.text("waiting")
    own = ada.press(page, "approve", reason="Read by myself.")
    assert own.status == 403
    assert "Nothing was done. Another person has to approve it: you proposed it" in own.text()
    assert api.reason("alice", "both") == "processing_suspended"
    page = bob.open("/console/register/both")
    assert "New processing to be approved" in page.text("waiting")
    page = bob.press(page, "approve", reason="Read and compared with the contract.")
    assert "Approved." in page.text()
    assert "Read and compared with the contract." in page.text("versions")
    assert "Ada" in page.text("versions")
    assert api.reason("alice", "both") == "no_consent"
    version = api.ok("GET", "/v1/processings/both")["version"]
    assert version["recipients"] == [{"name": "Exemple Régie SA", "role": "sous-traitant", "country": "FR"}]


def test_each_act_is_recorded_as_the_apis_is(two, deployment):
    """What the console does stands in the trail under the same words, by whom, and that it came by a page."""
    approved(two, "recorded")
    entries = [each for each in trail(deployment[-1]) if each["thing_id"] == "recorded"]
    assert [(each["act"], each["way"]) for each in entries] == [
        ("processing.registered", "page"),
        ("processing.proposed", "page"),
        ("processing.approved", "page"),
    ]
    assert entries[0]["caller"] != entries[2]["caller"]


def test_a_form_that_is_not_right_is_shown_again(two):
    """What is wrong is said at each field and above, what was typed stays, and nothing is recorded."""
    api, ada, _ = two
    before = api.ok("GET", "/v1/processings")["items"]
    wrong = {**FORM, "id": "Not An Id", "consent_validity": "P2Y", "retention": "", "name__fr": "Nom gardé"}
    page = ada.press(ada.open("/console/propose"), "propose", **wrong)
    assert page.status == 422
    assert "Nothing was done." in page.text()
    assert page.text().count("This is not the form that is expected.") == 4
    assert page.html.count('aria-invalid="true"') == 3
    assert 'value="Nom gardé"' in page.html
    assert api.ok("GET", "/v1/processings")["items"] == before


def test_a_preview_records_nothing(two, deployment):
    """The preview shows the page as a person sees it, in both languages, and leaves no trace."""
    api, ada, _ = two
    before = trail(deployment[-1]), api.ok("GET", "/v1/processings")
    form = {**FORM, "id": "previewed", "controller": "Aperçu SAS"}  # nobody registered it
    page = ada.press(ada.open("/console/propose"), "propose", **form, press="preview")
    text = page.text("preview")
    assert "Publicité dans la messagerie" in text
    assert "Advertising in the mailbox" in text
    assert "no consent in force would end" in text
    assert dict(forms_of(page))["propose"]["notice.fr"] == FORM["notice__fr"]
    assert (trail(deployment[-1]), api.ok("GET", "/v1/processings")) == before


def test_a_version_says_whom_it_concerns(two, deployment):
    """Before a version is proposed, the console tells what changes, whether it waits, and how many consents end."""
    api, ada, _ = two
    approved(two, "longer")
    for name in ("alice", "bob", "carol"):
        api.decide(name, "longer")
    count(deployment[-1])
    form = ada.open("/console/register/longer/new")
    longer = {"retention": "P60D"}
    page = ada.press(form, "propose_version", **longer, press="preview")
    assert "every consent in force would end, and would have to be asked for anew: 3 when" in page.text("preview")
    assert "30 days 60 days yes" in page.text("preview")
    assert "Another person will have to approve it." in page.text("preview")
    sent = dict(forms_of(page))["propose_version"]
    del sent["material"]
    refused = ada.post("/console/acts/propose_version", sent)
    assert refused.status == 422
    assert "changes other than by narrowing" in refused.text()
    page = ada.press(form, "propose_version", **longer)
    assert "every consent in force would end, and would have to be asked for anew: 3 when" in page.text("waiting")
    assert ada.press(page, "reject", reason="Too long.").text().count("Rejected.") == 1
    assert api.reason("alice", "longer") == "consent_in_force"


def test_suspend_resume_and_retire(shared):
    """Where one person decides, each takes effect at once; a page says what it does before it is pressed."""
    shared.register("on-and-off")
    officer = Officer(shared, shared.new_key("register:read", "register:write"))
    page = officer.press(officer.open("/console/register/on-and-off"), "suspend")
    assert "nothing is analysed any more" in page.text()
    assert shared.reason("alice", "on-and-off") == "processing_suspended"
    page = officer.press(page, "resume")
    assert shared.reason("alice", "on-and-off") == "no_consent"
    page = officer.press(page, "retire")
    assert "suspend" not in dict(forms_of(page))
    assert shared.ok("GET", "/v1/processings/on-and-off")["status"] == "retired"


def test_a_resumption_waits_for_another_person(two):
    """A suspended processing of IV resumes once another person has approved it, on the register's page."""
    api, ada, bob = two
    approved(two, "resumed")
    page = ada.press(ada.press(ada.open("/console/register/resumed"), "suspend"), "resume")
    assert "another person has to approve that it resumes" in page.text()
    assert api.reason("alice", "resumed") == "processing_suspended"
    page = bob.open("/console/register")
    assert "Resumption of a processing: resumed" in page.text("gate")
    page = bob.press(page, "approve_proposal", waits(api, "resumption", "resumed"), reason="The mistake is mended.")
    assert "Approved." in page.text()
    assert api.reason("alice", "resumed") == "no_consent"


def test_a_proposal_of_the_deployment_is_rejected(two):
    """What is about no processing waits on the register's page too, and is taken back by a rejection."""
    api, ada, bob = two
    proposal = propose_at_gate(api, api.with_key(ada.key))
    page = bob.open("/console/register")
    assert "Shorter retention of proof" in page.text("gate")
    assert "Proof of consents: 4 years" in page.text("gate")
    page = bob.press(page, "reject_proposal", proposal, reason="Not yet.")
    assert "nothing changes" in page.text()
    assert "Shorter retention" not in bob.open("/console/register").text()


def test_an_invalidation_is_counted_before_it_is_made(shared):
    """The dry run says how many people's consents would end and changes nothing; then none of them permits."""
    shared.agreed("struck", "alice", "bob")
    officer = Officer(shared, shared.new_key("register:read", "register:write"))
    form = officer.open("/console/register/struck")
    wanted = {"version": "1", "reason": "The notice did not name the recipient."}
    page = officer.press(form, "invalidate", **wanted, press="preview")
    assert "People whose consent would end 2" in page.text("facts")
    assert dict(forms_of(page))["invalidate"]["reason"] == wanted["reason"]
    assert shared.reason("alice", "struck") == "consent_in_force"
    page = officer.press(form, "invalidate", **wanted)
    assert "nothing is permitted on that basis any more" in page.text()
    assert wanted["reason"] in page.text("versions")
    assert shared.reason("alice", "struck") == "consent_invalid"


def test_a_page_is_for_whoever_has_the_scope(shared):
    """Without the scope a page answers 403 in words and is not in the menu; the control has it, and is let in."""
    for scopes, path, status in (
        (["audit:read"], "/console/register", 403),
        (["register:read"], "/console/register", 200),
        (["register:read"], "/console/propose", 403),
        (["register:read", "register:write"], "/console/propose", 200),
        (["register:read"], "/console/register/ads-mail/new", 403),
        (["register:read"], "/console/register/none", 404),
    ):
        officer = Officer(shared, shared.new_key(*scopes))
        page = officer.open(path)
        assert page.status == status, (scopes, path)
        if status == 403:
            assert "You do not have the scope that this needs" in page.text()
        assert ("/console/register?" in officer.open("/console").html) == ("register:read" in scopes)


def test_an_act_needs_its_scope_whatever_the_page_showed(shared, shared_database):
    """A form that a page did not show is refused by the act itself, and the refusal is recorded."""
    reader = Officer(shared, shared.new_key("register:read"))
    page = reader.open("/console/register/ads-mail")
    assert dict(forms_of(page)) == {}
    refused = reader.post("/console/acts/suspend", {"proof": page.proof, "about": "ads-mail"})
    assert refused.status == 403
    entry = trail(shared_database)[-1]
    assert (entry["act"], entry["detail"]["route"]) == ("request.refused", "/console/acts/{name}")
    assert shared.ok("GET", "/v1/processings/ads-mail")["status"] == "active"


def test_a_caller_limited_to_others_changes_nothing(shared):
    """A key for some processings can neither see nor change another, also by a form of its own."""
    shared.register("stats", purpose="statistics")
    officer = Officer(shared, shared.new_key("register:read", "register:write", processings=["stats"]))
    page = officer.open("/console/register/stats")
    refused = officer.post("/console/acts/suspend", {"proof": page.proof, "about": "ads-mail"})
    assert refused.status == 404
    assert shared.ok("GET", "/v1/processings/ads-mail")["status"] == "active"


def test_another_sites_form_does_nothing(shared):
    """A form without this session's value is refused, as one that another site made the browser send."""
    shared.register("theirs")
    officer = Officer(shared, shared.new_key("register:read", "register:write"))
    page = officer.open("/console/register/theirs")
    for broken in ("0" * 64, ""):
        assert officer.press(page, "suspend", proof=broken).status == 400
    sent = dict(forms_of(page))["suspend"]
    assert officer.post("/console/acts/suspend", sent, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert shared.ok("GET", "/v1/processings/theirs")["status"] == "active"
    assert officer.post("/console/acts/suspend", sent).status == 200


def test_versions_stand_side_by_side(shared):
    """Two versions stand beside each other in words; what differs stands out."""
    shared.register("beside")
    add(shared, "beside", retention="P7D")
    officer = Officer(shared, shared.new_key("register:read"), "fr")
    page = officer.open("/console/register/beside")
    text = page.text("versions").replace("\N{NO-BREAK SPACE}", " ")
    assert "30 jours 7 jours" in text
    assert 'class=" differs"' in page.html


def test_an_import_is_approved_as_it_was_looked_at(two):
    """The grants of an import wait on the register's page for another person, who approves what stood there."""
    scopes = (*SCOPES, "consents:import")
    api, _, _ = two
    ada, bob = person(api, "Ada", *scopes), person(api, "Bob", *scopes)
    body = {"import": "crm", "grants_expected": 2, "until": "2026-06-01T00:00:00Z", "rows": []}
    assert ada.call("POST", "/v1/imports", body).status_code == 409  # begun, and its grants wait
    [proposal] = waiting(ada, "import")
    officer, own = Officer(api, str(bob.key)), Officer(api, str(ada.key))
    assert "For you to approve: Import of consents: crm" in officer.open("/console").text("attention")
    page = officer.open("/console/register")
    assert "grants to import: 2" in page.text("gate")
    assert "End of collection: 1 June 2026" in page.text("gate")
    refused = own.press(own.open("/console/register"), "approve_proposal", proposal["id"], reason="Mine.")
    assert refused.status == 403
    assert ada.call("POST", "/v1/imports", {**body, "grants_expected": 3}).status_code == 409
    officer.press(page, "approve_proposal", proposal["id"], reason="Compared.")
    [waiting_one] = [each for each in ada.ok("GET", "/v1/proposals")["items"] if each["id"] == proposal["id"]]
    assert (waiting_one["state"], waiting_one["wanted"]["grants"]) == ("approved", 2)


def test_controllers_by_form(two):
    """A controller is registered with a SIREN that is checked; another address of it waits for a second person."""
    api, ada, bob = two
    page = ada.open("/console/controllers")
    form = {"id": "exemple", "kind": "siren", "legal_name": "Exemple SAS", "country": "FR"}
    wrong = ada.press(page, "add_controller", **form, identifier="123456789")
    assert wrong.status == 422
    assert wrong.html.count('aria-invalid="true"') == 1
    page = ada.press(page, "add_controller", **form, identifier="732829320")
    assert "The controller is registered." in page.text()
    again = ada.press(ada.open("/console/controllers"), "add_controller", **form, identifier="732829320")
    assert (again.status, "That reference or number is taken." in again.text()) == (409, True)
    page = ada.press(page, "rename_controller", "exemple", postal_address="12 rue des Archives, 75004 Paris")
    assert "another person has to approve it" in page.text()
    assert _controller(api, "exemple")["versions"][-1].get("postal_address") is None
    page = bob.open("/console/register")
    assert "Change of a controller: exemple" in page.text("gate")
    assert "address: 12 rue des archives" in page.text("gate").lower()
    bob.press(
        page,
        "approve_proposal",
        waits(api, "controller_version", "exemple"),
        reason="Checked against the company register.",
    )
    assert _controller(api, "exemple")["versions"][-1]["postal_address"] == "12 rue des Archives, 75004 Paris"


def _controller(api, identifier):
    [controller] = [each for each in api.ok("GET", "/v1/controllers")["items"] if each["id"] == identifier]
    return controller
