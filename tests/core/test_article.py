import pytest

from app.core.article import (
    CONSENT_PURPOSES,
    EXEMPT_PURPOSES,
    TERRITORIES,
    TRANSITION_END,
    Element,
    Purpose,
    law_version_at,
)
from tests.core.builders import utc

TICK_BEFORE = "59:59.999999"


def test_every_purpose_is_in_iii_or_in_iv_but_other():
    """III names five purposes and IV three; only `other` is in neither, and none is in both."""
    assert (len(EXEMPT_PURPOSES), len(CONSENT_PURPOSES)) == (5, 3)
    assert set(Purpose) - EXEMPT_PURPOSES - CONSENT_PURPOSES == {Purpose.OTHER}


def test_four_things_are_secret():
    """Content, identity of the correspondents, subject line and attachments are secret."""
    assert set(Element) == {"content", "correspondent_identity", "subject_line", "attachments"}


def test_the_article_applies_in_ten_territories():
    """The article applies in France, eight overseas territories and Wallis and Futuna, in no other of the Pacific."""
    assert set(TERRITORIES) == {"FR", "GP", "MQ", "GF", "RE", "YT", "BL", "MF", "PM", "WF"}


@pytest.mark.parametrize(
    ("at", "name"),
    [
        (f"2016-10-08T21:{TICK_BEFORE}", None),
        ("2016-10-08T22:00:00", "2016-10-09"),
        (f"2017-03-30T21:{TICK_BEFORE}", "2016-10-09"),
        ("2017-03-30T22:00:00", "2017-03-31"),
        (f"2025-07-01T21:{TICK_BEFORE}", "2017-03-31"),
        ("2025-07-01T22:00:00", "2025-07-02"),
        ("2100-01-01T00:00:00", "2025-07-02"),
    ],
)
def test_a_law_version_begins_at_midnight_in_paris(at, name):
    """Each law version begins with its civil date in Paris; before the first, none is held."""
    law = law_version_at(utc(at))
    assert (law.name if law else None) == name


def test_the_transition_ends_with_30_september_2017():
    """The six months of the decree end with 30 September 2017 in Paris."""
    assert utc("2017-09-30T22:00:00") == TRANSITION_END
