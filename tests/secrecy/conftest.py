import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.faults.service import ROOT, Server, Service, eventually
from tests.secrecy.markers import PLANTED
from tests.secrecy.requests import ISSUER, Sent
from tests.secrecy.sinks import answered, printed, stored
from tests.support.api import UNLIMITED, question
from tests.support.clusters import PLACE
from tests.support.issuer import AUDIENCE, Issuer
from tests.traces.receiver import TraceReceiver, receiving, settings_to

LOUD = {
    "log_statement": "all",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
    "log_min_error_statement": "debug5",
    "log_min_messages": "debug1",
    "log_error_verbosity": "verbose",
    "log_connections": "on",
    "log_duration": "on",
}
LEAKED = PLANTED["planted"].address


@dataclass
class Deployment:
    """A service and its server at their loudest, and what was answered so far."""

    server: Server
    service: Service
    sabotage: Path
    provider: Issuer
    traces: TraceReceiver
    headers: list[tuple[str, str]] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)

    def send(self, sent: Sent) -> httpx2.Response:
        """Send a request, and keep the headers of its answer: all but the echo of its own X-Request-ID."""
        request = self.service.client.build_request(sent.method, sent.path, content=sent.body, headers=sent.headers)
        answer = self.service.client.send(request)
        echo = ("x-request-id", sent.headers.get("X-Request-ID", ""))
        self.headers += [each for each in answer.headers.items() if each != echo]
        self.statuses.add(answer.status_code)
        return answer

    def _settle(self) -> None:
        """Wait for the log of decisions, which is written in their order: the last one is there."""
        body = question("nobody", "ads-mail", participants=[])
        last = self.service.ok("POST", "/access/v1/evaluation", body)["context"]["id"]
        search = ("POST", "/v1/decisions/search", {"id": last})
        eventually(lambda: self.service.ok(*search)["items"])

    def news(self) -> dict[str, bytes]:
        """What came out since this was asked last; of what only grows, the end of what was looked at is there too."""
        contents, seen = self.sinks(), self.looked_at
        new = {sink: said[max(0, seen.get(sink, 0) - 4096) :] for sink, said in contents.items()}
        self.looked_at = {
            sink: len(contents[sink]) for sink in ("service output", "PostgreSQL log", "response headers")
        }
        return new

    def sinks(self) -> dict[str, bytes]:
        """Everything that came out, once the decisions taken so far are logged."""
        self._settle()
        last = secrets.token_bytes(16)
        metrics = self.service.client.get("/metrics", headers={"traceparent": f"00-{last.hex()}-{'1' * 16}-01"}).content
        eventually(lambda: any(last in body for body in self.traces.bodies))  # the last of the spans has come
        with self.server.administrator() as administrator:
            kept = stored(administrator)
        return {
            **kept,
            **answered(self.headers, metrics),
            **printed(self.service.output, self.server.embedded.log_file),
            "traces": b"\n".join(self.traces.bodies),
        }


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """A service that lets out the planted marker wherever it can, on a server of its own."""
    with receiving() as traces:
        yield from _deployed(traces)


def _deployed(traces: TraceReceiver) -> Iterator[Deployment]:
    directory = Path(tempfile.mkdtemp(prefix="sceau-secrecy-", dir=os.environ[PLACE]))
    server, provider = Server(directory, LOUD), Issuer()
    settings = {
        **server.settings,
        "SCEAU_OIDC_ISSUER": f"{provider.url},{ISSUER}",
        "SCEAU_OIDC_AUDIENCE": AUDIENCE,
        **{f"SCEAU_{name.upper()}": value for name, value in UNLIMITED.items()},
        "SCEAU_LOG_LEVEL": "DEBUG",
        **settings_to(traces),
        "PYTHONASYNCIODEBUG": "1",
        "SABOTAGE": str(directory / "sabotage"),
        "LEAK": LEAKED,
    }
    command = (sys.executable, "-P", str(ROOT / "tests" / "secrecy" / "loud.py"))
    service = Service(directory / "service.log", settings, command=command)
    try:
        service.wait_until_it_listens()
        with server.administrator() as administrator:
            administrator.execute("CREATE TABLE planted (said text, kept bytea)")
            administrator.execute("INSERT INTO planted VALUES (%s, %s)", [LEAKED, LEAKED.encode()])
        yield Deployment(server, service, directory / "sabotage", provider, traces)
    finally:
        service.end()
        server.embedded.stop()
        provider.close()
        shutil.rmtree(directory, ignore_errors=True)
