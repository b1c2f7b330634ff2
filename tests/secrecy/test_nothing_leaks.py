import json
import os
import subprocess
import sys
from urllib.parse import urlencode, urlsplit

import pytest

from app.api.http.security import scopes_by_route
from app.main import create_app
from tests.secrecy.markers import MARKERS, PLANTED, Marker, leaks
from tests.secrecy.requests import BODIES, Route, Sent, requests_beside_every_route, requests_for, well_formed
from tests.support.api import processing, settings_for, subject
from tests.support.consent_page import Page
from tests.support.consents import grant
from tests.support.databases import TestDatabase

WITH_BODY = {"POST", "PUT", "PATCH"}
NOWHERE = "postgresql://nobody@localhost/none"
SINKS_WITH_A_CONTROL = {
    "service output",
    "PostgreSQL log",
    "metrics",
    "response headers",
    "table planted",
    "traces",
}


def _routes() -> list[Route]:
    return list(scopes_by_route(create_app(settings_for(TestDatabase("none", NOWHERE, NOWHERE)))))


def _everything(consent: str) -> list[Sent]:
    """All requests, the ones that end a consent among them."""
    return [*(sent for route in _routes() for sent in requests_for(route, consent)), *requests_beside_every_route()]


def _what_reaches_the_database(consent: str) -> list[Sent]:
    return [sent for route in _routes() for sent in well_formed(route, consent)]


@pytest.fixture(scope="module")
def consent(deployment):
    """A consent on a registered processing, of somebody who is not marked."""
    service = deployment.service
    service.ok("POST", "/v1/processings", processing("ads-mail", party_mode="all_local_users"))
    service.ok("POST", "/v1/processings", processing("filter", purpose="unsolicited_content_detection"))
    identifier: str = service.ok("POST", "/v1/consents", grant("nobody", "ads-mail"))["id"]
    return identifier


def _assert_nothing_leaked(deployment) -> None:
    leaked = leaks(deployment.news(), MARKERS)
    assert not leaked, "\n".join(leaked)


def test_no_route_is_left_out():
    """Every route that takes a body has a marked one here, and no line is for a route that is gone."""
    assert {route for route in _routes() if route[0] in WITH_BODY} == set(BODIES)


def test_marked_identifiers_come_out_nowhere(deployment, consent):
    """Ids sent through every route, in every place, are in no log, header, metric, outbox row or column."""
    for sent in _everything(consent):
        deployment.send(sent)
    assert deployment.statuses >= {200, 201, 400, 401, 404, 405, 409, 415, 422}
    _assert_nothing_leaked(deployment)


def test_the_token_of_a_link_comes_out_nowhere(deployment, consent):
    """A real link, opened, answered, sent twice and altered: its token is only where it was handed out."""
    body = {
        "subject": subject("somebody"),
        "processings": ["ads-mail"],
        "authentication": "mailbox",
        "kind": "decide",
    }
    path = urlsplit(deployment.service.ok("POST", "/v1/consent-links", body)["url"]).path
    fields = Page(deployment.send(Sent("GET", path))).filled("accept", "ads-mail")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    statuses = [
        deployment.send(Sent("POST", path, urlencode({**fields, **more}).encode(), form)).status_code
        for more in ({"shown": MARKERS["malformed"].address}, {}, {}, {"press": MARKERS["malformed"].address})
    ]
    assert statuses == [400, 303, 409, 400]
    token = path.rpartition("/")[2]
    marker = Marker("token of a link", token)
    # Its SHA-256 is what the database looks it up by; the token is random, so nothing can be found out from that.
    assert [
        each for each in leaks(deployment.sinks(), {"token": marker}) if ", as sha256 with no key" not in each
    ] == []
    assert leaks({"control": path.encode()}, {"token": marker})
    _assert_nothing_leaked(deployment)


def test_database_errors_let_nothing_out(deployment, consent):
    """The same while the ledger cannot be written and its statements fail half-way."""
    with deployment.server.administrator() as administrator:
        administrator.execute("ALTER TABLE consent_event RENAME TO gone")
        try:
            statuses = {deployment.send(sent).status_code for sent in _what_reaches_the_database(consent)}
        finally:
            administrator.execute("ALTER TABLE gone RENAME TO consent_event")
    assert 500 in statuses
    _assert_nothing_leaked(deployment)


def test_errors_that_quote_an_identifier_let_nothing_out(deployment, consent):
    """The same while each session of the database fails with an id in its error's message, cause and note."""
    deployment.sabotage.write_text(MARKERS["exception"].address)
    try:
        statuses = {deployment.send(sent).status_code for sent in _what_reaches_the_database(consent)}
    finally:
        deployment.sabotage.unlink()
    assert 500 in statuses
    _assert_nothing_leaked(deployment)


def test_what_tokens_say_comes_out_nowhere(deployment, consent):
    """Access tokens, good ones of strangers and bad ones, with marks in every claim: nothing of them is told."""
    provider, marked = deployment.provider, MARKERS["token"].address
    claims = {
        "iss": provider.url,
        "email": marked,
        "jti": marked,
        "client_id": marked,
        "scope": f"register:read {marked}",
    }
    tokens = [
        provider.token(marked, **claims),
        provider.token(marked, **claims, header={"kid": marked}),
        provider.token(marked, **claims, header={"typ": marked}),
        provider.token(marked, **{**claims, "iss": f"https://{marked}"}),
        provider.token(marked, **{**claims, "aud": marked}),
        provider.token(marked, **claims, exp=1),
        provider.token(marked, **claims)[:-9] + "Zq7Altered",
    ]
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        for method, path, body in (("GET", "/v1/processings", None), ("POST", "/access/v1/evaluation", b"{}")):
            assert deployment.send(Sent(method, path, body, headers)).status_code == 401
    _assert_nothing_leaked(deployment)


def test_each_kind_of_sink_would_give_it_away(deployment, consent):
    """Control: a marker that the service was made to let out is found in each kind of sink."""
    deployment.send(Sent("GET", "/metrics"))
    leaked = leaks(deployment.sinks(), PLANTED)
    assert {sink for sink in SINKS_WITH_A_CONTROL if any(f"in {sink}, as" in each for each in leaked)} == (
        SINKS_WITH_A_CONTROL
    )


OF_A_LOOP = """
import asyncio, gc, sys, time, uvloop
from app.telemetry.logs import configure_logs

async def fail(word):
    await asyncio.sleep(0)
    raise LookupError(word)

async def slow(word):
    time.sleep(0.15)
    return word

def call(word):
    raise KeyError(word)

async def work(word):
    asyncio.get_running_loop().call_soon(call, word)
    lost = asyncio.create_task(fail(word))
    for _ in range(3):
        await asyncio.sleep(0)
    del lost
    gc.collect()
    await asyncio.create_task(slow(word))
    pending = asyncio.create_task(asyncio.sleep(9, word))
    await asyncio.sleep(0)
    pending.get_coro().close()
    del pending
    gc.collect()

configure_logs(level="DEBUG", as_json=True)
loop = uvloop.new_event_loop() if sys.argv[1] == "uvloop" else asyncio.new_event_loop()
loop.set_debug(sys.argv[2] == "debug")
asyncio.set_event_loop(loop)
loop.run_until_complete(work(sys.argv[3]))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("mode", ["debug", "as it runs"])
def test_what_an_event_loop_reports_shows_no_values(loop, mode):
    """A lost task and a failed callback are logged by type and place: no message, result or argument of theirs."""
    word = MARKERS["exception"].word
    done = subprocess.run([sys.executable, "-c", OF_A_LOOP, loop, mode, word], capture_output=True, check=True)
    assert leaks({"log": done.stderr}, MARKERS) == []
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    exceptions = {line["event"]: "".join(line.get("exception", ())) for line in lines}
    assert exceptions["Task exception was never retrieved"].startswith("builtins.LookupError in fail (")
    (of_callback,) = [exception for event, exception in exceptions.items() if event.startswith("Exception in callback")]
    assert of_callback.startswith("builtins.KeyError in call (")
    assert ("Executing %s took %.3f seconds" in exceptions) == (mode == "debug")


OF_A_COMMAND = """
import asyncio, gc, logging, sys, structlog
from app.cli.connecting import settings_here

def fail(word):
    raise LookupError(word)

async def lose(word):
    lost = asyncio.create_task(asyncio.sleep(0))
    lost.get_loop().call_soon(fail, word)
    await lost

settings_here()
for log in (structlog.get_logger("sceau.test"), logging.getLogger("sceau.test")):
    try:
        fail(sys.argv[1])
    except LookupError:
        log.warning("it failed", exc_info=True)
asyncio.run(lose(sys.argv[1]))
"""


def test_what_a_command_logs_shows_no_values():
    """Each warning of a command is a line on standard error with type and place, and no message or variable."""
    word = MARKERS["exception"].word
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    command = [sys.executable, "-c", OF_A_COMMAND, word]
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert leaks({"standard output": done.stdout, "standard error": done.stderr}, MARKERS) == []
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.stdout, [line["event"] for line in lines]) == (b"", [*["it failed"] * 2, "Exception in callback fail"])
    assert all(line["exception"][0].startswith("builtins.LookupError in fail (") for line in lines)
