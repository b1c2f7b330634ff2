"""How long a year and a retention are, counted by hand on civil dates: for the oracle, without code of app.core."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
ELSEWHERE = {
    "GP": "America/Guadeloupe",
    "MQ": "America/Martinique",
    "GF": "America/Cayenne",
    "RE": "Indian/Reunion",
    "YT": "Indian/Mayotte",
    "BL": "America/St_Barthelemy",
    "MF": "America/Marigot",
    "PM": "America/Miquelon",
    "WF": "Pacific/Wallis",
}


def civil_date(instant):
    """The date on a wall calendar in Paris."""
    return instant.astimezone(PARIS).date()


def shown(wall, zone):
    """The first instant at which clocks there show a time; if they skip it, the earlier of the instants it may mean."""
    noons = [datetime(wall.year, wall.month, wall.day, 12, tzinfo=UTC) + timedelta(days=days) for days in (-2, 2)]
    guesses = [(wall - noon.astimezone(zone).utcoffset()).replace(tzinfo=UTC) for noon in noons]
    real = [guess for guess in guesses if guess.astimezone(zone).replace(tzinfo=None) == wall]
    return min(real or guesses)


def midnight(day, zone=PARIS):
    """The instant at which a date begins."""
    return shown(datetime(day.year, day.month, day.day), zone)  # noqa: DTZ001


def later_date(day, months, days):
    """The date so many months later, or the last of that month, then so many days later."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    number = day.day
    while True:
        try:
            return date(year, month, number) + timedelta(days=days)
        except ValueError:
            number -= 1


def lapse(collected_at, months, days, counting, territory="FR"):
    """When a period that began then is over: in Paris or in the territory, whichever is earlier."""
    ends = []
    for zone in (PARIS, ZoneInfo(ELSEWHERE.get(territory, "Europe/Paris"))):
        wall = collected_at.astimezone(zone).replace(tzinfo=None)
        day = later_date(wall.date(), months, days)
        at_end = datetime.combine(day, wall.time())
        ends.append(midnight(day, zone) if counting == "start_of_day" else shown(at_end, zone))
    return min(ends)


@cache
def longer(before, after):
    """Whether one retention ends later than another on some day of four years; none stated never ends."""
    if before is None or after is None:
        return after is None and before is not None
    days = [date(2024, 1, 1) + timedelta(days=count) for count in range(4 * 366)]
    return any(later_date(day, *whole(after)) > later_date(day, *whole(before)) for day in days)


def whole(text):
    """A retention of one unit, in months and days."""
    ((count, unit),) = re.findall(r"^P(\d+)([YMD])$", text)
    return {"Y": (int(count) * 12, 0), "M": (int(count), 0), "D": (0, int(count))}[unit]
