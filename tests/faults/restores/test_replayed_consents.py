"""A replay makes no consent from another person's agreement, or from agreement to something else."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.faults.restores.restorable import asked, withdraw
from tests.faults.service import eventually
from tests.support.api import processing, subject
from tests.support.consents import grant, notice_of, proof, written
from tests.support.imports import row

pytestmark = pytest.mark.deep

PARENT = {"parent": subject("a-parent"), "parent_checked_how": "declaration"}
CHILD = {"capacity": {"age_band": "under_15", "given_by": "both", **PARENT}}


def test_a_processing_that_is_registered_again_otherwise_has_no_consent(deployment):
    """A consent is not replayed to a processing whose id was registered again with other facts."""
    with deployment.lost() as service:
        service.ok("POST", "/v1/processings", processing("x-mail", elements=["subject_line"]))
        service.ok("POST", "/v1/consents", {**grant("alice", "x-mail"), **CHILD})
    with deployment.serving() as service:
        service.ok("POST", "/v1/processings", processing("x-mail", notice={"fr": "Autre texte", "en": "Another text"}))
        deployment.replay(service)
        assert asked(service, "alice", "x-mail") is False


def test_a_version_that_is_added_again_otherwise_has_no_consent(deployment):
    """A consent to a second version is not replayed to another second version that was added after the restore."""
    one, other = {"fr": "Deux", "en": "Two"}, {"fr": "Autre chose", "en": "Something else"}
    first = processing("two-mail")
    version = {name: value for name, value in first.items() if name != "id"} | {"material": True}
    deployment.kept("/v1/processings", first)
    with deployment.lost() as service:
        second = service.ok("POST", "/v1/processings/two-mail/versions", {**version, "notice": one})["version"]
        at_once = {"collected_at": second["recorded_at"], "version": 2}
        body = {**grant("mona", "two-mail"), **at_once, "evidence": proof(one, {"notice_version": 2})}
        refusal = {**grant("bob", "two-mail"), "decision": "refused"}
        recorded = service.ok("POST", "/v1/consents/batch", {"items": [body, refusal]})["items"]  # noted together
        assert [each["status"] for each in recorded] == [201, 201], recorded
        eventually(lambda: asked(service, "mona", "two-mail") is True)
    with deployment.serving() as service:
        again = {**version, "notice": other, "data_recipients": ["an ad network"]}
        service.ok("POST", "/v1/processings/two-mail/versions", again)
        deployment.replay(service, "--lost", "The second version was added again.")
        assert asked(service, "mona", "two-mail") is False


@pytest.mark.parametrize("material", [False, True])
def test_a_narrower_grant_to_a_lost_version_revives_no_wider_one(deployment, material):
    """A wider consent does not count again if the person had narrowed it by a grant to a lost version."""
    identifier = "wide-mail" if material else "wide-too-mail"
    first = processing(identifier)
    version = {name: value for name, value in first.items() if name != "id"} | {"material": material}
    with deployment.serving() as service:
        service.ok("POST", "/v1/processings", first)
        service.ok("POST", "/v1/consents", grant("olga", identifier))
        assert asked(service, "olga", identifier) is True
        deployment.back_up()
    with deployment.lost() as service:
        service.ok("POST", f"/v1/processings/{identifier}/versions", version)
        evidence = proof(notice_of(identifier), {"notice_version": 2})
        less = {"elements": ["subject_line"], "version": 2, "collected_at": written(datetime.now(UTC))}
        service.ok("POST", "/v1/consents", {**grant("olga", identifier), **less, "evidence": evidence})
        eventually(lambda: asked(service, "olga", identifier) is False)
    with deployment.serving() as service:
        deployment.replay(service, "--lost", "A version, which was added again.")
        assert asked(service, "olga", identifier) is False
        assert "replayed in part" not in deployment.command("replay-journal", "--dry-run")
        service.ok("POST", "/v1/consents", grant("olga", identifier))
        eventually(lambda: asked(service, "olga", identifier) is True)


def test_a_refusal_that_told_an_age_is_replayed_once_its_processing_is_known(deployment):
    """A replay records only the age of a refusal of an unknown processing, and a second replay records the refusal."""
    paper = processing("paper-mail")
    at = datetime.now(UTC) - timedelta(days=1)
    rows = {"import": "older", "until": written(at), "rows": [row(1, "bob", at=at, processing="paper-mail")]}
    minor = {"capacity": {"age_band": "minor_15_plus", "given_by": "self"}}
    with deployment.lost() as service:
        service.ok("POST", "/v1/processings", paper)
        service.ok("POST", "/v1/imports", rows)
        service.ok("POST", "/v1/consents", {**grant("bob", "paper-mail"), "decision": "refused", **minor})
        assert asked(service, "bob", "paper-mail") is False
    with deployment.serving() as service:
        output = deployment.replay(service)
        assert ("1 replayed in part" in output, "replay the journal once more" in output) == (True, True), output
        service.ok("POST", "/v1/processings", paper)
        service.ok("POST", "/v1/imports", rows)
        assert asked(service, "bob", "paper-mail") is True
        assert "1 replayed\n" in deployment.command("replay-journal")
        assert asked(service, "bob", "paper-mail") is False


def test_an_age_of_a_closed_account_does_not_come_to_the_next_one(deployment):
    """An age stated before an account was closed does not count for the next holder of its address after a replay."""
    aged = processing("aged-mail", age_statement_required=True)
    deployment.kept("/v1/processings", aged, processing("other-mail"))
    with deployment.lost() as service:
        adult = {"capacity": {"age_band": "adult", "given_by": "self"}}
        service.ok("POST", "/v1/consents", {**grant("nina", "other-mail"), "decision": "refused", **adult})
        service.ok("POST", "/v1/subjects/closures", {"subject": subject("nina")})
    with deployment.serving() as service:
        deployment.accept(service)
        service.ok("POST", "/v1/consents", grant("nina", "aged-mail"))
        assert asked(service, "nina", "aged-mail") is False
        deployment.command("replay-journal")
        assert asked(service, "nina", "aged-mail") is False


def test_one_replay_is_enough_where_an_epoch_was_lost(deployment):
    """A replay after which an epoch was lost begins a later one, so that one replay is enough."""
    with deployment.lost() as service:
        lost = service.ok("POST", "/v1/proposals", {"kind": "restore", "lost": "A drill."})["epoch"]
        eventually(lambda: deployment.journal_holds(f'"epoch":{lost}'))
        withdraw(service)
    with deployment.serving() as service:
        assert f"Epoch {lost + 1} has begun" in deployment.replay(service)
        assert asked(service, "alice") is False
