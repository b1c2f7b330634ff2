"""Imports from an older system: each row once, at its own date and with its proof, without which it never permits."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.faults.service import eventually
from tests.support.api import refused, running, subject
from tests.support.consents import SIGNED, grant, hash_of, notice_of, own_form, proof, written
from tests.support.databases import administrator_url, new_database
from tests.support.imports import LONG_AGO, UNTIL, imported, row
from tests.support.people import people
from tests.support.two_persons import answer, person, rule, waiting

WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def results(answer):
    """The result of each row."""
    return [each["result"] for each in answer["rows"]]


@pytest.fixture(scope="module")
def registered(shared):
    """A service with two processings; each test uses names of its own."""
    shared.register("ads")
    shared.register("beside", purpose="statistics")
    return shared


@pytest.fixture
def alone(api):
    """A service with a processing, for a test that looks at everything that it has."""
    api.register("ads")
    return api


def _kinds(api, number):
    """The kinds of the first events, once there are so many."""
    events = eventually(lambda: listed if len(listed := api.ok("GET", "/v1/events")["events"]) >= number else None)
    return [each["type"] for each in events]


def _counts(api):
    return sum(1 for _ in api.ok("POST", "/v1/consents/search", {"page": {"limit": 500}})["items"])


def test_rows_keep_their_dates_and_permit_what_they_prove(alone):
    """Imported grants, withdrawals and refusals count from their own dates; of these no event tells but an end."""
    answer = imported(
        alone,
        row(1, "alice"),
        row(2, "bob"),
        row(3, "bob", "withdrawn", at=LONG_AGO + timedelta(days=1)),
        row(4, "carol", "refused"),
    )
    assert results(answer) == ["recorded"] * 4
    assert (answer["recorded"], answer["rows"][0]["proof"], answer["rows"][0]["state"]) == (4, "stated", "in_force")
    reasons = [alone.reason(name, "ads") for name in ("alice", "bob", "carol")]
    assert reasons == ["consent_in_force", "consent_withdrawn", "consent_refused"]
    consent = alone.ok("GET", f"/v1/consents/{answer['rows'][0]['id']}")
    assert datetime.fromisoformat(consent["collected_at"]) == LONG_AGO
    alone.decide("dave", "ads")
    assert _kinds(alone, 1) == ["fr.sceau.consent.granted"]
    imported(alone, *(row(5, name, "withdrawn", at=datetime.now(UTC)) for name in ("alice", "bob", "dave")))
    assert _kinds(alone, 3) == [f"fr.sceau.consent.{kind}" for kind in ("granted", "withdrawn", "withdrawn")]


def test_receivers_are_told_when_that_is_asked_for(alone):
    """With `notify`, each imported decision is an event."""
    imported(alone, row(1, "alice"), row(2, "alice", "withdrawn", at=datetime.now(UTC)), notify=True)
    assert _kinds(alone, 2) == ["fr.sceau.consent.granted", "fr.sceau.consent.withdrawn"]


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        {},
        {"method": "paper", "positive_act": "signed"},
        {name: value for name, value in proof(notice_of("ads"), SIGNED).items() if name != "presented_text_sha256"},
        {name: value for name, value in proof(notice_of("ads"), SIGNED).items() if name != "document_sha256"},
        proof(notice_of("ads")),
    ],
)
def test_a_grant_without_whole_proof_is_unknown_and_never_permits(registered, evidence, alice):
    """An imported grant with no proof, part of one, or a page older than the register is recorded as invalid."""
    more = {"evidence": evidence} if evidence is not None else {}
    members = {name: value for name, value in row(1, alice).items() if name != "evidence"}
    answer = imported(registered, {**members, **more})
    assert (answer["rows"][0]["proof"], answer["rows"][0]["state"]) == ("unknown", "invalid")
    assert registered.reason(alice, "ads") == "consent_invalid"


def test_a_row_is_recorded_once(registered):
    """Rows that are imported again under one name are unchanged, and a row that has changed is refused."""
    before = _counts(registered)
    rows = [row(number, name) for number, name in enumerate(people(*"abcde"))]
    assert results(imported(registered, *rows, rows[0])) == [*["recorded"] * 5, "unchanged"]
    assert results(imported(registered, *rows)) == ["unchanged"] * 5
    changed = imported(registered, {**rows[0], "decision": "refused"})
    assert changed["rows"][0]["problem"]["type"] == "urn:sceau:problem:import-row-changed"
    assert results(imported(registered, *rows, name="other")) == ["recorded"] * 5
    assert _counts(registered) == before + 10


def test_a_dry_run_says_what_the_real_one_does_and_leaves_nothing(alone):
    """A dry run gives the results of the real run row by row, and records nothing."""
    rows = [
        row(1, "alice"),
        row(2, "alice", "withdrawn", at=LONG_AGO + timedelta(days=1)),
        row(3, "bob", processing="nowhere"),
        row(4, "carol", at=datetime.now(UTC) + timedelta(days=1)),
        row(5, "dave", decision="perhaps"),
        row(6, "erin", version=7),
        row(7, "frank", evidence=proof(notice_of("ads"), {**SIGNED, "language": "de"})),
        {"subject": subject("nobody")},
        row(1, "alice"),
        row(7, "frank"),
    ]
    dry = imported(alone, *rows, dry_run=True)
    assert alone.ok("GET", "/v1/imports")["items"] == []
    assert (_counts(alone), alone.reason("alice", "ads")) == (0, "no_consent")
    real = imported(alone, *rows)
    assert results(dry) == ["recorded", "recorded", *["refused"] * 6, "unchanged", "refused"]
    for before, after in zip(dry["rows"], real["rows"], strict=True):
        assert before == {name: value for name, value in after.items() if name != "id"}


def test_what_is_refused_leaves_nobody_behind(registered, alice, bob):
    """A refused row makes no account, and the other rows of its request are recorded."""
    answer = imported(registered, row(1, alice, processing="nowhere"), row(2, bob))
    assert results(answer) == ["refused", "recorded"]
    assert registered.withdraw(alice)["matched"] is False


def test_people_with_several_names_are_looked_at_whole(registered, alice, ali):
    """An imported withdrawal under one name ends what was consented to under the other."""
    registered.link_names(alice, ali)
    imported(registered, row(1, alice))
    assert registered.reason(alice, "ads") == "consent_in_force"
    imported(registered, row(2, ali, "withdrawn", at=LONG_AGO + timedelta(days=2)))
    assert registered.reason(alice, "ads") == "consent_withdrawn"


def test_a_closed_account_takes_nothing_from_before(registered, alice):
    """An imported grant from before the account's closure is refused."""
    registered.decide(alice, "ads")
    registered.ok("POST", "/v1/subjects/closures", {"subject": subject(alice)})
    answer = imported(registered, row(1, alice))
    assert answer["rows"][0]["problem"]["errors"][0]["field"] == "collected_at"


def test_an_import_needs_its_scope_and_its_processings(registered, alice, bob):
    """An import without `consents:import` is a 403; a row about a processing out of the caller's reach is refused."""
    plain = registered.with_key(registered.new_key("consents:write"))
    assert plain.call("POST", "/v1/imports", {"import": "crm", "rows": [row(1, alice)]}).status_code == 403
    registered.register("stats", purpose="statistics")
    bounded = registered.with_key(registered.new_key("consents:import", processings=["stats"]))
    answer = imported(bounded, row(1, alice), row(2, bob, processing="stats"), name="bounded")
    assert results(answer) == ["refused", "recorded"]
    assert answer["rows"][0]["problem"]["status"] == 403


TWO = ("consents:import", "register:read", "register:write", "register:approve")


def test_grants_wait_for_a_second_person():
    """With two persons required, imported grants wait for the second one's approval; refusals do not wait."""
    with new_database() as database, running(database, register_approval="two") as api:
        bob, ada = (person(api, name, *TWO, "audit:read") for name in ("Bob", "Ada"))
        ada.register("ads")
        rule(bob, "ads", 1)
        few = [row(number, f"user{number}") for number in range(2)]
        program = api.call("POST", "/v1/imports", {"import": "mine", "rows": few, "until": UNTIL})
        assert refused(program) == (403, "persons-only")
        alone = ada.call("POST", "/v1/imports", {"import": "crm", "rows": few, "grants_expected": 2, "until": UNTIL})
        assert refused(alone) == (409, "import-not-approved")
        assert imported(ada, row(9, "zoe", "refused"), name="crm")["recorded"] == 1
        [proposal] = waiting(ada, "import")
        assert (proposal["target"], proposal["wanted"]["grants"]) == ("crm", 2)
        assert answer(ada, proposal["id"]).status_code == 403
        assert answer(bob, proposal["id"]).status_code == 201
        assert bob.call("POST", "/v1/imports", {"import": "crm", "rows": few}).status_code == 409  # it is Ada's
        assert imported(ada, *few, name="crm", grants_expected=2)["recorded"] == 2
        more = {"import": "crm", "rows": [row(3, "yves")], "grants_expected": 3}
        for _ in range(2):
            assert refused(ada.call("POST", "/v1/imports", more)) == (409, "import-not-approved")
        [proposal] = waiting(ada, "import")
        answer(bob, proposal["id"], approved=False)
        assert ada.call("POST", "/v1/imports", more).status_code == 409
        listed = {each["name"]: each for each in ada.ok("GET", "/v1/imports")["items"]}
        assert (listed["crm"]["grants"], listed["crm"]["rows"]) == (2, 3)


def test_what_is_proposed_is_enough_for_the_rows_that_were_sent():
    """An import that states no number of grants proposes as many as it sends, and records them once approved."""
    with new_database() as database, running(database, register_approval="two") as api:
        ada, bob = person(api, "Ada", *TWO), person(api, "Bob", *TWO)
        ada.register("ads")
        rule(bob, "ads", 1)
        rows = {"import": "crm", "until": UNTIL, "rows": [row(number, f"user{number}") for number in range(2)]}
        assert ada.call("POST", "/v1/imports", rows).status_code == 409
        [proposal] = waiting(ada, "import")
        assert proposal["wanted"]["grants"] == 2
        answer(bob, proposal["id"])
        assert ada.ok("POST", "/v1/imports", rows)["recorded"] == 2


def test_a_dry_run_asks_for_no_approval_and_begins_nothing():
    """A dry run with any number of grants needs no approval and leaves no import behind."""
    with new_database() as database, running(database, register_approval="two") as api:
        imported(api, row(1, "alice"), dry_run=True, grants_expected=5_000)
        assert api.ok("GET", "/v1/imports")["items"] == []


def test_a_grant_of_after_the_older_system_decided_is_unknown(registered):
    """A grant of after the import's `until` is recorded as unknown, and `until` can be neither changed nor left out."""
    late, early, more = people("late", "early", "more")
    after = row(2, late, at=datetime.now(UTC) - timedelta(hours=1))
    answer = imported(registered, row(1, early), after)
    assert [each["proof"] for each in answer["rows"]] == ["stated", "unknown"]
    assert [registered.reason(name, "ads") for name in (early, late)] == ["consent_in_force", "consent_invalid"]
    body = {"import": "crm", "rows": [row(3, more)]}
    for until in (written(datetime.now(UTC) - timedelta(hours=2)), written(datetime.now(UTC) + timedelta(days=1))):
        other = registered.call("POST", "/v1/imports", {**body, "until": until})
        assert (other.status_code, other.json()["type"]) == (422, "urn:sceau:problem:import-until")
    unnamed = registered.ok("POST", "/v1/imports", {**body, "import": "unnamed"})
    assert unnamed["rows"][0]["problem"]["type"] == "urn:sceau:problem:import-until"


def test_a_grant_does_not_outrank_a_no_that_was_recorded_here(registered):
    """An imported grant does not permit after a no recorded here, whether it is dated before or after that no."""
    alice, bob, carol = people("alice", "bob", "carol")
    registered.withdraw(alice, "ads")
    registered.decide(bob, "ads", "refused")
    claimed = datetime.now(UTC)
    rows = [row(1, alice, at=claimed), row(2, bob), row(3, carol, at=claimed)]
    answer = imported(registered, *rows, name="claimed", until=written(claimed))
    assert [each["proof"] for each in answer["rows"]] == ["unknown", "stated", "stated"]
    reasons = [registered.reason(name, "ads") for name in (alice, bob, carol)]
    assert reasons == ["consent_invalid", "consent_refused", "consent_in_force"]


BESIDE = {
    "a no recorded here": (lambda api, name: api.decide(name, "ads", "refused"), "unknown"),
    "a grant recorded here": (lambda api, name: api.decide(name, "ads"), "stated"),
    "a no to another processing": (lambda api, name: api.decide(name, "beside", "refused"), "stated"),
    "an imported no of before": (lambda api, name: imported(api, row(1, name, "refused"), name="noes"), "stated"),
}


@pytest.mark.parametrize("beside", BESIDE)
def test_only_a_no_recorded_here_makes_a_later_grant_unknown(registered, alice, beside):
    """An imported grant that is dated after a no recorded here is unknown; after anything else it counts as proved."""
    record, expected = BESIDE[beside]
    record(registered, alice)
    now = datetime.now(UTC)
    answer = imported(registered, row(2, alice, at=now), name=beside.replace(" ", "-"), until=written(now))
    assert [each["proof"] for each in answer["rows"]] == [expected]


def test_a_grant_of_the_instant_of_a_no_is_unknown(registered, alice):
    """An imported grant of the very instant of a no, which may be imported too, is unknown: the no stands."""
    answer = imported(registered, row(1, alice, "refused"), row(2, alice), name="same-instant")
    assert (answer["rows"][1]["proof"], registered.reason(alice, "ads")) == ("unknown", "consent_invalid")


@pytest.mark.parametrize("given_by", ["both", "holder_of_parental_responsibility"])
@pytest.mark.parametrize("left_out", [None, "parent", "parent_checked_how"])
def test_a_parents_grant_is_proved_by_who_they_are_and_how_that_was_checked(registered, alice, given_by, left_out):
    """An imported grant by a parent that does not say who they are, and how that was checked, is unknown."""
    parent = {"parent": subject("dad"), "parent_checked_how": "identity_document"}
    capacity = {"age_band": "under_15", "given_by": given_by}
    capacity |= {name: value for name, value in parent.items() if name != left_out}
    answer = imported(registered, row(1, alice, capacity=capacity))
    assert answer["rows"][0]["proof"] == ("stated" if left_out is None else "unknown")


def test_a_no_of_minutes_ago_keeps_its_date(registered, alice):
    """An imported withdrawal from before a consent that was recorded just now leaves that consent in force."""
    now = datetime.now(UTC)
    registered.decide(alice, "ads")
    recent = row(1, alice, "withdrawn", at=now - timedelta(minutes=1))
    assert results(imported(registered, recent, name="minutes", until=written(now))) == ["recorded"]
    assert registered.reason(alice, "ads") == "consent_in_force"


@pytest.mark.parametrize("no", ["withdrawn", "refused"])
def test_a_no_counts_though_a_link_closed_the_account_of_its_name(registered, alice, ali, no):
    """An imported no from before a name was stated to be another's too counts for that person, and a grant does not."""
    registered.decide(ali, "ads")
    registered.decide(alice, "ads")
    registered.link_names(ali, alice)
    assert results(imported(registered, row(1, ali, no), row(2, ali))) == ["recorded", "refused"]


def test_an_import_does_not_revive_an_erased_person(registered, alice):
    """Imported rows dated up to an erasure are refused, even after the person has consented anew."""
    registered.decide(alice, "ads")
    registered.ok("POST", "/v1/subjects/erasures", {"subject": subject(alice)})
    today = datetime.now(UTC) - timedelta(seconds=1)
    rows = [row(1, alice), row(2, alice, "withdrawn"), row(3, alice, at=today)]
    answer = imported(registered, *rows, name="erased", until=written(today))
    assert results(answer) == ["refused"] * 3
    assert registered.reason(alice, "ads") == "no_consent"
    registered.decide(alice, "ads")
    assert registered.reason(alice, "ads") == "consent_in_force"
    assert results(imported(registered, row(4, alice), name="again")) == ["refused"]


def test_several_people_may_have_signed_one_form(registered):
    """A second person's row with one signed form is refused, unless it says that the form is a joint one."""
    ann, ben = people("ann", "ben")
    form = {"document_sha256": "ab" * 32}
    signed: dict[str, Any] = {"evidence": {**own_form(proof(notice_of("ads"), SIGNED), "x"), **form}}
    answer = imported(registered, row(1, ann, **signed), row(2, ben, **signed))
    assert results(answer) == ["recorded", "refused"]
    joint = imported(registered, row(3, ben, **signed, joint_form=True), name="joint")
    assert results(joint) == ["recorded"]


@pytest.mark.parametrize("way", ["single", "batch", "import"])
def test_a_form_that_another_transaction_claims_meanwhile_stands_for_one_person(registered, shared_database, way):
    """A grant that waits for another transaction's claim on its form is refused, and others beside it are recorded."""
    form = hash_of(f"One form by {way}")
    url = administrator_url(shared_database.name)
    with (
        psycopg.connect(url) as claiming,
        psycopg.connect(url, autocommit=True) as watching,
        ThreadPoolExecutor(1) as pool,
    ):
        claiming.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [form])
        claiming.execute("INSERT INTO document VALUES (%s, %s)", [bytes.fromhex(form), bytes(32)])
        sent = pool.submit(_signed, registered, way, form)
        eventually(lambda: watching.execute(WAITING).fetchone())
        claiming.commit()
        answer = sent.result()
    problem = "urn:sceau:problem:invalid-evidence"
    assert answer == {"single": [problem], "batch": [problem, None], "import": [problem, None]}[way]


def _signed(api, way, form):
    """Send a grant by that form and one by another form; the problem of each, or None if it was recorded."""
    bodies = [
        grant(name, "ads", evidence=own_form(proof(notice_of("ads"), SIGNED), name)) for name in people("ann", "ben")
    ]
    bodies[0]["evidence"]["document_sha256"] = form
    if way == "single":
        return [api.call("POST", "/v1/consents", bodies[0]).json().get("type")]
    if way == "batch":
        answered = api.ok("POST", "/v1/consents/batch", {"items": bodies})["items"]
    else:
        rows = [row(number, body["subject"]["id"], evidence=body["evidence"]) for number, body in enumerate(bodies)]
        answered = imported(api, *rows)["rows"]
    return [each.get("problem", {}).get("type") for each in answered]


def test_an_erasure_takes_the_rows_with_it(database):
    """After an erasure a guess of a row tells nothing, and its number is free; control: before, neither holds."""
    with running(database) as api:
        api.register("ads")
        at = datetime.now(UTC) - timedelta(days=100)
        sent = {"import": "crm", "until": written(datetime.now(UTC))}
        guesses = [row(1, "alice", each, at=at, source_id="4711") for each in ("withdrawn", "refused")]
        other = row(1, "bob", "withdrawn", at=at, source_id="4711")

        def judged(each):
            return api.ok("POST", "/v1/imports", {**sent, "dry_run": True, "rows": [each]})["rows"][0]

        assert api.ok("POST", "/v1/imports", {**sent, "rows": guesses[:1]})["recorded"] == 1
        assert [judged(each)["result"] for each in (*guesses, other)] == ["unchanged", "refused", "refused"]
        api.ok("POST", "/v1/subjects/erasures", {"subject": subject("alice")})
        results = [(each["result"], each["problem"]["detail"]) for each in map(judged, guesses)]
        assert results[0] == results[1]
        assert results[0][0] == "refused"
        assert api.ok("POST", "/v1/imports", {**sent, "rows": [other]})["recorded"] == 1
