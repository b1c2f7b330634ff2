from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.consent import EventKind
from app.core.errors import InvalidNoticeError
from app.core.fold import Grant, expiry, fold
from app.core.period import ONE_YEAR, ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import Status, StatusChange
from app.core.renewal import (
    ANY_TIME,
    EXPIRED_STAGE,
    NEVER_FLAGGED,
    OVER_STAGE,
    Examined,
    Flag,
    FlagKind,
    Renewal,
    collected_before,
    examine,
    notice_at,
    parse_notices,
)
from tests.core.builders import event, granted, processing, utc, version
from tests.core.properties.strategies import ANY_INSTANT, POLICIES

START = Renewal(PeriodPolicy())
AT = utc("2026-08-01T12:00:00")
COLLECTED = utc("2025-06-01T10:00:00")
SAME_INSTANT = PeriodPolicy(Counting.SAME_INSTANT)


def test_notices_are_read_longest_first():
    """Notices in days and weeks are read in any order, and sorted with the longest first."""
    assert parse_notices("P7D, P8W,P30D") == (56, 30, 7)


@pytest.mark.parametrize("text", ["", "P60D,", "60", "P1M", "P0D", "P366D", "P53W", "P7D,P1W"])
def test_other_notices_are_refused(text):
    """Months, nothing, more than a year and the same notice twice are refused."""
    with pytest.raises(InvalidNoticeError):
        parse_notices(text)


@pytest.mark.parametrize(
    ("expires", "days", "due"),
    [
        ("2027-03-31T22:00:00", 7, "2027-03-24T23:00:00"),  # over the change of clocks, midnight to midnight
        ("2027-01-05T23:00:00", 30, "2026-12-06T23:00:00"),
        ("2028-03-05T23:00:00", 7, "2028-02-27T23:00:00"),
        ("2026-11-01T01:30:00", 7, "2026-10-25T00:30:00"),  # 02:30 comes twice that night: the earlier one
    ],
)
def test_a_notice_is_counted_on_the_calendar(expires, days, due):
    """A notice is due that many civil days before the expiry, at the expiry's local time in Paris."""
    assert notice_at(utc(expires), days) == utc(due)


PERIODS = st.sampled_from([ConsentPeriod.parse(text) for text in ("P1Y", "P6M", "P1M", "P90D", "P30D", "P7D", "P1D")])
NOTICES = st.lists(st.integers(1, 365), unique=True, max_size=4).map(lambda days: tuple(sorted(days, reverse=True)))


@example(COLLECTED, utc("2026-05-02T10:00:00"), SAME_INSTANT, [ONE_YEAR], (30,), NEVER_FLAGGED)
@example(COLLECTED, utc("2026-06-01T10:00:00"), SAME_INSTANT, [ONE_YEAR], (), NEVER_FLAGGED)
@example(COLLECTED, utc("2026-05-02T10:00:00"), PeriodPolicy(), [ConsentPeriod(0, 90)], (30,), NEVER_FLAGGED)
@example(COLLECTED, utc("2025-07-01T10:00:00"), PeriodPolicy(), [ONE_YEAR, ConsentPeriod(1, 0)], (7,), NEVER_FLAGGED)
@given(
    ANY_INSTANT,
    ANY_INSTANT,
    POLICIES,
    st.lists(PERIODS, min_size=1, max_size=2),
    NOTICES,
    st.sampled_from([NEVER_FLAGGED, 200, 60, 30, 7, 1]),
)
def test_nothing_that_is_to_be_said_is_passed_over(collected, at, policy, periods, notices, stage):  # noqa: PLR0917
    """A grant collected at or after the bound is not flagged, however years and notices are counted.

    Of several periods the last one is that of the version in force.
    """
    at = max(collected, at)
    later = [version(2, at.isoformat(), consent_validity=each, material=False) for each in periods[1:]]
    renewal, entry = Renewal(policy, notices), processing(version(consent_validity=periods[0]), *later)
    _agree(granted(collected.isoformat()), entry, renewal, at, stage)


@given(st.integers(-3, 3), st.integers(-7200, 7200), ANY_INSTANT, POLICIES, PERIODS, NOTICES)
def test_nor_close_to_the_bound(days, seconds, at, policy, period, notices):  # noqa: PLR0917
    """Within three days of the bound, where clock changes matter, only a grant collected before it is flagged."""
    renewal, entry = Renewal(policy, notices), processing(version(consent_validity=period))
    bound = _bound(entry, renewal, at)
    collected = min(at, bound + timedelta(days=days, seconds=seconds))
    _agree(granted(collected.isoformat()), entry, renewal, at, NEVER_FLAGGED)


def _bound(entry, renewal, at, stage=NEVER_FLAGGED):
    bound = collected_before(entry, 1, stage, renewal, at)
    assert bound is not None
    return bound


def test_the_day_that_has_no_anniversary():
    """On 29 February, counted to the same instant, all of 28 February and nothing of 1 March a year before lapsed."""
    renewal = Renewal(PeriodPolicy(Counting.SAME_INSTANT), ())
    assert _bound(processing(version()), renewal, utc("2028-02-29T10:00:00")) == utc("2027-02-28T23:00:00")


@pytest.mark.parametrize(
    ("policy", "bound"),
    [(PeriodPolicy(), "2025-06-01T22:00:00"), (SAME_INSTANT, "2025-06-01T14:00:00")],
    ids=["start of day", "same instant"],
)
def test_a_notice_looks_ahead(policy, bound):
    """On 2 May a notice of 30 days concerns what lapses until 1 June: what was collected on 1 June a year before."""
    assert _bound(processing(version()), Renewal(policy, (30,)), utc("2026-05-02T10:00:00")) == utc(bound)


def _agree(grant, entry, renewal, at, stage):
    flag = examine(grant, fold([grant], entry, at, renewal.policy), stage, renewal).flag
    before = _bound(entry, renewal, at, stage)
    if grant.collected_at >= before:
        assert flag is None
    elif renewal.policy.counting is Counting.START_OF_DAY:
        assert flag is not None


def test_the_properties_can_fail():
    """Control: a bound one day too early passes over a grant that has lapsed."""
    entry, at = processing(version()), utc("2027-06-14T22:00:00")
    bound = _bound(entry, Renewal(PeriodPolicy(), ()), at)
    grant = granted((bound - timedelta(hours=1)).isoformat())
    assert expiry(Grant(grant, None), entry, at, PeriodPolicy()) <= at
    assert grant.collected_at >= bound - timedelta(days=1)


def test_what_cannot_be_due_is_not_looked_for():
    """No grant to a future or unknown version is due; of a superseded version or a retired processing, all are."""
    entry = processing(version(), version(2, "2026-09-01T00:00:00"))
    assert collected_before(entry, 2, NEVER_FLAGGED, START, AT) is None
    assert collected_before(entry, 3, NEVER_FLAGGED, START, AT) is None
    later = utc("2026-09-01T00:00:00")
    assert collected_before(entry, 1, NEVER_FLAGGED, START, later) == ANY_TIME
    retired = processing(changes=[StatusChange(AT, Status.RETIRED)])
    assert collected_before(retired, 1, NEVER_FLAGGED, START, AT) == ANY_TIME


_INSTANT_BEFORE = timedelta(microseconds=1)
EXPIRES = utc("2026-05-31T22:00:00")
SHORT = processing(version(consent_validity=ConsentPeriod(0, 30)))
OLDER = processing(version(), version(2, "2026-05-01T00:00:00"))


@pytest.mark.parametrize(
    ("entry", "at", "stage", "expected"),
    [
        (processing(), EXPIRES, 7, Examined(Flag(FlagKind.EXPIRED), EXPIRED_STAGE)),
        (processing(), EXPIRES - _INSTANT_BEFORE, 7, Examined(None, None)),
        (processing(), EXPIRES - _INSTANT_BEFORE, NEVER_FLAGGED, Examined(Flag(FlagKind.DUE, 7), 7)),
        (processing(), notice_at(EXPIRES, 30), 60, Examined(Flag(FlagKind.DUE, 30), 30)),
        (processing(), notice_at(EXPIRES, 30), 30, Examined(None, None)),
        (processing(), notice_at(EXPIRES, 30) - _INSTANT_BEFORE, 60, Examined(None, None)),
        (SHORT, COLLECTED + timedelta(days=1), NEVER_FLAGGED, Examined(None, None)),
        (SHORT, utc("2025-06-23T22:00:00"), NEVER_FLAGGED, Examined(Flag(FlagKind.DUE, 7), 7)),
        (OLDER, EXPIRES - _INSTANT_BEFORE, 7, Examined(Flag(FlagKind.SUPERSEDED), OVER_STAGE)),
    ],
)
def test_each_thing_is_said_from_its_instant_on(entry, at, stage, expected):
    """Expiry, notice and newer version are said once, from their instant on; no notice is as long as a consent."""
    grant = granted(COLLECTED.isoformat())
    assert examine(grant, fold([grant], entry, at, START.policy), stage, START) == expected


def test_whoever_declined_is_moved_without_a_word():
    """A renewal that was declined is not announced any more; its expiry is."""
    grant = granted(COLLECTED.isoformat())
    said = [grant, event(EventKind.RENEWAL_DECLINED, "2026-04-10T10:00:00", 2)]
    at = [notice_at(EXPIRES, 30), EXPIRES]
    examined = [examine(grant, fold(said, processing(), each, START.policy), 60, START) for each in at]
    assert examined == [Examined(None, 30), Examined(Flag(FlagKind.EXPIRED), EXPIRED_STAGE)]


def test_what_is_to_come_is_left_as_it_is():
    """A grant ahead of its version is neither flagged nor moved."""
    entry = processing(version(), version(2, "2026-09-01T00:00:00"))
    ahead = granted("2026-07-01T10:00:00", version=2)
    assert examine(ahead, fold([ahead], entry, AT, START.policy), NEVER_FLAGGED, START) == Examined(None, None)


def test_what_is_over_by_itself_is_moved_without_a_word():
    """A grant that a later decision ended is moved to the next stage without a flag."""
    grant = granted("2025-06-01T10:00:00", 1)
    ended = [grant, event(EventKind.WITHDRAWN, "2025-07-01T10:00:00", 2)]
    retired = processing(changes=[StatusChange(AT, Status.RETIRED)])
    newer = processing(version(), version(2, "2026-01-01T00:00:00"))
    for entry, at, stage in [
        (processing(), AT, EXPIRED_STAGE),
        (retired, AT, OVER_STAGE),
        (newer, AT, OVER_STAGE),
        (processing(), utc("2026-05-20T10:00:00"), 30),
    ]:
        assert examine(grant, fold(ended, entry, at, START.policy), NEVER_FLAGGED, START) == Examined(None, stage)


@pytest.mark.parametrize(
    ("grant", "kind"),
    [
        (granted("2026-07-01T10:00:00", version=2), FlagKind.CLOSED),
        (granted("2026-07-01T10:00:00", version=3), FlagKind.CLOSED),
        (granted("2026-01-01T10:00:00", version=1), FlagKind.SUPERSEDED),
        (granted("2025-07-01T10:00:00", version=2), FlagKind.EXPIRED),
        (granted("2026-07-01T10:00:00", version=2, separate_from_terms=False), None),
    ],
    ids=["in force", "pending", "superseded", "expired", "invalid"],
)
def test_a_retirement_closes_what_it_ended(grant, kind):
    """A retirement flags a consent as closed, or as superseded or expired if it was; an invalid one is not flagged."""
    versions = version(), version(2, "2025-06-01T00:00:00"), version(3, "2026-09-01T00:00:00")
    retired = processing(*versions, changes=[StatusChange(utc("2026-07-15T00:00:00"), Status.RETIRED)])
    flag = Flag(kind) if kind is not None else None
    assert examine(grant, fold([grant], retired, AT, START.policy), NEVER_FLAGGED, START) == Examined(flag, OVER_STAGE)


def test_a_suspended_processing_says_no_notice():
    """A consent that is due is not flagged while its processing is suspended, and is flagged when it is active."""
    grant = granted("2025-09-01T10:00:00")
    suspended = processing(changes=[StatusChange(utc("2026-01-01T00:00:00"), Status.SUSPENDED)])
    assert examine(grant, fold([grant], suspended, AT, START.policy), NEVER_FLAGGED, START) == Examined(None, None)
    assert examine(grant, fold([grant], processing(), AT, START.policy), NEVER_FLAGGED, START) == Examined(
        Flag(FlagKind.DUE, 60), 60
    )
