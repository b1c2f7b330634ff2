from datetime import UTC, datetime, timedelta

import pytest

from tests.support.api import processing, utc


def test_a_callers_own_now_is_taken_for_now(api):
    """A start of twenty seconds ago, by a caller's slow clock, is accepted and becomes the present."""
    api.register("ads")
    stated = (datetime.now(UTC) - timedelta(seconds=20)).isoformat()
    body = {**processing("ads"), "material": False, "effective_from": stated}
    del body["id"]
    added = api.ok("POST", "/v1/processings/ads/versions", body)
    assert added["version"]["number"] == 2
    assert utc(added["version"]["effective_from"]) > utc(stated)


@pytest.mark.parametrize("language", ["FR", "fr-FR", "fr"])
def test_a_language_tag_is_read_as_bcp_47_says(api, language):
    """The notice shown is found whatever the tag's case and region."""
    api.register("ads")
    assert api.decide("alice", "ads", evidence={"language": language})["state"] == "in_force"
