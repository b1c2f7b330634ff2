"""Each alert fires when it should and does not when it should not, as promtool finds; and each has its paragraph."""

import re

from tests.e2e.watching.cases import CASES, Series
from tests.e2e.watching.prometheus import alerts, checked
from tests.faults.service import ROOT

RUNBOOK = ROOT / "docs" / "runbook.md"


def expecting(name: str, series: Series, labels: dict[str, str] | None) -> dict[str, object]:
    """A test of promtool: after eighty minutes of these series the alert fires with those labels; None: it does not."""
    rule = alerts()[name]
    fired = [{"exp_labels": {**rule["labels"], **(labels or {})}, "exp_annotations": rule["annotations"]}]
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "alert_rule_test": [{"eval_time": "80m", "alertname": name, "exp_alerts": fired if labels is not None else []}],
    }


def test_each_alert_fires_and_stays_quiet(tmp_path):
    """On its own series each alert fires, with its severity and its page; on quiet ones it does not."""
    tests = []
    for name, case in CASES.items():
        tests += [expecting(name, case.fires, case.labels), expecting(name, case.quiet, None)]
    done = checked(tmp_path, tests)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_left_out():
    """Every alert has a case, and no case is of an alert that is gone."""
    assert set(CASES) == set(alerts())


def test_an_alert_that_does_not_fire_is_seen(tmp_path):
    """The control: promtool finds it when an alert that is expected does not fire, or one fires unexpectedly."""
    case = CASES["SceauOutage"]
    for wrong in (expecting("SceauOutage", case.quiet, case.labels), expecting("SceauOutage", case.fires, None)):
        done = checked(tmp_path, [wrong])
        assert (done.returncode, "FAILED" in done.stdout + done.stderr) == (1, True)


def unexplained(text: str) -> set[str]:
    """The alerts of which a runbook has no paragraph with all that belongs in it."""
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE))
    runbook = re.compile(r"[A-Z].+\*\*Look at\.\*\* .+\*\*Do\.\*\* ", re.DOTALL)
    return {
        name
        for name, rule in alerts().items()
        if runbook.match(sections.get(name, "")) is None
        or rule["annotations"]["runbook_url"] != f"docs/runbook.md#{name.lower()}"
    }


def test_each_alert_has_its_paragraph():
    """The runbook says of each alert what it means, what to look at, and what to do; the alert leads there."""
    assert unexplained(RUNBOOK.read_text(encoding="utf-8")) == set()


def test_a_missing_paragraph_is_seen():
    """The control: a runbook without the part on one alert is found."""
    text = RUNBOOK.read_text(encoding="utf-8")
    assert unexplained(text.replace("### SceauOutage\n", "### Something\n")) == {"SceauOutage"}
