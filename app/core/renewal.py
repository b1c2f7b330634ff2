"""What the yearly renewal flags: which consents are due to be asked again, and which have lapsed, at an instant.

L32-3 IV makes a consent lapse within a year, so the operator must be notified in time to ask again. A notice falls a
number of days before the expiry, counted on the calendar in Paris like the year itself (`app.core.period`). Nothing
here decides whether an analysis is permitted: a flag only reports what `app.core.fold` already says.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from app.core.article import PARIS, paris_midnight
from app.core.consent import ConsentEvent, State
from app.core.consent_link import renewal_declined
from app.core.errors import InvalidNoticeError
from app.core.fold import Standing, is_lost
from app.core.period import ONE_YEAR, ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import Processing, Status

NEVER_FLAGGED: Final = 366
"""The stage of a consent that was never flagged: larger than any notice."""
EXPIRED_STAGE: Final = 0
OVER_STAGE: Final = -1
"""The stage of a consent that is never flagged again: superseded or invalidated, or its processing is retired."""

ANY_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC)

_NOTICE: Final = re.compile(r"P([1-9][0-9]{0,2})([WD])")
_LONGEST_NOTICE: Final = 365
_SHORTEST_MONTH: Final = 28


class FlagKind(StrEnum):
    """What is said about a consent, each once: `due` once for each notice.

    `closed` tells that its processing was retired while the consent held, or was to hold for a version to come.
    """

    DUE = "due"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CLOSED = "closed"
    INVALIDATED = "invalidated"


@dataclass(frozen=True, slots=True)
class Flag:
    """One message about a consent; `notice` is in days, and 0 for every kind but `due`."""

    kind: FlagKind
    notice: int = 0


@dataclass(frozen=True, slots=True)
class Renewal:
    """How a deployment announces renewals: its notices in days before the expiry, longest first, and its periods."""

    policy: PeriodPolicy
    notices: tuple[int, ...] = (60, 30, 7)


@dataclass(frozen=True, slots=True)
class Examined:
    """The result for one consent: the flag to raise, if any, and the consent's new stage (None: unchanged)."""

    flag: Flag | None
    stage: int | None


def parse_notices(text: str) -> tuple[int, ...]:
    """Parse notices such as `P60D,P30D,P7D`, in days or weeks, and return them in days, longest first.

    Raises:
        InvalidNoticeError: one is not such a duration, is longer than 365 days, or occurs twice.

    """
    days = []
    for part in text.split(","):
        match = _NOTICE.fullmatch(part.strip())
        if match is None:
            raise InvalidNoticeError
        days.append(int(match[1]) * (7 if match[2] == "W" else 1))
    if len(set(days)) != len(days) or max(days) > _LONGEST_NOTICE:
        raise InvalidNoticeError
    return tuple(sorted(days, reverse=True))


def notice_at(expires_at: datetime, days: int) -> datetime:
    """Return when a notice is due: at the same local time in Paris, `days` civil days before the expiry."""
    local = expires_at.astimezone(PARIS)
    moment = datetime.combine(local.date() - timedelta(days=days), local.time(), PARIS)
    # A local time that does not exist, or exists twice, is read as the earlier instant, as in `app.core.period`.
    return min(moment.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def examine(consent: ConsentEvent, standing: Standing, stage: int, renewal: Renewal) -> Examined:
    """Return what to flag now about a grant that has reached a stage.

    Only the latest notice that is due is flagged: after days without a sweep the earlier ones are skipped. A consent
    that is not in force, lapsed or superseded by itself (refused, withdrawn, closed, never valid, pending) gets no
    flag, nor does one of which another consent permits all that it permitted.

    Args:
        consent: the granted event; no event ended it when that event was recorded (`ConsentRow.ended_by`).
        standing: where its subject stands, at an instant not before any of their events.
        stage: the days of the last notice that was flagged, or one of the stages above.
        renewal: how the deployment announces renewals.

    """
    processing, at = standing.processing, standing.at
    state = standing.state_of(consent)
    status = processing.status_at(at)
    if state is State.INVALIDATED or status is Status.RETIRED:
        without = standing.without_invalidations
        stood = without.state_of(consent)
        stands = stood in {State.PENDING, State.IN_FORCE}
        kind = _AT_RETIREMENT.get(stood) if stands or is_lost(consent, without, without) else None
        return _for_ever(FlagKind.INVALIDATED if kind is not None and state is State.INVALIDATED else kind)
    if state is State.PENDING:
        return Examined(None, None)
    lost = is_lost(consent, standing, standing)
    if processing.superseded(consent.version or 0, at):
        return _for_ever(FlagKind.SUPERSEDED if lost else None)
    expires_at = standing.expiry_of(consent)
    if at >= expires_at:
        return Examined(Flag(FlagKind.EXPIRED) if lost else None, EXPIRED_STAGE)
    notices = _applicable(processing, consent.version or 0, renewal, at)
    due = min((days for days in notices if notice_at(expires_at, days) <= at), default=None)
    if due is None or due >= stage or status is not Status.ACTIVE:
        return Examined(None, None)
    is_flagged = state is State.IN_FORCE and not renewal_declined(consent, standing.account.events)
    return Examined(Flag(FlagKind.DUE, due) if is_flagged else None, due)


def _for_ever(kind: FlagKind | None) -> Examined:
    """Return this flag, if any, and the stage after which nothing more is flagged."""
    return Examined(Flag(kind) if kind is not None else None, OVER_STAGE)


_AT_RETIREMENT: Final = {
    State.PENDING: FlagKind.CLOSED,
    State.IN_FORCE: FlagKind.CLOSED,
    State.SUPERSEDED: FlagKind.SUPERSEDED,
    State.EXPIRED: FlagKind.EXPIRED,
}
"""A retirement closes only what it ended: a consent that had lapsed before is flagged as lapsed, if not yet done."""


def collected_before(
    processing: Processing, number: int, stage: int, renewal: Renewal, at: datetime
) -> datetime | None:
    """Return a bound on which grants of a version, all at one stage, may have to be flagged now.

    Returns:
        An instant: no grant collected at or after it needs to be examined now. Under `start_of_day` every earlier grant
            does; under `same_instant` a few earlier ones may not. None when no grant needs it.

    """
    version, status = processing.version(number), processing.status_at(at)
    if status is Status.RETIRED:
        return ANY_TIME
    if version is None or not version.in_force_at(at):
        return None
    if processing.superseded(number, at):
        return ANY_TIME
    notices = _applicable(processing, number, renewal, at) if status is Status.ACTIVE else ()
    ahead = next((days for days in notices if days < stage), 0)
    lapse = _latest_expiry(renewal.policy, at, ahead)
    return max(_before(renewal.policy, period, lapse) for period in _periods(processing, number, at))


def _periods(processing: Processing, number: int, at: datetime) -> list[ConsentPeriod]:
    """Return the periods that bound a grant of that version now: its own, and that of the version in force."""
    versions = (processing.version(number), processing.version_at(at))
    return [each.consent_validity for each in versions if each is not None]


def _applicable(processing: Processing, number: int, renewal: Renewal, at: datetime) -> tuple[int, ...]:
    """Return the notices that are shorter than the consent itself: a consent of one month gets no notice of 60 days."""
    periods = [*_periods(processing, number, at), renewal.policy.ceiling]
    shortest = min(_days(period) for period in periods)
    return tuple(days for days in renewal.notices if days < shortest)


def _days(period: ConsentPeriod) -> int:
    """Return the minimum number of days in a period."""
    return _LONGEST_NOTICE if period == ONE_YEAR else period.months * _SHORTEST_MONTH + period.days


def _latest_expiry(policy: PeriodPolicy, at: datetime, ahead: int) -> datetime:
    """Return the last expiry at most `ahead` days away; a little later where clocks change under `same_instant`."""
    if ahead == 0:
        return at
    local = at.astimezone(PARIS)
    day = local.date() + timedelta(days=ahead)
    if policy.counting is Counting.START_OF_DAY:
        return paris_midnight(day)
    return datetime.combine(day, local.time(), PARIS).replace(fold=1).astimezone(UTC) + _CLOCK_CHANGE


_CLOCK_CHANGE: Final = timedelta(hours=2)
"""More than a change of clocks moves a local time."""
_LOOKED_BACK: Final = 370


def _before(policy: PeriodPolicy, period: ConsentPeriod, lapse: datetime) -> datetime:
    """Return an instant such that no grant collected at or after it lapses by `lapse`."""
    last = lapse.astimezone(PARIS)
    first = last.date() - timedelta(days=_LOOKED_BACK)

    def later(offset: int) -> bool:
        return policy.expiry(paris_midnight(first + timedelta(days=offset)), period) > lapse

    # A day's expiry (that of its first instant) never decreases from one day to the next, and is within a year of it.
    count = bisect_left(range(_LOOKED_BACK + 2), True, key=later)  # noqa: FBT003 - the first day that lapses later
    end = paris_midnight(first + timedelta(days=count))
    if policy.counting is Counting.START_OF_DAY:
        return end
    day = first + timedelta(days=count - 1)
    lapses_on = policy.expiry(paris_midnight(day), period).astimezone(PARIS).date()
    if lapses_on != last.date():
        return end
    same = datetime.combine(day, last.time(), PARIS).replace(fold=1)
    return min(end, same.astimezone(UTC) + _CLOCK_CHANGE)


# How often a person may be asked for consent: a limit for each processing and half-year, whatever they answered. No
# text gives a number; asking repeatedly after an answer, or after none, is not a free choice (GDPR art. 7, recital 32).

MOST_ASKED: Final = 3
"""The limit in one half-year, for all requests together; the database refuses a fourth."""
_JULY: Final = 7


def half_year(at: datetime) -> date:
    """Return the first day (Paris) of the half-year of an instant: 1 January or 1 July."""
    day = at.astimezone(PARIS).date()
    return day.replace(month=_JULY if day.month >= _JULY else 1, day=1)


def next_half_year(at: datetime) -> datetime:
    """Return when the half-year of an instant ends."""
    begun = half_year(at)
    begins = begun.replace(month=_JULY) if begun.month == 1 else date(begun.year + 1, 1, 1)
    return datetime.combine(begins, time.min, PARIS).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Solicited:
    """The instants at which a person was asked in one half-year, in order; `by_person`: once at their own request."""

    at: tuple[datetime, ...] = ()
    by_person: bool = False

    def is_enough(self, said_no_at: datetime | None, *, by_person: bool) -> bool:
        """Return whether the person must not be asked again in this half-year.

        Args:
            said_no_at: when they refused or withdrew, if that is their last decision: after it they are asked once.
            by_person: whether they request it themselves, which counts once.

        """
        if len(self.at) >= MOST_ASKED:
            return True
        if by_person:
            return self.by_person
        return said_no_at is not None and any(at > said_no_at for at in self.at)
