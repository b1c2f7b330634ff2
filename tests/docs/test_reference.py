"""The pages of docs/reference say what the code has: `./dev docs` writes them anew."""

import difflib
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.consent import EventKind
from app.events.outbox import ClosureCause, EventType
from handbook.happenings import CAUSES, HELD, TOLD
from handbook.interface import GENERAL
from handbook.reference import FOLDER, pages
from handbook.staging import ROOT

WRITTEN = dict(pages())


def differences(name, now, should):
    """What differs between a page and the code, as a diff; nothing where they agree."""
    lines = difflib.unified_diff(
        now.splitlines(), should.splitlines(), f"docs/reference/{name}", "the code", lineterm=""
    )
    return "\n".join(lines)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_reference_page_is_what_the_code_has(name):
    """Settings, scopes, problems, metrics and events stand as they are; run `./dev docs` where they do not."""
    assert differences(name, (FOLDER / name).read_text(encoding="utf-8"), WRITTEN[name]) == ""


def test_a_stale_page_is_seen():
    """The check can fail, and names what is wrong."""
    text = WRITTEN["settings.md"].replace("`SCEAU_LEASE` (`PT2S`)", "`SCEAU_LEASE` (`PT3S`)")
    assert "+- `SCEAU_LEASE` (`PT2S`)" in differences("settings.md", text, WRITTEN["settings.md"])


def slugs_in(source):
    """The words of problems that code names outside domain errors."""
    named = re.findall(r'\b(?:problem|Refusal)\((?:\d+|error\.status_code), "([a-z-]+)"', source)
    return {*named, *re.findall(r'^    \d{3}: "([a-z-]+)",$', source, re.MULTILINE)}


def test_every_word_of_a_problem_is_told():
    """Whatever code answers with a problem document, its word is on the page."""
    named = set().union(*(slugs_in(path.read_text(encoding="utf-8")) for path in ROOT.glob("app/api/**/*.py")))
    assert len(named) > 10
    assert named <= set(GENERAL)


def test_a_word_that_is_not_told_is_seen():
    """The check can fail."""
    assert slugs_in('return problem(418, "teapot", "No.")\nX = Refusal(400, "odd", "")') == {"teapot", "odd"}


def test_every_event_is_told():
    """Each type of event, each cause and each kind of the ledger has its sentence."""
    assert (set(TOLD), set(CAUSES), set(HELD)) == (set(EventType), set(ClosureCause), set(EventKind))


def test_a_service_tells_no_metric_that_the_page_lacks(api):
    """What a running service answers at /metrics stands on the page."""
    documented = set(re.findall(r"^- `(sceau_\w+)` ", WRITTEN["metrics.md"], re.MULTILINE))
    answered = text_string_to_metric_families(api.client.get("/metrics").text)
    names = {f"{each.name}_total" if each.type == "counter" else each.name for each in answered}
    assert {name for name in names if name.startswith("sceau_") and not name.endswith("_created")} <= documented
    assert {"sceau_decisions_total", "sceau_database_up", "sceau_outbox_undispatched"} <= documented & names
