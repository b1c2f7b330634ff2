"""A waiting version is kept as JSON, and loses nothing by that."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.core.period import Retention
from app.register.records import Particulars, VersionRecord
from app.register.store import version_as_json, version_from_json
from tests.core.properties.registers import versions

AT = datetime(2026, 6, 15, 12, 0, 0, 123456, tzinfo=UTC)
WORDS = st.dictionaries(st.sampled_from(["fr", "en"]), st.text(max_size=20))


@given(versions(AT), WORDS, st.lists(st.sampled_from("abc"), unique=True), st.data())
def test_a_version_comes_back_as_it_was(made, words, controllers, data):
    """A version comes back from JSON unchanged: facts, words, particulars and controllers, to the microsecond."""
    for each in made:
        begins, kept = each.effective_from or AT + timedelta(microseconds=1), each.retention or Retention.parse("PT12H")
        facts = replace(each, effective_from=begins, retention=kept, controllers=frozenset(controllers))
        more = data.draw(
            st.sampled_from([Particulars(), Particulars(dpia_reference="7", consequences={"fr": "Rien."})])
        )
        contact, reason = data.draw(st.none() | st.text()), data.draw(st.none() | st.text())
        version = VersionRecord(facts, words, {"fr": "Texte", **words}, AT, contact, tuple(controllers), more, reason)
        assert version_from_json(json.loads(json.dumps(version_as_json(version)))) == version
