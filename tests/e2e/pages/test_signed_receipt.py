"""The receipt that a person saves from the page, in a browser, verifies where nothing of Sceau is but the verifier."""

import os
import runpy
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from tests.e2e.pages.consent import ADS, Operator, press
from tests.e2e.service import service
from tests.faults.service import eventually
from tests.support.api import subject

PERSON = "keeper@exemple-courriel.example"
INCOMPLETE = 3
"""A receipt cannot show by itself that its consent still stands, nor that the register said what it tells."""


def _sceau(*words):
    command = [str(Path(sys.executable).with_name("sceau")), "proof", *words]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=True).stdout


def _saved(browser, operator, link, place):
    """The receipt of the first answer, saved by pressing its link once the log has taken it."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(link)
    press(page, ADS, "accept")
    (consent,) = operator.ok("/v1/consents/search", {"subject": subject(PERSON)})["items"]
    proof = f"/v1/consents/{consent['id']}/proof"
    eventually(lambda: operator.client.get(proof).status_code == 200)
    with page.expect_download() as saved:
        page.click("a[href*='receipt=signed']")
    assert saved.value.suggested_filename.startswith("recu-de-consentement-")
    saved.value.save_as(place)
    context.close()


@pytest.mark.deep
def test_a_saved_receipt_verifies_a_year_later_with_the_verifier_file_alone(browser, tmp_path, monkeypatch, capsys):
    """The service is gone, its data is out of reach, and the clock has moved on by a year."""
    data, alone = tmp_path / "data", tmp_path / "alone"
    alone.mkdir()
    with service(data) as (address, key):
        operator = Operator(address, key)
        operator.register()
        _saved(browser, operator, operator.link(PERSON, ADS), alone / "receipt.jwt")
        keys = _sceau("key", "--data", str(data)).strip().split("\n")
        operator.client.close()
    (alone / "verify.py").write_text(_sceau("verify", "--script"))
    data.rename(tmp_path / "gone")
    options = [part for each in keys for part in ("--key", each)]
    words = [sys.executable, "-I", "verify.py", "receipt.jwt", *options]
    today = subprocess.run(words, capture_output=True, text=True, check=False, cwd=alone, env={})
    assert (today.returncode, "the entry stands in the log" in today.stdout) == (INCOMPLETE, True), today.stderr
    assert PERSON not in (alone / "receipt.jwt").read_text()
    monkeypatch.chdir(alone)
    monkeypatch.setattr(sys, "argv", ["verify.py", "receipt.jwt", *options])
    with time_machine.travel(datetime.now(UTC) + timedelta(days=366)), pytest.raises(SystemExit) as ended:
        runpy.run_path("verify.py", run_name="__main__")
    assert (ended.value.code, capsys.readouterr().out) == (INCOMPLETE, today.stdout)
    receipt = (alone / "receipt.jwt").read_text()
    (alone / "receipt.jwt").write_text(receipt[:-4] + ("AAAA" if receipt[-4:] != "AAAA" else "BBBB"))
    changed = subprocess.run(words, capture_output=True, text=True, check=False, cwd=alone, env={})
    assert (changed.returncode, "it was changed" in changed.stdout) == (1, True)
