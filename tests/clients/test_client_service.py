"""The clients against the real service: `sceau serve` in a process of its own, on a database of its own."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from sceau_client import Element, HandleMaker, Parties, Question
from sceau_client.tokens import TokenVerifier
from tests.clients.scenes import about
from tests.faults.service import eventually, free_port
from tests.support import consents
from tests.support.api import BOOTSTRAP, processing

HANDLES = HandleMaker(b"\x07" * 32)
ISSUER = "https://sceau.example.fr"


@pytest.fixture(scope="module")
def service(serving):
    """A service with a filter, and with statistics that want all parties; alice and bob consent to them and to ads."""
    served = serving(SCEAU_PUBLIC_URL=ISSUER)
    served.ok("POST", "/v1/processings", processing("filter", purpose="malware_detection"))
    served.ok("POST", "/v1/processings", processing("stats", purpose="statistics", party_mode="all_parties"))
    for name in ("alice", "bob"):
        grant(served, name, "ads-mail")
        grant(served, name, "stats")
    return served


def grant(service, name, which):
    """Consent to a processing."""
    service.ok("POST", "/v1/consents", consents.grant(name, which))


@pytest.fixture
def asker(asker_for, service):
    """A client of the service."""
    return asker_for(f"http://127.0.0.1:{service.port}", BOOTSTRAP)


def test_a_consent_permits_until_it_ends(asker):
    """A permit says why, by which paragraph, on which consent and until when."""
    decision = asker.evaluate(about("alice"))
    assert decision
    assert (decision.reason, decision.article, decision.local) == ("consent_in_force", "L32-3 IV", False)
    assert decision.valid_until == decision.expires_at > datetime.now(UTC) + timedelta(days=360)
    assert decision.id
    assert decision.consent


@pytest.mark.parametrize(
    ("parties", "reason"),
    [(None, "other_party"), (Parties(), "consent_in_force"), (Parties(outsiders=1), "other_party")],
)
def test_a_processing_that_wants_all_parties_is_told_of_them(asker, parties, reason):
    """Users who are asked together are parties to one another; an outsider's presence is told, not who it is."""
    letter = HANDLES.correspondence("m", parties=parties)
    assert asker.require_all(["alice", "bob"], "stats", letter).reason == reason


@pytest.mark.parametrize("processing", ["ads-mail", "filter"])
def test_a_permit_carries_a_token_that_verifies(asker, service, processing):
    """Where a question asks for one, its permit has a token; whoever knows message and user can verify it."""
    service_url = f"http://127.0.0.1:{service.port}"
    caller = service.ok("GET", "/v1/keys")["items"][0]["id"]
    verifier = TokenVerifier(service_url, caller, issuer=ISSUER)
    question = about("alice", processing, elements=[Element.CONTENT], token=True)
    permit = asker.evaluate(question)
    assert verifier.verify(permit.token, question)
    assert not verifier.verify(permit.token, about("bob", processing, elements=[Element.CONTENT]))
    assert asker.evaluate_many([question, about("carol", processing, token=True)])[0].token
    assert asker.evaluate(about("alice", processing)).token is None


def test_nothing_about_anybody_is_logged(asker_for, service, caplog):
    """Users, messages and keys are in no log line, at the loudest, of the client or of what it uses."""
    caplog.set_level(logging.DEBUG)
    asker = asker_for(f"http://127.0.0.1:{service.port}", BOOTSTRAP, refresh=0.05)
    letter = HANDLES.correspondence("<marked-message@mail>", parties=Parties(["marked-bob"]))
    eventually(lambda: asker.evaluate(Question("marked-alice", "filter", letter)).local)
    asker.require_all(["marked-alice", "marked-bob"], "ads-mail", letter)
    asker.evaluate(Question("marked\x00alice", "ads-mail", letter))
    broken = asker_for(f"http://127.0.0.1:{free_port()}", BOOTSTRAP)
    broken.evaluate(Question("marked-alice", "ads-mail", letter))
    handles = {letter.handle(question.subject) for question in (about("marked-alice"), about("marked-bob"))}
    assert "Sceau cannot be asked: unavailable" in caplog.text
    assert "httpcore2" in {record.name.split(".")[0] for record in caplog.records}
    for secret in ("marked", BOOTSTRAP, *handles):
        assert secret not in caplog.text
