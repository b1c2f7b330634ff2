"""An application for a whole file of tests of the AuthZEN specification."""

import pytest

from tests.authzen.searching import MANY
from tests.support.api import running, subject
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def shared():
    """An application on the database's own clock, shared by the tests of a file."""
    with new_database() as database, running(database) as called:
        yield called


@pytest.fixture(scope="module")
def searched(shared):
    """Processings of each kind; twelve users consented to one of them, and others did what permits nothing."""
    shared.register("ads")
    shared.register("training", purpose="service_improvement", party_mode="all_local_users")
    shared.register("spam", purpose="unsolicited_content_detection")
    shared.register("archive", purpose="other")
    shared.register("rested", purpose="statistics")
    for name in MANY:
        shared.decide(name, "ads")
    shared.decide("Élodie@Exemple.fr", "ads", elements=["subject_line"])
    for name in ("refuser", "withdrawn", "closed", "erased", "invalid"):
        shared.decide(name, "ads", evidence={"conditional": True} if name == "invalid" else {})
    shared.decide("refuser", "ads", "refused")
    shared.withdraw("withdrawn", "ads")
    shared.ok("POST", "/v1/subjects/closures", {"subject": subject("closed")})
    shared.ok("POST", "/v1/subjects/erasures", {"subject": subject("erased")})
    shared.decide("user-03", "ads")  # renewed: one consent more, and one user still
    for name in ("user-00", "user-01"):
        shared.decide(name, "training")
        shared.decide(name, "rested")
    shared.ok("PATCH", "/v1/processings/rested", {"status": "suspended"})
    return shared
