import pytest

from app.core.errors import InvalidPeriodError
from app.core.period import Retention

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "months", "seconds"),
    [
        ("P30D", 0, 30 * DAY),
        ("P3Y", 36, 0),
        ("P1Y6M", 18, 0),
        ("P2W", 0, 14 * DAY),
        ("PT12H", 0, 12 * 3_600),
        ("PT1H2M3S", 0, 3_723),
        ("P1Y2M3W4DT5H6M7S", 14, 25 * DAY + 5 * 3_600 + 6 * 60 + 7),
        ("P0D", 0, 0),
    ],
)
def test_a_retention_is_read_as_months_and_seconds(text, months, seconds):
    """Calendar units are kept as months, the others as seconds, and the text as it was given."""
    retention = Retention.parse(text)
    assert (retention.months, retention.seconds, str(retention)) == (months, seconds, text)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "P1", "1D", "P-1D", "P1.5D", "p1d", "P1D ", "P1M1Y", "P1000Y", "P\u0661D"]
)
def test_any_other_retention_is_refused(text):
    """A text that is no ISO 8601 duration is refused."""
    with pytest.raises(InvalidPeriodError, match="ISO 8601"):
        Retention.parse(text)


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ("P31D", "P30D"),
        ("P1M", "P30D"),  # a month of 31 days
        ("P30D", "P1M"),  # a month of 28 days
        ("P28DT1H", "P1M"),
        ("P1M", "P30DT23H"),
        ("P1Y", "P365D"),
        ("P365D", "P1Y"),  # whichever year it falls in
        ("P2M", "P1M"),
        ("P1M1D", "P1M"),
        ("P13M", "P1Y"),
        ("PT1S", "P0D"),
        ("P1M", "P0D"),
    ],
)
def test_a_retention_may_exceed_another(longer, shorter):
    """A retention may exceed another if it is longer on some calendar."""
    assert Retention.parse(longer).may_exceed(Retention.parse(shorter))


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("P30D", "P31D"),
        ("P30D", "P30D"),
        ("P1Y", "P12M"),
        ("P1M", "P2M"),
        ("P27D", "P1M"),
        ("P1M", "P34D"),
        ("P1Y", "P13M"),
        ("P0D", "PT1S"),
        ("P1M", "P1M1D"),
        ("PT24H", "P1D"),
    ],
)
def test_a_retention_that_is_shorter_on_every_calendar_never_exceeds(shorter, longer):
    """A retention that is equal or shorter in any months does not exceed another."""
    assert not Retention.parse(shorter).may_exceed(Retention.parse(longer))
