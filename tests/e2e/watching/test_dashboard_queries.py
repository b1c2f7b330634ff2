"""A real Prometheus scrapes a real service: each query of the dashboard and each metric of an alert finds something."""

import json
import re
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.watching.prometheus import Prometheus, alerts, scraping
from tests.faults.service import ROOT, Server, Service, eventually
from tests.support.api import processing, question, subject
from tests.support.consents import grant
from tests.support.issuer import AUDIENCE, Issuer
from tests.webhooks.courier import Stage
from tests.webhooks.receivers import answering, listening

DASHBOARD = ROOT / "deploy" / "grafana" / "sceau.json"
ONLY_ON_LOSS = {"sceau_webhook_lost_total"}
"""Has a series once something was lost, and never before."""


def queries() -> dict[str, str]:
    """The queries of the dashboard by panel and letter, with an interval in the place of Grafana's."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return {
        f"{panel['title']}, {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for panel in panels
        for target in panel.get("targets", [])
    }


def metrics_of(expressions: Iterator[str]) -> set[str]:
    """The metrics of ours that expressions name; recorded ones have a colon."""
    return {name for each in expressions for name in re.findall(r"\bsceau_[a-z_]+\b(?!:)", each)}


def _busy(service: Service) -> None:
    """Have one of everything happen that is counted."""
    service.ok("POST", "/v1/processings", processing("ads"))
    service.ok("POST", "/v1/processings", processing("filter", purpose="unsolicited_content_detection"))
    _ask(service)


def _ask(service: Service) -> bool:
    """A grant, two questions and a withdrawal."""
    service.ok("POST", "/v1/consents", grant("alice", "ads"))
    for name in ("ads", "filter"):
        service.ok("POST", "/access/v1/evaluation", question("alice", name))
    service.ok("POST", "/v1/withdrawals", {"subject": subject("alice"), "processing": "ads"})
    return True


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes a service of two workers, on a server that archives and lets it see who replicates."""
    place, stage, issuer = tmp_path_factory.mktemp("scraped"), Stage(), Issuer()
    archiving = {"archive_mode": "on", "archive_command": "/bin/true", "archive_timeout": "1s"}
    server = Server(place, {"wal_level": "replica", **archiving})
    with server.administrator() as administrator:
        administrator.execute("GRANT pg_read_all_stats TO sceau_app")
    settings = {
        **server.settings,
        "SCEAU_METRICS": "scoped",
        "SCEAU_WEBHOOK_NETWORKS": "127.0.0.0/8",
        "SCEAU_OIDC_ISSUER": issuer.url,
        "SCEAU_OIDC_AUDIENCE": AUDIENCE,
    }
    service = Service(place / "log", settings, workers=2)
    try:
        service.wait_until_it_listens()
        for status in (200, 500):
            webhook = stage.enter(listening(answering(status)))
            service.ok("POST", "/v1/webhooks", {"url": webhook.url})
        _busy(service)
        key = service.ok("POST", "/v1/keys", {"name": "prometheus", "scopes": ["audit:read"]})["key"]
        with scraping(place, f"127.0.0.1:{service.port}", key) as made:
            # A rate needs two scrapes of a series, and a counter's first value is no growth.
            eventually(lambda: _ask(service) and made.series("rate(sceau_writes_total[1m]) > 0"))
            eventually(lambda: made.series("sceau_webhook_attempts_total"))
            eventually(lambda: made.series('sceau_webhook_deliveries{status="pending"}'))
            eventually(lambda: made.series('sceau_job_last_run_timestamp_seconds{task="renewals.sweep"}'))
            yield made
    finally:
        service.end(signal.SIGTERM)
        server.embedded.stop()
        stage.end()
        issuer.close()


@pytest.mark.parametrize("panel", queries())
def test_each_query_of_the_dashboard_finds_a_series(prometheus, panel):
    """The query returns at least one series, of numbers."""
    assert eventually(lambda: [each for each in prometheus.series(queries()[panel]) if each["value"][1] != "NaN"])


def test_a_query_of_a_metric_that_is_gone_finds_nothing(prometheus):
    """The control: a misspelt metric has no series."""
    assert prometheus.series("sceau_lease") == []


def test_each_metric_of_an_alert_exists(prometheus):
    """Every metric that an alert or the dashboard names is told by the service."""
    metrics = set(prometheus.ask("label/__name__/values"))
    wanted = metrics_of(rule["expr"] for rule in alerts().values()) | metrics_of(iter(queries().values()))
    assert wanted - metrics == ONLY_ON_LOSS


def test_the_rules_are_evaluated_and_nothing_is_amiss(prometheus):
    """Prometheus takes the rules, evaluates each without an error, and no page goes out for a service that is well."""
    groups = eventually(lambda: _evaluated(prometheus))
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule.get("lastError", "") for rule in rules} == {""}
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def _evaluated(prometheus):
    groups = prometheus.ask("rules")["groups"]
    return groups if groups and all(rule["health"] == "ok" for group in groups for rule in group["rules"]) else None
