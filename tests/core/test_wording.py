import pytest

from app.core.decision import Reason
from app.core.wording import REASON_FOR_USER


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_in_french_and_english(reason):
    """Each reason has one sentence for the user in each language, and the two are not the same."""
    said = REASON_FOR_USER[reason]
    assert set(said) == {"fr", "en"}
    assert all(text.strip() == text and text.endswith(".") for text in said.values())
    assert said["fr"] != said["en"]


def test_no_two_reasons_are_said_alike():
    """A sentence tells one reason from every other."""
    for language in ("fr", "en"):
        sentences = [said[language] for said in REASON_FOR_USER.values()]
        assert len(set(sentences)) == len(Reason)
