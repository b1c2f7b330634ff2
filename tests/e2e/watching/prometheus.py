"""Debian's Prometheus: its checker of rules, and a server that scrapes a service."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e import debian, programs
from tests.faults.service import ROOT, eventually, free_port

RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
USE = "prometheus, which checks the alerts and the dashboard"


def program(name: str) -> str:
    """Where `prometheus` or `promtool` is; Debian starts no service of it."""
    debian.provide_servers({"prometheus": f"/usr/bin/{name}"}, USE)
    return f"/usr/bin/{name}"


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def checked(place: Path, tests: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """What `promtool test rules` says of the rules on these tests."""
    file = place / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    line = [program("promtool"), "test", "rules", str(file)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Prometheus:
    """A server of its own."""

    address: str

    def ask(self, path: str, **values: str) -> Any:
        """The data of one call of its API."""
        with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(values)}") as answer:
            return json.load(answer)["data"]

    def series(self, query: str) -> list[Any]:
        """What a query finds now."""
        result: list[Any] = self.ask("query", query=query)["result"]
        return result


@contextmanager
def scraping(place: Path, target: str, key: str) -> Iterator[Prometheus]:
    """A server that scrapes one service each second with a key, on a port of loopback, with the rules of deploy/."""
    secret, configuration, port = place / "key", place / "prometheus.yml", free_port()
    secret.write_text(key)
    job = {
        "job_name": "sceau",
        "static_configs": [{"targets": [target]}],
        "authorization": {"credentials_file": str(secret)},
    }
    rhythm = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration.write_text(yaml.safe_dump({"global": rhythm, "rule_files": [str(RULES)], "scrape_configs": [job]}))
    line = [
        program("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={place / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with programs.program(line, place / "prometheus.log", port=port):
        server = Prometheus(f"http://127.0.0.1:{port}")
        eventually(lambda: _is_scraped(server))
        yield server


def _is_scraped(server: Prometheus) -> bool:
    """Whether the service was reached; before it is ready, Prometheus answers 503."""
    try:
        return bool(server.series('up{job="sceau"} == 1'))
    except OSError:
        return False
