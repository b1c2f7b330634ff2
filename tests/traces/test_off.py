"""Traces are off by default, and cost nothing then."""

import json
import subprocess
import sys
import threading
from typing import cast

from app.api.decisions.endpoint import SINGLE, DecisionEndpoint, request_of
from app.api.decisions.words import Reply
from app.settings import Settings
from app.telemetry import spans
from tests.faults.service import ROOT, environment, eventually
from tests.support.api import BOOTSTRAP, question, running

SDK = "opentelemetry.sdk"
MADE = """
import sys
from app.main import create_app
from app.settings import Settings
create_app(Settings.load())
print(" ".join(sys.modules))
"""
DATABASE = {"SCEAU_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}


def loaded(**more):
    """The modules that a process has loaded once it has made the application."""
    line = [sys.executable, "-c", MADE]
    done = subprocess.run(
        line, env=environment(**DATABASE, **more), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_they_are_off_unless_a_setting_says_otherwise():
    """The variables of OpenTelemetry alone turn nothing on."""
    assert Settings.model_fields["traces"].default == "off"
    assert SDK not in loaded(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", FASTAPI_OTEL_AUTO_CONFIGURE="true")


def test_the_sdk_is_loaded_where_they_are_on():
    """The control: the look at modules finds the SDK when traces are on."""
    assert SDK in loaded(SCEAU_TRACES="otlp")


def test_a_decision_asks_once_while_they_are_off(database, monkeypatch):
    """Off, an answer from memory asks once whether there is a tracer, and calls nothing else of traces."""
    called, here = [], threading.get_ident()

    def recorded(name, function):
        def call(*words, **more):
            if threading.get_ident() == here:  # the service's own loop, in another thread, goes on meanwhile
                called.append(name)
            return function(*words, **more)

        return call

    with running(database, cache="leased") as api:
        api.register("ads")
        eventually(lambda: api.ok("GET", "/readyz")["leased"])
        body = json.dumps(question("alice", "ads")).encode()
        fields = [(b"authorization", f"Bearer {BOOTSTRAP}".encode()), (b"content-type", b"application/json")]
        head = request_of(SINGLE, fields, dict(fields))
        endpoint = cast("DecisionEndpoint", api.client.app.state.decisions)  # type: ignore[attr-defined]
        with monkeypatch.context() as patch:
            for name in ("tracer", "note", "within", "end", "trace_id", "cause"):
                patch.setattr(spans, name, recorded(name, getattr(spans, name)))

            def answered():
                api.evaluate("alice", "ads")  # on a loaded machine the lease may be lost, and what was held with it
                called.clear()
                return isinstance(endpoint.at_once(head, body), Reply)

            eventually(answered)
    assert called == ["tracer"]


def test_a_missing_package_is_told():
    """Where the SDK is not installed, the setting is refused in one line with the remedy."""
    code = f"import sys; sys.modules[{SDK!r}] = None\n{MADE}"
    env = environment(**DATABASE, SCEAU_TRACES="otlp")
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "SCEAU_TRACES is otlp, and OpenTelemetry's SDK is not installed: pip install 'sceau[otel]'" in done.stderr
