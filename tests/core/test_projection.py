import pytest
from hypothesis import given

from app.core.consent import EventKind, State
from app.core.evaluate import DEFAULT_POLICY
from app.core.fold import counts
from app.core.projection import project
from app.core.state import consent_state
from tests.core.builders import ADS, ALICE, event, granted, processing, utc, version
from tests.core.properties.strategies import permitting_worlds, worlds

ONE = {ADS: processing()}
GRANT = granted("2026-03-10", expires_at=utc("2027-03-09T23:00:00"))


def ends(events, register=None):
    """What ended each consent, in the order of the rows."""
    return [each.ended_by for each in project(events, register or ONE)]


def test_a_row_says_what_its_event_began():
    """Each grant and each refusal has one row, by time of collection, with what was stored of it."""
    refusal = event(EventKind.REFUSED, "2026-02-10", 2)
    first, second = project([GRANT, refusal], ONE)
    assert (first.id, first.decision, first.expires_at) == (refusal.id, "refused", None)
    assert (second.id, second.decision, second.expires_at) == (GRANT.id, "granted", GRANT.expires_at)
    assert (second.processing, second.version, second.collected_at) == (ADS, 1, GRANT.collected_at)
    assert (first.ended_by, first.ended_at) == ("granted", GRANT.collected_at)
    assert (second.ended_by, second.ended_at) == (None, None)


@pytest.mark.parametrize("kind", [EventKind.WITHDRAWN, EventKind.CLOSED])
def test_what_ends_a_consent_has_no_row_and_may_be_about_all(kind):
    """A withdrawal or closure that names no processing ends each, and the first to end it is the one named."""
    about_all = event(kind, "2026-04-01", 2, processing=None, version=None)
    later = event(EventKind.WITHDRAWN, "2026-05-01", 3)
    assert ends([later, about_all, GRANT]) == [kind]


def test_what_the_system_notes_or_another_processing_decides_ends_nothing():
    """Notes decide nothing, and a decision is about its own processing."""
    note = event(EventKind.EXPIRED, "2026-04-01", 2)
    other = event(EventKind.WITHDRAWN, "2026-04-01", 3, processing="other")
    assert ends([GRANT, note, other]) == [None]


def test_a_grant_that_names_no_processing_has_no_row():
    """A grant for everything is no consent to anything."""
    assert project([granted("2026-03-10", processing=None, version=None)], ONE) == ()


def test_a_grant_that_names_no_version_is_kept_as_version_none():
    """A row always has a number: 0 is no version's."""
    assert project([granted("2026-03-10", version=None)], ONE)[0].version == 0


def test_a_grant_ahead_of_its_version_ends_nothing_yet():
    """A grant collected before its version began leaves the present one; one collected after replaces it."""
    register = {ADS: processing(version(1), version(2, "2026-05-01"))}
    assert ends([GRANT, granted("2026-04-01", 2, version=2)], register) == [None, None]
    assert ends([GRANT, granted("2026-05-01", 2, version=2)], register) == [EventKind.GRANTED, None]


STATE_OF = {"withdrawn": State.WITHDRAWN, "closed": State.CLOSED, "granted": State.REPLACED, "refused": State.REPLACED}


@given(worlds() | permitting_worlds())
def test_a_row_agrees_with_the_state_of_its_consent(world):
    """A consent that a row calls ended is in that ended state at every instant from then on."""
    events = [each for each in world.ledger.get(ALICE, ()) if each.concerns(ADS)]
    rows = project(events, {ADS: world.processing})
    by_id = {each.id: each for each in events}
    assert [by_id[row.id].rank for row in rows] == sorted(by_id[row.id].rank for row in rows)
    for row in rows:
        if row.ended_at is None:
            continue
        state = consent_state(by_id[row.id], events, world.processing, row.ended_at, world.policy)
        ended = [each for each in events if each.collected_at == row.ended_at]
        replaced = any(_came_to_count(each, by_id[row.id], world.processing, row.ended_at) for each in events)
        assert state in {STATE_OF.get(each.kind) for each in ended} | ({State.REPLACED} if replaced else set())


def _came_to_count(grant, consent, register, at):
    """Whether a later grant was ahead of its version when it was collected, and counts at that instant."""
    later = consent.rank < grant.rank and grant.collected_at < at
    return later and not counts(grant, register, grant.collected_at) and counts(grant, register, at)


def test_a_grant_that_comes_to_count_replaces_one_that_a_row_says_was_withdrawn():
    """Withdrawn once their version is in force: the first row tells of the withdrawal, its state of a grant."""
    register = processing(version(1, "2026-05-01"))
    events = [granted("2026-04-01"), granted("2026-04-02", 2), event(EventKind.WITHDRAWN, "2026-05-02", 3)]
    assert ends(events, {ADS: register}) == [EventKind.WITHDRAWN, EventKind.WITHDRAWN]
    states = [consent_state(each, events, register, utc("2026-05-02"), DEFAULT_POLICY) for each in events[:2]]
    assert states == [State.REPLACED, State.WITHDRAWN]
