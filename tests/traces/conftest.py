import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults.service import Server, Service
from tests.support.api import processing
from tests.traces.receiver import TraceReceiver, receiving, settings_to
from tests.webhooks.courier import Stage
from tests.webhooks.receivers import Receiver, answering, listening


@dataclass(frozen=True)
class Hops:
    """A service that sends its traces to a receiver, and a webhook's receiver behind it."""

    service: Service
    traces: TraceReceiver
    webhook: Receiver

    def log_of(self, trace: str) -> list[str]:
        """The lines of the service's log that name a trace."""
        return [line for line in self.service.output.read_text().splitlines() if trace in line]


@pytest.fixture(scope="module")
def hops(tmp_path_factory) -> Iterator[Hops]:
    """A real `sceau serve` with its jobs process, one processing, and an endpoint that is told of everything."""
    place = tmp_path_factory.mktemp("traces")
    server, stage = Server(place), Stage()
    with receiving() as traces:
        settings = {**server.settings, **settings_to(traces), "SCEAU_WEBHOOK_NETWORKS": "127.0.0.0/8"}
        service = Service(place / "log", settings)
        try:
            webhook = stage.enter(listening(answering(200)))
            service.wait_until_it_listens().ok("POST", "/v1/processings", processing("ads"))
            service.ok("POST", "/v1/webhooks", {"url": webhook.url})
            yield Hops(service, traces, webhook)
        finally:
            service.end(signal.SIGTERM)
            server.embedded.stop()
            stage.end()
