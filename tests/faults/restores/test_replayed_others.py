"""A replay of the journal: to which person a note with an unknown pseudonym belongs, and what is left to do by hand."""

from datetime import UTC, datetime

import pytest

from tests.faults.restores.restorable import ONE, asked, withdraw
from tests.faults.service import eventually
from tests.faults.words import ADS, decision, question, withdrawal
from tests.support.api import processing, subject
from tests.support.consents import notice_of, proof, written
from tests.support.imports import row

pytestmark = pytest.mark.deep

SECOND = {name: value for name, value in ADS.items() if name != "id"} | {"material": True}


def _some(name, *elements):
    """A grant to some elements, which is noted because it may narrow."""
    return {**decision(name), "elements": list(elements)}


def _imported(name):
    """An import of one present consent."""
    at = datetime.now(UTC)
    rows = [row(1, name, at=at, processing="ads-mail", evidence=proof(notice_of("ads-mail")))]
    return {"import": f"older-{name}", "until": written(at), "rows": rows}


def test_nothing_of_a_closed_account_comes_to_the_next_one(deployment):
    """A consent from a lost and closed account is not replayed to the next holder of its address."""
    deployment.kept("/v1/processings", processing("other-mail"))
    with deployment.lost() as service:
        service.ok("POST", "/v1/consents", _some("nina", "content"))
        service.ok("POST", "/v1/subjects/closures", {"subject": subject("nina")})
    with deployment.serving() as service:
        service.ok("POST", "/v1/withdrawals", {"subject": subject("nina"), "processing": "other-mail"})
        deployment.replay(service)
        history = service.ok("POST", "/v1/subjects/exports", {"subject": subject("nina")})
        assert "granted" not in {each["kind"] for each in history["events"]}
        assert asked(service, "nina") is False


def test_a_grant_that_narrows_follows_a_person_to_another_pseudonym(deployment):
    """Omar's grant that is sent again after the restore is narrowed by the replay, as his later grant had done."""
    wide, narrow = decision("omar"), _some("omar", "content")
    with deployment.lost() as service:
        service.ok("POST", "/v1/consents", wide)
        service.ok("POST", "/v1/consents", {**narrow, "collected_at": written(datetime.now(UTC))})
        before = asked(service, "omar")
    with deployment.serving() as service:
        deployment.accept(service)
        again = service.ok("POST", "/v1/consents", wide)["id"]
        assert "1 replayed" in deployment.replay(service)
        assert asked(service, "omar") == before
        assert _ends(service, "omar") == [("replaced", again)]


def test_a_replayed_grant_asks_nobody_to_stop_where_the_consent_goes_on(deployment):
    """A grant that told a minor's age is replayed after a like one: nothing ends, and nobody is told so."""
    young = {**decision("odile"), "capacity": {"age_band": "minor_15_plus"}}
    with deployment.lost() as service:
        service.ok("POST", "/v1/consents", young)
    with deployment.serving() as service:
        deployment.accept(service)
        service.ok("POST", "/v1/consents", decision("odile"))
        assert "1 replayed" in deployment.replay(service)
        assert asked(service, "odile") is True
        assert _ends(service, "odile") == []


def _ends(service, name):
    """Of which of a person's consents receivers were told to stop, each after the kind of event."""
    items = service.ok("POST", "/v1/consents/search", {"subject": subject(name)})["items"]
    found = [each for each in service.ok("GET", "/v1/events?limit=500")["events"] if "effects" in each["data"]]
    ends = [(each["type"].removeprefix("fr.sceau.consent."), each["data"]["consent"]) for each in found]
    return [each for each in ends if each[1] in {item["id"] for item in items}]


def test_an_age_is_replayed_without_a_grant_that_is_not(deployment):
    """A replay records the child's age that Pia stated with a lost consent, so that her consent alone is invalid."""
    parent = {"parent": subject("a-parent"), "parent_checked_how": "declaration"}
    child = {"capacity": {"age_band": "under_15", "given_by": "both", **parent}}
    with deployment.lost() as service:
        service.ok("POST", "/v1/consents", {**decision("pia"), **child})
    with deployment.serving() as service:
        deployment.accept(service)
        service.ok("POST", "/v1/consents", decision("pia"))
        assert "1 replayed" in deployment.replay(service)
        assert asked(service, "pia") is False


def test_a_grant_to_a_version_that_is_missing_keeps_nothing_else_back(deployment):
    """A replay leaves out a grant to a lost version, and replays the withdrawal beside it."""
    with deployment.lost() as service:
        service.ok("POST", "/v1/processings/ads-mail/versions", SECOND)
        body = {**_some("alice", "content"), "version": 2}
        service.ok("POST", "/v1/consents", {**body, "evidence": {**body["evidence"], "notice_version": 2}})
        service.ok("POST", "/v1/withdrawals", withdrawal("bob"))
    with deployment.serving() as service:
        output = deployment.replay(service, "--lost", "A version, which was added again.")
        assert ("1 replayed" in output, "does not know" in output) == (True, True), output
        assert asked(service, "bob") is False


def test_an_erasure_of_an_account_that_was_used_again_ends_consents_and_names_the_account(deployment):
    """A replay ends Carol's earlier consent, and names her pseudonym so that an operator erases her id."""
    deployment.kept("/v1/processings", processing("other-mail"))
    with deployment.lost() as service:
        service.ok("POST", "/v1/subjects/erasures", {"subject": subject("carol")})
    with deployment.serving() as service:
        service.ok("POST", "/v1/withdrawals", {"subject": subject("carol"), "processing": "other-mail"})
        consent = service.ok("POST", "/v1/consents/search", {"subject": subject("carol")})["items"][0]
        for _ in range(2):
            output = deployment.command("replay-journal", status=1)
            assert output.count(f"subject_ref {consent['subject_ref']}") == 2, output
        deployment.command("accept-restore", "--lost", "Carol is erased by hand.")
        eventually(lambda: asked(service, "dora") is True)
        assert asked(service, "carol") is False
        assert "by hand" not in deployment.command("replay-journal", "--dry-run")


@pytest.mark.parametrize(("ended", "replayed"), [("withdrawals", 1), ("subjects/erasures", 2)])
def test_an_import_is_run_again_before_the_replay(deployment, ended, replayed):
    """An import is taken before the replay, which then ends a consent of it that was withdrawn or erased."""
    name = f"rose-{replayed}"
    rows = _imported(name)
    with deployment.lost() as service:
        service.ok("POST", "/v1/imports", rows)
        service.ok("POST", f"/v1/{ended}", {"subject": subject(name)})
    with deployment.serving() as service:
        assert service.call("POST", "/v1/consents", decision("rose")).status_code == 503
        service.ok("POST", "/v1/imports", rows)
        ids = deployment.ids()
        assert f"{replayed} replayed\n" in deployment.command("replay-journal")
        eventually(lambda: asked(service, "dora") is True)
        assert asked(service, name) is False
    assert ids - deployment.ids() == (ended == "subjects/erasures")


@pytest.mark.parametrize("ended", ["withdrawals", "erasures"])
def test_an_import_that_is_run_again_is_narrowed_by_a_second_replay(deployment, ended):
    """A consent imported again after one replay is ended by a second one if it was withdrawn, or refused if erased."""
    name = f"quin-{ended}"
    rows = _imported(name)
    with deployment.lost() as service:
        service.ok("POST", "/v1/imports", rows)
        assert asked(service, name) is True
        body = {"subject": subject(name)}
        service.ok("POST", "/v1/withdrawals" if ended == "withdrawals" else "/v1/subjects/erasures", body)
    with deployment.serving() as service:
        assert "does not know" in deployment.command("replay-journal")
        eventually(lambda: asked(service, "dora") is True)
        assert service.ok("POST", "/v1/imports", rows)["refused"] == (ended == "erasures")
        assert ("replayed" in deployment.command("replay-journal")) == (ended == "withdrawals")
        eventually(lambda: asked(service, name) is False)


@pytest.mark.parametrize("how", ["revoked", "rotated at once", "rotated"])
def test_a_key_that_was_ended_after_the_backup_opens_nothing(deployment, how):
    """A replay ends a key that was revoked or rotated after the backup, and not its caller."""
    (made,) = deployment.kept("/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
    with deployment.lost() as service:
        if how == "revoked":
            service.call("PATCH", f"/v1/keys/{made['id']}", {"revoke_keys": [made["keys"][0]["id"]]})
        else:
            overlap = "PT0S" if how == "rotated at once" else "PT1S"
            service.ok("POST", f"/v1/keys/{made['id']}/rotations", {"overlap": overlap})
        withdraw(service)
    with deployment.serving() as service:
        assert "2 replayed" in deployment.replay(service)
        eventually(lambda: service.call("POST", ONE, question("dora", "filter"), made["key"]).status_code == 401)
        assert "revoked_at" not in service.ok("GET", f"/v1/keys?id={made['id']}")["items"][0]
        assert "replayed" not in deployment.command("replay-journal", "--dry-run")


def test_shared_mailboxes_and_linked_names_are_named_to_be_stated_again(deployment):
    """A replay names a lost mark of a shared mailbox, and a lost link, with their accounts, to be stated again."""
    with deployment.lost() as service:
        service.ok("POST", "/v1/subjects/mailboxes", {"subject": subject("dora"), "shared": True})
        linked = {"from": subject("alice"), "to": subject("zoe"), "basis": "user_proved"}
        service.ok("POST", "/v1/subjects/links", linked)
    output = deployment.command("replay-journal", status=1)
    assert output.count("subject_ref ") == 2
    assert ("a mailbox was said to be shared" in output, "another name was linked" in output) == (True, True)


def test_what_the_database_holds_is_not_done_by_hand(deployment):
    """A version that the database still holds is told as held already, and not as work by hand."""
    with deployment.serving() as service:
        service.ok("POST", "/v1/processings/ads-mail/versions", SECOND)
    output = deployment.command("replay-journal", "--dry-run")
    assert ("held already" in output, "by hand" in output) == (True, False), output
