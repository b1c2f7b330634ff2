import pytest

from app.core.period import ConsentPeriod, Retention
from app.core.wording import period_in_words, retention_in_words


@pytest.mark.parametrize(
    ("period", "fr", "en"),
    [
        ("P1Y", "1 an", "1 year"),
        ("P6M", "6 mois", "6 months"),
        ("P1M", "1 mois", "1 month"),
        ("P90D", "90 jours", "90 days"),
        ("P1D", "1 jour", "1 day"),
        ("P2W", "14 jours", "14 days"),
    ],
)
def test_periods_in_words(period, fr, en):
    """A consent period as people say it."""
    parsed = ConsentPeriod.parse(period)
    assert (period_in_words(parsed, "fr"), period_in_words(parsed, "en")) == (fr, en)


@pytest.mark.parametrize(
    ("retention", "fr", "en"),
    [
        ("P30D", "30 jours", "30 days"),
        ("P3Y", "3 ans", "3 years"),
        ("P1Y6M", "1 an et 6 mois", "1 year and 6 months"),
        ("PT12H", "12 heures", "12 hours"),
        ("P1DT1H1M1S", "1 jour, 1 heure, 1 minute et 1 seconde", "1 day, 1 hour, 1 minute and 1 second"),
        ("PT0S", None, None),
    ],
)
def test_retentions_in_words(retention, fr, en):
    """A retention as people say it, or None if nothing is kept."""
    parsed = Retention.parse(retention)
    assert (retention_in_words(parsed, "fr"), retention_in_words(parsed, "en")) == (fr, en)
