from datetime import UTC, datetime, timedelta

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
