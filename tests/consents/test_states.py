from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.api import question, subject, utc
from tests.support.properties import examples
from tests.support.two_persons import add

START = utc("2026-01-10T09:00:00Z")
STATE_OF = {
    "consent_in_force": "in_force",
    "consent_expired": "expired",
    "consent_superseded": "superseded",
    "consent_invalid": "invalid",
    "consent_refused": "refused",
}
"""The state in which a list shows the consent that a decision with this reason rests on."""
_numbers = count(1)


class User:
    """One new user of one new processing, and what may happen to both."""

    def __init__(self, api, clock):
        """Register the processing a week before the start."""
        self.api, self.clock = api, clock
        number = next(_numbers)
        self.name, self.processing = f"user{number}", f"ads{number}"
        self.closed_at = None
        clock.at = START - timedelta(days=7)  # the clock may be set back, not to before the text existed
        api.register(self.processing)
        self.changed_at = clock.at
        clock.at = START

    def grant(self, **more):
        """Consent, as the present holder of the id."""
        self._after_its_closure()
        self.api.decide(self.name, self.processing, **more)

    def _after_its_closure(self):
        """Move the clock past the last closure of the id, since an earlier grant would be refused."""
        if self.closed_at is not None and self.clock.at <= self.closed_at:
            self.clock.at = self.closed_at + timedelta(milliseconds=1)

    def grant_unlawfully(self):
        """Consent by a box that was ticked already."""
        self._after_its_closure()
        self.api.decide(self.name, self.processing, evidence={"default_state": "selected"})

    def grant_ahead(self):
        """Consent to the newest version, in force or not."""
        self._after_its_closure()
        self.clock.at = max(self.clock.at, self.changed_at)  # no text is shown before it exists
        versions = self.api.ok("GET", f"/v1/processings/{self.processing}")["versions"]
        self.api.decide(self.name, self.processing, version=versions)

    def import_grant(self):
        """Find an older paper consent."""
        stated = self.clock.at - timedelta(days=40)
        if self.closed_at is None or stated > self.closed_at:  # else it is the consent of the id's earlier holder
            self.api.decide(self.name, self.processing, collected_at=stated.isoformat())

    def refuse(self):
        """Refuse."""
        self.api.decide(self.name, self.processing, "refused")

    def withdraw(self):
        """Withdraw."""
        self.api.withdraw(self.name, self.processing)

    def withdraw_from_all(self):
        """Withdraw from every processing."""
        self.api.withdraw(self.name)

    def import_withdrawal(self):
        """Find an older letter of withdrawal."""
        received = self.clock.at - timedelta(days=20)
        if self.closed_at is None or received > self.closed_at:
            self.api.withdraw(self.name, self.processing, received_at=received.isoformat())

    def close(self):
        """Close the account."""
        closed = self.api.ok("POST", "/v1/subjects/closures", {"subject": subject(self.name)})
        self.closed_at = max(self.closed_at or utc(closed["effective_at"]), utc(closed["effective_at"]))

    def change(self):
        """Change the processing at once."""
        self._add()

    def schedule_a_change(self):
        """Change the processing in two months."""
        later = (self.clock.at + timedelta(days=60)).isoformat()
        self._add(effective_from=later)

    def _add(self, **more):
        """Add a version; it is refused while one is scheduled."""
        if add(self.api, self.processing, material=True, **more).status_code == 201:
            self.changed_at = self.clock.at

    def wait_a_month(self):
        """Wait thirty days."""
        self.clock.at += timedelta(days=30)

    def wait_a_year(self):
        """Wait a year."""
        self.clock.at += timedelta(days=365)

    def set_the_clock_back(self):
        """Set the clock back."""
        self.clock.at -= timedelta(hours=1)

    def listed(self, **more):
        """What a search of the user's consents lists."""
        query = {"subject": subject(self.name), "processing": self.processing, **more}
        return self.api.ok("POST", "/v1/consents/search", query)["items"]


HAPPENINGS = [
    User.grant,
    User.grant_unlawfully,
    User.grant_ahead,
    User.import_grant,
    User.refuse,
    User.withdraw,
    User.withdraw_from_all,
    User.import_withdrawal,
    User.close,
    User.change,
    User.schedule_a_change,
    User.wait_a_month,
    User.wait_a_year,
    User.set_the_clock_back,
]


def _agree(user):
    decision = user.api.evaluate(user.name, user.processing)
    listed = user.listed()
    state_of = {item["id"]: item["state"] for item in listed}
    context = decision["context"]
    in_force = {identifier for identifier, state in state_of.items() if state == "in_force"}
    assert in_force == ({context["consent"]} if decision["decision"] else set())
    if context["reason"] in STATE_OF:
        assert state_of[context["consent"]] == STATE_OF[context["reason"]]
    else:
        assert context["reason"] in {"no_consent", "consent_withdrawn"}
        assert set(state_of.values()) <= {"withdrawn", "closed", "replaced", "pending"}
    for state in ("in_force", "expired", "withdrawn", "pending"):
        assert {item["id"] for item in user.listed(state=state)} == {
            identifier for identifier, each in state_of.items() if each == state
        }
    for item in listed:
        assert user.api.ok("GET", f"/v1/consents/{item['id']}") == item
    explained = user.api.ok("POST", "/v1/explanations", question(user.name, user.processing))
    assert (explained["decision"], explained["context"]["reason"]) == (decision["decision"], context["reason"])


@settings(deadline=None, max_examples=examples(6, deep=60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(happenings=[User.grant, User.wait_a_month, User.change, User.set_the_clock_back])
@example(happenings=[User.change, User.set_the_clock_back, User.grant_ahead])
@example(happenings=[User.grant, User.withdraw, User.set_the_clock_back, User.grant])
@given(happenings=st.lists(st.sampled_from(HAPPENINGS), min_size=1, max_size=8))
def test_every_list_agrees_with_the_decision(moving, shared_clock, happenings):
    """At any instant of any history a list, each filter, each consent and an explanation agree with the decision."""
    user = User(moving, shared_clock)
    for happen in happenings:
        happen(user)
        _agree(user)
