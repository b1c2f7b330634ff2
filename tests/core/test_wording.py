import pytest

from app.core.decision import Reason
from app.core.processing import Status
from app.core.wording import REASON_FOR_USER, reason_for_user


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_said_in_french_and_english(reason):
    """Each reason has one sentence for the user in each language, and the two are not the same."""
    texts = REASON_FOR_USER[reason]
    assert set(texts) == {"fr", "en"}
    assert all(text.strip() == text and text.endswith(".") for text in texts.values())
    assert texts["fr"] != texts["en"]


def test_no_two_reasons_are_said_alike():
    """No two reasons have the same sentence."""
    for language in ("fr", "en"):
        sentences = [REASON_FOR_USER[reason][language] for reason in Reason]
        assert len(set(sentences)) == len(Reason)


@pytest.mark.parametrize("status", Status)
def test_a_proposal_has_not_begun(status):
    """A user is told that a proposed processing has not begun, and that any other is suspended or over."""
    text = reason_for_user(Reason.PROCESSING_SUSPENDED, status)["fr"]
    assert ("n’a pas encore commencé" in text) is (status is Status.PROPOSED)
    assert ("est suspendu ou a pris fin" in text) is (status is not Status.PROPOSED)
    assert reason_for_user(Reason.NO_CONSENT, status) == REASON_FOR_USER[Reason.NO_CONSENT]


def test_a_reading_of_ours_is_not_said_to_be_the_law():
    """Where the law is disputed, the sentence says what we apply; and it calls a text message an SMS."""
    for reason in (Reason.CHANNEL_NOT_COVERED, Reason.PURPOSE_NOT_PERMITTED):
        texts = REASON_FOR_USER[reason]
        assert texts["fr"].startswith("Nous n’appliquons pas ")
        assert texts["en"].startswith("We do not apply ")
    assert "SMS" in REASON_FOR_USER[Reason.CHANNEL_NOT_COVERED]["fr"]
