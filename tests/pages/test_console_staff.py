"""The staff and the callers in the console: who is missing, keys made, rotated and revoked, shown once."""

import re

import pytest

from tests.support.api import running
from tests.support.desk import Officer, forms_of
from tests.support.issuer import issuing

COMPLETE = (
    "Le contenu, l’identité des correspondants, l’intitulé et les documents joints sont secrets.\n\n"
    "- code pénal, article 226-13 : un an et 15 000 euros\n- article 226-15 : un an et 45 000 euros\n"
    "- article 432-9, ses deux alinéas : trois ans et 45 000 euros\n\nLe secret dure au-delà de votre contrat."
)


@pytest.fixture
def officer(shared):
    """An officer who keeps the list of the staff, signed in."""
    return Officer(shared, shared.new_key("staff:write"))


@pytest.fixture
def manager(shared):
    """An officer who manages keys, signed in, with one more scope to hand on."""
    return Officer(shared, shared.new_key("keys:manage", "decisions:evaluate", "register:read"))


def test_a_notice_that_leaves_something_out_is_refused(api):
    """A notice without the penalties is refused at its text, which stays; a complete one is in force at once."""
    officer = Officer(api, api.new_key("staff:write"))
    page = officer.open("/console/staff")
    form = {"fr__title": "Secret", "fr__body": "Soyez discrets.", "en__title": "", "en__body": ""}
    refused = officer.press(page, "publish_notice", **form)
    assert refused.status == 422
    assert "The notice leaves out what must be told" in refused.text()
    assert dict(forms_of(refused))["publish_notice"]["fr.body"] == "Soyez discrets."
    page = officer.press(page, "publish_notice", **{**form, "fr__body": COMPLETE})
    assert "The notice is published." in page.text()
    assert "version 2" in page.text("notice")


def test_a_member_without_access(officer):
    """A member is added, is missing, signs on paper, leaves, and has the name erased: each by a form."""
    page = officer.press(
        officer.open("/console/staff"), "publish_notice", fr__title="S", fr__body=COMPLETE, en__title="", en__body=""
    )
    page = officer.press(page, "add_member", name="Zoé Exemple")
    assert "Zoé Exemple never" in page.text("members")
    address = re.search(r'href="(/console/staff/[\w-]+)\?', page.html)
    assert address is not None
    member = officer.open(address[1])
    wrong = officer.press(member, "record_paper", notice="9", language="fr", acknowledged_at="2026-01-15")
    assert wrong.status == 404
    page = officer.press(member, "member_left")
    assert "It is noted that they left." in page.text()
    page = officer.press(page, "erase_member")
    assert "name erased" in page.text()
    assert "Zoé" not in officer.open("/console/staff").html


def test_who_may_only_read_sees_and_changes_nothing(shared):
    """Who reads the audit sees who is missing, and has no form."""
    reader = Officer(shared, shared.new_key("audit:read"))
    page = reader.open("/console/staff")
    assert page.status == 200
    assert dict(forms_of(page)) == {}
    refused = reader.post("/console/acts/add_member", {"proof": page.proof, "about": "", "name": "X"})
    assert refused.status == 403


def test_a_new_key_is_shown_once(shared, manager):
    """A key is made with scopes told in words, shown on the page that answers, and nowhere afterwards."""
    form = manager.open("/console/callers")
    assert "ask whether an analysis is permitted" in form.text()
    assert "erase a person (subjects:erase)" not in form.text()
    sent = {"name": "mail server", "kind": "machine", "scopes.decisions:evaluate": "on"}
    page = manager.press(form, "make_key", **sent)
    assert page.status == 201
    key = re.search(r"sceau_[\w-]{43}", page.text())
    assert key is not None
    assert shared.with_key(key[0]).call("GET", "/v1/processings").status_code == 403  # in force, without that scope
    listed = manager.open("/console/callers")
    assert "mail server" in listed.text()
    assert key[0] not in listed.html


def test_rotate_and_revoke(shared, manager):
    """A rotation shows a new key and keeps the caller; a compromised one ends at once; revoked, it opens nothing."""
    made = shared.ok("POST", "/v1/keys", {"name": "mail", "scopes": ["decisions:evaluate"]})
    page = manager.open(f"/console/callers/{made['id']}")
    shown = manager.press(page, "rotate_key", compromised="on")
    new = re.search(r"sceau_[\w-]{43}", shown.text())
    assert new is not None
    assert shared.with_key(made["key"]).call("GET", "/v1/processings").status_code == 401
    assert shared.with_key(new[0]).call("GET", "/v1/processings").status_code == 403
    page = manager.press(manager.open(f"/console/callers/{made['id']}"), "revoke_caller")
    assert "Revoked." in page.text()
    assert dict(forms_of(page)) == {}
    assert shared.with_key(new[0]).call("GET", "/v1/processings").status_code == 401


def test_rights_are_changed(shared, manager):
    """A change takes and gives rights, and names processings, as the API's route does."""
    made = shared.ok("POST", "/v1/keys", {"name": "mail", "scopes": ["decisions:evaluate", "register:read"]})
    page = manager.open(f"/console/callers/{made['id']}")
    sent = dict(forms_of(page))["change_caller"]
    del sent["scopes.register:read"]
    manager.post("/console/acts/change_caller", {**sent, "processings": "ads-mail\nstats-mail"})
    entry = shared.ok("GET", f"/v1/keys?id={made['id']}")["items"][0]
    assert (entry["scopes"], entry["processings"]) == (["decisions:evaluate"], ["ads-mail", "stats-mail"])


def test_nobody_hands_out_more_than_they_hold(shared, manager):
    """A scope that the officer does not hold is not offered, and a form that names it makes no key."""
    page = manager.open("/console/callers")
    refused = manager.press(page, "make_key", **{"name": "x", "kind": "machine", "scopes.subjects:erase": "on"})
    assert refused.status == 422
    assert "x" not in [each["name"] for each in shared.ok("GET", "/v1/keys")["items"]]
    everything = shared.ok("POST", "/v1/keys", {"name": "all", "scopes": ["subjects:erase", "keys:manage"]})
    refused = manager.press(manager.open(f"/console/callers/{everything['id']}"), "revoke_caller")
    assert refused.status == 403
    assert "Nobody can hand out, or take away, more than they hold" in refused.text()


def test_an_account_is_added(database):
    """Where an issuer is set, an account of it is added with its rights; without one the form is not there."""
    with issuing() as provider, running(database, **provider.settings) as api:
        manager = Officer(api, api.new_key("keys:manage", "audit:read"))
        sent = {"name": "Ada", "kind": "person", "scopes.audit:read": "on"}
        account = {"identity.issuer": provider.url, "identity.subject": "ada"}
        page = manager.press(manager.open("/console/callers"), "add_identity", **sent, **account)
        assert "The account is added." in page.text()
        assert "read the decision log" in page.text()
        assert api.with_key(provider.token("ada")).call("GET", "/v1/job-runs").status_code == 200
    with running(database) as api:
        manager = Officer(api, api.new_key("keys:manage"))
        assert "add_identity" not in dict(forms_of(manager.open("/console/callers")))


@pytest.mark.parametrize(
    ("scopes", "path"), [(["audit:read"], "/console/callers"), (["keys:manage"], "/console/staff")]
)
def test_each_page_needs_its_own_scope(shared, scopes, path):
    """The scope to read the audit does not open the page of keys, and the scope for keys not that of the staff."""
    officer = Officer(shared, shared.new_key(*scopes))
    assert officer.open(path).status == 403
    assert f"{path}?" not in officer.open("/console").html
