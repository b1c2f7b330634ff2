"""Two services behind HAProxy with its standard check: one is told to stop, and no call that was taken in is lost."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.e2e.deploy.proxies import provide_proxies
from tests.e2e.programs import free_ports, program
from tests.faults.service import HANGS, Service, eventually
from tests.support.api import BOOTSTRAP, processing, question
from tests.support.consents import grant
from tests.support.databases import new_database

CONFIGURATION = """
defaults
    mode http
    option redispatch
    timeout connect 2s
    timeout client 30s
    timeout server 45s

frontend callers
    bind 127.0.0.1:{port}
    default_backend service

backend service
    option httpchk GET /readyz
    server one 127.0.0.1:{one} check
    server two 127.0.0.1:{two} check
"""
CALLERS = 6


@contextmanager
def balanced(place: Path) -> Iterator[tuple[int, list[Service]]]:
    """The port of a HAProxy, and the two services behind it, which drain as they do by default."""
    with ExitStack() as entered:
        database = entered.enter_context(new_database())
        services = [
            Service(place / f"{name}.log", {"SCEAU_DATABASE_URL": database.app_url, "SCEAU_DRAIN": ""})
            for name in ("one", "two")
        ]
        for each in services:
            entered.callback(each.end)
            each.wait_until_it_listens()
            eventually(partial(_is_ready, each))
        services[0].ok("POST", "/v1/processings", processing("ads-mail"))
        (port,) = free_ports(1)
        (place / "haproxy.cfg").write_text(
            CONFIGURATION.format(port=port, one=services[0].port, two=services[1].port), encoding="utf-8"
        )
        line = ["/usr/sbin/haproxy", "-f", place / "haproxy.cfg"]
        entered.enter_context(program(line, place / "haproxy.log", port=port))
        yield port, services


def _is_ready(service: Service) -> bool:
    return service.call("GET", "/readyz").status_code == 200


class Calls:
    """What became of calls that go on until they are told to stop."""

    def __init__(self, port: int) -> None:
        """Call nothing yet."""
        self.became: Counter[str] = Counter()
        self._port = port
        self._stop = threading.Event()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Several callers, each on a connection of its own, as long as the block lasts."""
        with ThreadPoolExecutor(CALLERS) as pool:
            under_way = [pool.submit(self._call, number) for number in range(CALLERS)]
            try:
                yield
            finally:
                self._stop.set()
        for each in under_way:
            each.result()

    def _call(self, number: int) -> None:
        headers = {"Authorization": f"Bearer {BOOTSTRAP}"}
        with httpx2.Client(base_url=f"http://127.0.0.1:{self._port}", headers=headers, timeout=HANGS) as client:
            while not self._stop.is_set():
                name = f"user{number}"
                for path, body in (
                    ("/v1/consents", grant(name, "ads-mail")),
                    *[("/access/v1/evaluation", question(name, "ads-mail"))] * 20,
                ):
                    try:
                        self.became[str(client.post(path, json=body).status_code)] += 1
                    except httpx2.TransportError as error:
                        self.became[type(error).__name__] += 1


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGKILL], ids=["told to stop", "control: killed"])
def test_no_call_is_lost_when_one_of_two_stops(tmp_path, wanted):
    """Decisions and grants of six callers go on while one service drains and ends; the control loses some."""
    provide_proxies()
    with balanced(tmp_path) as (port, services):
        calls = Calls(port)
        with calls.going_on():
            eventually(lambda: calls.became["200"] > 200)
            services[0].process.send_signal(wanted)
            services[0].process.wait(HANGS)
            before = calls.became["200"]
            eventually(lambda: calls.became["200"] > before + 200)
    lost = {each: number for each, number in calls.became.items() if each not in {"200", "201"}}
    assert bool(lost) == (wanted is signal.SIGKILL), lost
