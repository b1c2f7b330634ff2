"""deploy/proxies: nginx, HAProxy and Caddy of Debian, each started from its file in front of the service."""

import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.e2e.deploy.proxies import NAMES, Proxy, provide_proxies, started
from tests.e2e.http_bytes import Received, read_response
from tests.e2e.programs import free_ports
from tests.faults.service import HANGS, Service, eventually
from tests.support.api import BOOTSTRAP, processing, question
from tests.support.databases import TestDatabase, new_database

INSIDE = "127.0.0.1"
OUTSIDE = "127.0.0.2"
SHUT = ("/metrics", "/console", "/docs")
SPELT = ("//metrics", "/./metrics", "/x/../metrics", "/%6detrics", "/%2fmetrics", "/METRICS", "/metrics/", "/metrics?x")
"""Other ways to write an address that is for the inside."""
UPGRADES = {
    "websocket": {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    },
    "h2c": {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
    },
}
"""Requests to change the protocol, as RFC 6455 and RFC 7540 have them."""
QUOTA = 4
"""Requests without a key in force that one address may send to the services below."""


@pytest.fixture(scope="module")
def database() -> Iterator[TestDatabase]:
    """A migrated database."""
    with new_database() as made:
        yield made


@contextmanager
def serving(database: TestDatabase, output: Path, **settings: str) -> Iterator[Service]:
    """The real service on a loopback port."""
    own = {"SCEAU_DATABASE_URL": database.app_url, "SCEAU_RATE_LIMITS": f"unknown_keys={QUOTA}/3600", **settings}
    service = Service(output, own)
    try:
        service.wait_until_it_listens()
        eventually(lambda: service.call("GET", "/readyz").status_code == 200)
        yield service
    finally:
        service.end()


@pytest.fixture(scope="module")
def service(database, tmp_path_factory) -> Iterator[Service]:
    """The service, which believes a proxy on 127.0.0.1."""
    output = tmp_path_factory.mktemp("service") / "log"
    with serving(database, output, SCEAU_TRUSTED_PROXIES="127.0.0.1/32") as running:
        running.ok("POST", "/v1/processings", processing("ads-mail"))
        yield running


@pytest.fixture(scope="module", params=NAMES)
def proxy(request, service, tmp_path_factory) -> Iterator[Proxy]:
    """Each of the proxies."""
    provide_proxies()
    with started(request.param, service.port, tmp_path_factory.mktemp("proxy") / "run") as running:
        eventually(lambda: answers(running))
        yield running


def client(proxy: Proxy, address: str = OUTSIDE) -> httpx2.Client:
    """A client that calls from an address of this machine."""
    transport = httpx2.HTTPTransport(verify=proxy.trusting(), local_address=address)
    return httpx2.Client(base_url=f"https://127.0.0.1:{proxy.port}", transport=transport, timeout=HANGS)


def raw(proxy: Proxy, request: bytes, address: str = OUTSIDE) -> Received:
    """The response to bytes."""
    with (
        socket.create_connection(("127.0.0.1", proxy.port), HANGS, source_address=(address, 0)) as plain,
        proxy.trusting().wrap_socket(plain, server_hostname="127.0.0.1") as line,
    ):
        line.sendall(request)
        return read_response(line)


def status(proxy: Proxy, target: str, address: str = OUTSIDE, fields: str = "") -> int:
    """The status of a GET, its target sent as it is."""
    request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n".encode()
    return int(raw(proxy, request, address).line.split(" ")[1])


def answers(proxy: Proxy, *wanted: int) -> bool:
    """Whether it is ready: HAProxy asks the service first, Caddy makes its certificate."""
    try:
        return status(proxy, "/livez") in (wanted or {200})
    except OSError:
        return False


def test_a_decision_passes(proxy):
    """A caller outside gets the service's answer."""
    with client(proxy) as caller:
        answer = caller.post(
            "/access/v1/evaluation",
            json=question("alice", "ads-mail"),
            headers={"Authorization": f"Bearer {BOOTSTRAP}"},
        )
    assert (answer.status_code, answer.json()["context"]["reason"]) == (200, "no_consent")


@pytest.mark.parametrize("protocol", UPGRADES)
def test_an_upgrade_is_not_passed_on(proxy, service, protocol):
    """Who asks for another protocol gets an answer in this one; the control: the service itself refuses to."""
    fields = UPGRADES[protocol]
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    assert status(proxy, "/livez", fields=lines) == 200
    assert service.client.get("/livez", headers=fields).status_code == 400


def test_an_oversized_head_is_refused_and_the_service_goes_on(proxy):
    """A head of 64 KiB is answered with 4xx by whoever reads it first, and the next request is answered."""
    refused = eventually(lambda: _status_of_a_long_head(proxy))
    assert 400 <= refused < 500
    assert status(proxy, "/livez") == 200


@pytest.mark.parametrize("path", SHUT)
def test_what_is_for_the_inside_is_refused_outside(proxy, path):
    """An outside address gets 403, an inside one the page; the control: others are open to both."""
    assert status(proxy, path) == 403
    assert status(proxy, path, INSIDE) in {200, 303}
    assert status(proxy, "/livez") == status(proxy, "/livez", INSIDE) == 200


@pytest.mark.parametrize("target", SPELT)
def test_another_spelling_opens_nothing(proxy, target):
    """No spelling of an address for the inside shows it outside."""
    assert status(proxy, target) in {400, 403, 404}


def test_no_address_below_consent_is_logged(proxy, tmp_path):
    """Neither an answer, nor another spelling, nor a service that is away, brings a link's token into the log."""
    token, other = secrets.token_hex(16), secrets.token_hex(16)
    targets = [
        f"/consent/{token}",
        f"//consent/{token}",
        f"/%63onsent/{token}",
        f"/CONSENT/{token}",
        f"/consent/?x={token}",
    ]
    (nobody,) = free_ports(1)
    with started(proxy.name, nobody, tmp_path / "run") as without:
        eventually(lambda: answers(without, 502, 503))
        for each in (proxy, without):
            for target in targets:
                status(each, target, fields=f"Referer: https://127.0.0.1/consent/{token}\r\n")
            _status_of_a_long_head(each, f"/consent/{token}")
            status(each, f"/v1/{other}")
            eventually(partial(_is_logged, each, other))
            assert token not in each.logged()


def _status_of_a_long_head(proxy: Proxy, target: str = "/livez") -> int:
    """The answer; 0 where it was lost: a proxy that closes with bytes unread has the system reset the connection."""
    try:
        return status(proxy, target, fields=f"X-Long: {'x' * 65_536}\r\n")
    except OSError:
        return 0


def _is_logged(proxy: Proxy, other: str) -> bool:
    """The control: a request that is no person's page is in the log; Caddy names no address, and has a line for it."""
    wanted = '"logger":"http.log.access' if proxy.name == "caddy" else other
    return wanted in proxy.logged()


def test_callers_are_told_apart_by_the_proxy_that_is_believed(proxy):
    """Each address has its own bound on unknown keys, and what a caller says of itself changes nothing."""
    place = NAMES.index(proxy.name)
    noisy, quiet = f"127.0.1.{place}", f"127.0.2.{place}"
    assert _refusals(proxy, noisy) == [401] * QUOTA + [429]
    assert _unknown_key(proxy, noisy, "X-Forwarded-For: 198.51.100.7\r\nForwarded: for=198.51.100.7\r\n") == 429
    assert _unknown_key(proxy, quiet) == 401


def test_a_proxy_that_is_not_believed_is_one_address(proxy, database, tmp_path):
    """The control: without SCEAU_TRUSTED_PROXIES all who come through the proxy share its bound."""
    with serving(database, tmp_path / "log") as other, started(proxy.name, other.port, tmp_path / "run") as second:
        eventually(lambda: answers(second))
        assert _refusals(second, "127.0.3.1") == [401] * QUOTA + [429]
        assert _unknown_key(second, "127.0.3.2") == 429


def test_no_address_is_in_the_service_s_log(proxy, service):
    """The service bounds callers by their address and writes none down."""
    status(proxy, "/v1/processings", "127.0.4.1")
    assert not re.search(r"127\.0\.[1-4]\.\d", service.output.read_text())


def _refusals(proxy: Proxy, address: str) -> list[int]:
    return [_unknown_key(proxy, address) for _ in range(QUOTA + 1)]


def _unknown_key(proxy: Proxy, address: str, fields: str = "") -> int:
    return status(proxy, "/v1/processings", address, f"Authorization: Bearer {secrets.token_hex(20)}\r\n{fields}")
