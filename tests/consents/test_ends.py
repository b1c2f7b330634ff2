"""Receivers are told to stop and to erase exactly when something permitted is permitted no more."""

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.operations.consents.sweep_renewals import sweep_renewals
from app.operations.webhooks.effects import tell_invalidations
from tests.consents.test_states import HAPPENINGS, START, User
from tests.support.api import UNLIMITED, TestClock, running
from tests.support.databases import new_database
from tests.support.invalidations import invalidate
from tests.support.properties import examples


@pytest.fixture(scope="module")
def database():
    """The database of this file's application."""
    with new_database() as made:
        yield made


@pytest.fixture(scope="module")
def api(database):
    """An application with a clock of its own."""
    with running(database, clock=TestClock(START), **UNLIMITED) as called:
        yield called


@pytest.fixture(scope="module")
def events(database):
    """The events about a processing, oldest first: what each says."""
    query = "SELECT data FROM outbox WHERE data ->> 'processing' = %s ORDER BY xid, seq"
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        yield lambda processing: [data for (data,) in owner.execute(query, [processing])]


def _grant_less(user):
    """Consent to less."""
    user.grant(elements=["content"])


def _is_a_child(user):
    """State that the person is under 15."""
    user.api.state_age(user.name, "under_15")


def _is_an_adult(user):
    """State that the person is an adult."""
    user.api.state_age(user.name, "adult")


def _consent_with_a_parent(user):
    """Consent together with a parent."""
    user.grant(capacity={"age_band": "under_15", "given_by": "both"})


def _of_a_child_alone(user):
    """Consent alone, as a child: half of a joint consent."""
    user.grant(capacity={"age_band": "under_15", "given_by": "self"})


def _permitted(user):
    """What may be analysed, each element with the consent that permits it."""
    asked = {
        each: user.api.evaluate(user.name, user.processing, elements=[each]) for each in ("content", "subject_line")
    }
    return {each: answer["context"]["consent"] for each, answer in asked.items() if answer["decision"]}


def _retire(user):
    """Retire the processing."""
    user.api.ok("PATCH", f"/v1/processings/{user.processing}", {"status": "retired"})


def _invalidate(user):
    """Invalidate the first version."""
    assert invalidate(user.api, user.processing).status_code == 201


OWN = [_grant_less, _is_a_child, _is_an_adult, _consent_with_a_parent, _of_a_child_alone]


@settings(
    deadline=None, max_examples=examples(15, deep=200), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(happenings=[User.grant, _grant_less, User.grant, User.grant_unlawfully], last=_retire)
@example(
    happenings=[User.grant, _is_a_child, _consent_with_a_parent, User.import_withdrawal, User.refuse], last=_retire
)
@example(
    happenings=[User.grant, User.schedule_a_change, User.grant_ahead, User.wait_a_month, User.grant, User.wait_a_month],
    last=_retire,
)
@example(
    happenings=[User.grant, User.wait_a_year, User.wait_a_month, User.withdraw, User.grant, User.close], last=_retire
)
@example(happenings=[User.grant, User.schedule_a_change, User.grant_ahead], last=_retire)
@example(happenings=[User.schedule_a_change, User.grant_ahead, User.grant], last=_invalidate)
@example(happenings=[User.import_grant, User.import_grant, User.grant_unlawfully], last=_retire)
@given(
    happenings=st.lists(st.sampled_from(HAPPENINGS + OWN), min_size=1, max_size=8),
    last=st.sampled_from([_retire, _invalidate]),
)
def test_effects_are_asked_for_exactly_when_a_permit_is_lost(api, events, happenings, last):
    """In any history, whatever happens: an event asks for effects, of the consent that permitted, only then.

    A consent may have ended before it was recorded, as an older paper does: the sweep tells of that end.
    """
    user, sweeping = User(api, api.clock), api.client.app.state.services.database
    permitted: dict[str, str] = {}
    heard = 0
    for happen in (*happenings, last):
        before = permitted
        happen(user)
        for task in (sweep_renewals, tell_invalidations):
            api.client.portal.call(task, sweeping, Renewal(PeriodPolicy()))
        permitted = _permitted(user)
        told = events(user.processing)
        over = {data["consent"] for data in told if data.get("state") in {"expired", "superseded"}}
        new = {data["consent"] for data in told[heard:] if "effects" in data}
        heard = len(told)
        lost = {consent for each, consent in before.items() if each not in permitted}
        assert lost <= new <= lost | over, happen.__doc__
