"""What receivers say they did after a consent ended: stopped, and erased; the console counts the rest."""

import re
from datetime import UTC, datetime
from uuid import uuid4

import psycopg

from tests.faults.service import eventually
from tests.support.api import subject
from tests.support.console import Visitor


def _event(api, kind="withdrawn", number=1, identifier="ads"):
    """That event of a kind about a processing, as the feed tells it."""

    def told():
        # A transaction of another test may hold an event back for a moment (app/events/deliveries.py).
        events = [each for each in api.ok("GET", "/v1/events")["events"] if each["data"]["processing"] == identifier]
        return [each for each in events if each["type"] == f"fr.sceau.consent.{kind}"][number - 1 : number]

    return eventually(told)[0]


def _say(api, event, effect, **more):
    return api.call("POST", "/v1/acknowledgements", {"event": event, "effect": effect, **more})


def _withdrawn(api, identifier="ads"):
    """A withdrawal of a consent to a processing that erases what it derived within a month; its event."""
    api.agreed(identifier, "alice", derived_data_erased_within="P1M")
    api.withdraw("alice", identifier)
    return _event(api, identifier=identifier)


def test_an_end_asks_to_stop_and_to_erase(shared):
    """The event of a withdrawal says both; that of a consent says neither, and its state instead."""
    withdrawn = _withdrawn(shared, "ended")
    assert withdrawn["data"]["effects"] == ["stop", "erase_derived_data"]
    granted = _event(shared, "granted", identifier="ended")["data"]
    assert granted == {"consent": withdrawn["data"]["consent"], "processing": "ended", "state": "in_force"}


def test_a_consent_that_comes_after_its_withdrawal_says_so(shared):
    """Its event is the last of the person's, and its state is no reason to analyse."""
    shared.register("late")
    clicked = datetime.now(UTC).isoformat()
    shared.withdraw("alice", "late")
    shared.decide("alice", "late", collected_at=clicked)
    assert _event(shared, "granted", identifier="late")["data"]["state"] == "withdrawn"


def test_a_closure_tells_of_no_refusal(shared):
    """A refusal permits nothing, so that nothing ends: the answer lists none, and receivers hear of none."""
    shared.register("refusing")
    shared.decide("erin", "refusing", "refused")
    shared.agreed("closing", "erin")
    closed = shared.ok("POST", "/v1/subjects/closures", {"subject": subject("erin")})["closed"]
    assert closed == [_event(shared, "closed", identifier="closing")["data"]["consent"]]
    about = [each["type"] for each in shared.ok("GET", "/v1/events")["events"] if "refusing" in each["data"].values()]
    assert about == ["fr.sceau.consent.refused"]


def test_receivers_say_what_they_did(shared):
    """Each effect is acknowledged by itself; the answer tells what nobody said yet. Saying it again changes nothing."""
    withdrawn = _withdrawn(shared, "said")
    stopped = _say(shared, withdrawn["id"], "stopped")
    assert (stopped.status_code, stopped.json()["outstanding"]) == (201, ["derived_data_erased"])
    for _each in range(2):
        assert _say(shared, withdrawn["id"], "derived_data_erased", count=12).json()["outstanding"] == []


def test_nothing_is_acknowledged_that_ended_no_consent(shared):
    """A consent given, a refusal, and an event that never was are 404; what a refusal replaced is not."""
    _withdrawn(shared, "given")
    shared.decide("bob", "given", "refused")
    for event in (
        _event(shared, "granted", identifier="given")["id"],
        _event(shared, "refused", identifier="given")["id"],
        str(uuid4()),
    ):
        assert _say(shared, event, "stopped").status_code == 404
    shared.decide("carol", "given")
    shared.decide("carol", "given", "refused")
    assert _say(shared, _event(shared, "replaced", identifier="given")["id"], "stopped").status_code == 201


def test_a_caller_acknowledges_for_the_processings_that_it_may_name(shared):
    """For another processing's event it is told that there is none."""
    withdrawn = _withdrawn(shared, "limited")
    shared.register("stats", purpose="statistics")
    other = shared.with_key(shared.new_key("events:acknowledge", processings=["stats"]))
    assert _say(other, withdrawn["id"], "stopped").status_code == 404


def _shown(api):
    """The row of the console's section: not stopped, not erased, overdue; None when nothing waits."""
    text = Visitor(api).sign_in().text("effects")
    matched = re.search(r"Erasure overdue ads (\d+) (\d+) (\d+)$", text)
    assert matched or "No end of a consent waits" in text, text
    return matched and tuple(map(int, matched.groups()))


def test_what_is_overdue_is_counted(api, database):
    """An end is owed at once, and erased by when the register says; once it is erased it is not shown."""
    withdrawn = _withdrawn(api)
    with psycopg.connect(database.owner_url) as owner:
        due = owner.execute("SELECT due_at - occurred_at >= interval '28 days' FROM effect_owed").fetchall()
        assert due == [(True,)]
        owner.execute("UPDATE effect_owed SET due_at = now() - interval '1 day'")
    assert _shown(api) == (1, 1, 1)
    _say(api, withdrawn["id"], "stopped")
    assert _shown(api) == (0, 1, 1)
    _say(api, withdrawn["id"], "derived_data_erased")
    assert _shown(api) is None


def test_an_erased_person_leaves_nothing_to_find(api, database):
    """What is owed names an event, a consent and a processing: no id, and no pseudonym."""
    api.agreed("ads", "alice")
    api.ok("POST", "/v1/subjects/erasures", {"subject": subject("alice")})
    with psycopg.connect(database.owner_url) as owner:
        named = "SELECT column_name FROM information_schema.columns WHERE table_name LIKE 'effect%'"
        columns = owner.execute(named).fetchall()
        assert owner.execute("SELECT count(*) FROM effect_owed").fetchone() == (1,)
    assert not {name for (name,) in columns} & {"subject_ref", "subject", "locator"}
