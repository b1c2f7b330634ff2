import re

import pytest

from tests.e2e.mail.alone import changed, scanned, started
from tests.e2e.mail.letters import OUTSIDER, Letter
from tests.e2e.wiretap import FAILING, answering
from tests.faults.service import eventually


def test_symbols_run_by_the_processings_that_they_belong_to(alone):
    """One who consented to one of two processings has the first's symbol run, and not the one of both."""
    symbols, _ = scanned(alone, "alice@example.fr")
    assert "ANALYSED" in symbols
    assert not symbols & {"BY_EVERYONE", "BY_BOTH"}  # an outsider sent it
    symbols, _ = scanned(alone, "carol@example.fr", sender="alice@example.fr", User="alice@example.fr")
    assert {"ANALYSED", "BY_EVERYONE", "BY_BOTH"} <= symbols


def test_a_name_that_is_no_symbol_is_told_at_the_start(alone):
    """A misspelt symbol gates nothing, and the log says so; those that exist are not complained about."""
    eventually(lambda: "there is no symbol" in alone.rspamd.log.read_text())
    warnings = [line for line in alone.rspamd.log.read_text().splitlines() if "there is no symbol" in line]
    assert all("MISSPELT" in line for line in warnings)


def test_what_is_gated_is_told_at_the_start(alone):
    """Which processings are asked about, which symbols need which, whether Bayes learns, and what is exempt."""
    mark = "asks about: ads-everyone, ads-mail, filter-training; "
    symbols = ("ANALYSED by ads-mail", "BY_EVERYONE by ads-everyone", "MISSPELT by ads-mail")
    (announced, *_) = [line for line in alone.rspamd.log.read_text().splitlines() if mark in line]
    assert all(each in announced for each in symbols)
    assert "BY_BOTH by ads-mail and ads-everyone" in announced or "BY_BOTH by ads-everyone and ads-mail" in announced
    assert announced.endswith("learning: filter-training; exempt and never asked about: spam-filter")


def test_what_is_set_otherwise_than_it_is_registered_is_told_by_its_reason(servers, sceau):
    """An element that the register does not declare denies everybody: the log says so once in a worker."""
    more = changed(('elements = ["content", "subject_line", "correspondent_identity"]', 'elements = ["attachments"]'))
    with started(sceau, more) as alone:
        for _ in range(3):
            symbols, _ = scanned(alone, "alice@example.fr")
            assert "SCEAU_DENY" in symbols
        misfit = "ads-mail is denied to everybody (undeclared_element: "
        eventually(lambda: misfit in alone.rspamd.log.read_text())
        warnings = [line for line in alone.rspamd.log.read_text().splitlines() if misfit in line]
        workers = [re.findall(r"#(\d+)\(", line) for line in warnings]
        assert len(workers) == len({tuple(each) for each in workers})
        assert all(workers)
        assert not any("@" in line for line in warnings)


def test_a_refusal_is_told_by_its_status_and_its_word(alone):
    """A key without the scope: the log has the word of the problem, and nothing else that was said."""
    body = b'{"type":"urn:sceau:problem:scope-missing","detail":"zq-detail"}'
    with alone.tap.fault(answering(403, body)):
        scanned(alone, "alice@example.fr")
    eventually(lambda: "no usable answer (status 403, scope-missing)" in alone.rspamd.log.read_text())
    assert "zq-detail" not in alone.rspamd.log.read_text()


def test_the_client_logs_no_identifiers(alone):
    """What it says of a message names neither a user nor a handle."""
    with alone.tap.fault(FAILING):
        _, (request,) = scanned(alone, "alice@example.fr", "bob@example.fr")
    eventually(lambda: "no usable answer" in alone.rspamd.log.read_text())
    lines = [line for line in alone.rspamd.log.read_text().splitlines() if " sceau: " in line]
    handles = {each["resource"]["id"] for each in request.json["evaluations"]}
    assert [line for line in lines if "@" in line or any(handle in line for handle in handles)] == []


def test_exempt_analyses_run_whatever_sceau_says(alone):
    """With a permit, a deny or no answer, and for nobody's message: no question names them."""
    for recipient in ("alice@example.fr", "bob@example.fr", OUTSIDER):
        assert "SPAM_ANALYSIS" in scanned(alone, recipient)[0]
    with alone.tap.refusing():
        symbols, _ = scanned(alone, "alice@example.fr")
    assert {"SPAM_ANALYSIS", "SCEAU_UNKNOWN"} <= symbols
    assert "ANALYSED" not in symbols
    assert not alone.tap.hears("spam-filter")


YES = b'{"decision":true,"context":{"valid_until":"2999-01-01T00:00:00Z"}}'


def told(*items):
    """An answer with these items."""
    return b'{"evaluations":[' + b",".join(items) + b"]}"


def test_an_answer_that_permits_all_opens_the_gates(alone):
    """The control of the lies below: three items, all permits."""
    with alone.tap.fault(answering(200, told(YES, YES, YES))):
        symbols, _ = scanned(alone, "bob@example.fr")
    assert {"ANALYSED", "BY_EVERYONE", "BY_BOTH", "SCEAU_PERMIT"} <= symbols


@pytest.mark.parametrize(
    ("status", "body", "symbol"),
    [
        (200, told(YES, YES), "SCEAU_UNKNOWN"),
        (200, told(YES, YES, YES, YES), "SCEAU_UNKNOWN"),
        (200, told(), "SCEAU_UNKNOWN"),
        (200, YES, "SCEAU_UNKNOWN"),
        (200, b"", "SCEAU_UNKNOWN"),
        (200, b"permit", "SCEAU_UNKNOWN"),
        (200, b"[true,true,true]", "SCEAU_UNKNOWN"),
        (200, told(YES, YES, YES)[:-2], "SCEAU_UNKNOWN"),
        (203, told(YES, YES, YES), "SCEAU_UNKNOWN"),
        (403, told(YES, YES, YES), "SCEAU_UNKNOWN"),
        (503, told(YES, YES, YES), "SCEAU_UNKNOWN"),
        (200, told(*[b'{"decision":"true"}'] * 3), "SCEAU_UNKNOWN"),
        (200, told(*[b'{"decision":1}'] * 3), "SCEAU_UNKNOWN"),
        (200, told(*[b"{}"] * 3), "SCEAU_UNKNOWN"),
        (200, told(*[b"true"] * 3), "SCEAU_UNKNOWN"),
        (200, told(*[b'{"decision":true,"context":{"error":{"status":503}}}'] * 3), "SCEAU_UNKNOWN"),
        (200, told(*[b'{"decision":false,"context":{"error":{"status":503}}}'] * 3), "SCEAU_UNKNOWN"),
        (200, told(*[b'{"decision":false,"context":{}}'] * 3), "SCEAU_DENY"),
    ],
)
def test_an_answer_that_is_none_opens_nothing(alone, status, body, symbol):
    """Too few items, too many, other types, other statuses, broken off: no analysis; only a deny is called a deny."""
    with alone.tap.fault(answering(status, body)):
        symbols, _ = scanned(alone, "alice@example.fr")
    assert symbol in symbols
    assert not symbols & {"ANALYSED", "BY_EVERYONE", "BY_BOTH", "SCEAU_PERMIT"}


def test_a_permit_that_has_ended_opens_nothing(alone):
    """A permit is good until `valid_until`, also while one message is looked at."""
    ended = YES.replace(b"2999", b"2024")
    with alone.tap.fault(answering(200, told(ended, ended, ended))):
        symbols, _ = scanned(alone, "alice@example.fr")
    assert not symbols & {"ANALYSED", "BY_EVERYONE", "BY_BOTH"}


def test_a_gate_that_raises_is_shut(alone):
    """A fault inside the gate, in spite of a permit: no analysis; exempt ones run, and the scan goes on."""
    symbols, _ = scanned(alone, "alice@example.fr", Fault="yes")
    assert {"SCEAU_PERMIT", "SPAM_ANALYSIS"} <= symbols
    assert "ANALYSED" not in symbols
    assert "ANALYSED" in scanned(alone, "alice@example.fr")[0]


def test_more_users_than_a_request_holds_are_not_asked_about(alone):
    """More than a thousand questions: none is sent, nothing is analysed, the scan goes on."""
    symbols, requests = scanned(alone, *(f"u{number}@example.fr" for number in range(334)), named=["liste@example.fr"])
    assert requests == []
    assert "SCEAU_UNKNOWN" in symbols
    assert "SPAM_ANALYSIS" in symbols


ADS_BLOCK = '"ads-mail" {'
AGAIN = '"ads-mail" {\n    elements = ["content"];\n    symbols = ["ANALYSED"];\n  }\n  "ads-mail" {'
LIST = 'symbols = ["ANALYSED", "BY_BOTH", "MISSPELT"]'


def unmerged(*pairs):
    """Change the settings, and have Rspamd keep blocks of one name apart."""

    def change(files):
        section = files["rspamd.conf.local"]
        assert "; duplicate=merge" in section
        return changed(*pairs)({**files, "rspamd.conf.local": section.replace("; duplicate=merge", "")})

    return change


WRONG = {
    "a file missing": {"without": "sceau_tokens.lua"},
    "no key": {"change": changed(("key_file", "# key_file"))},
    "no secret": {"change": changed(("sceau.secret", "nowhere.secret"))},
    "no domains": {"change": changed(("local_domains", "# local_domains"))},
    "an unknown mode": {"change": changed(('party_mode = "user_only"', 'party_mode = "nobody"'))},
    "no key, no list": {"change": changed(("key_file", "# key_file"), (LIST, 'symbols = "ANALYSED"'))},
    "a processing twice": {"change": unmerged((ADS_BLOCK, AGAIN))},
    "processings twice": {"change": unmerged(("processings {", "processings {}\nprocessings {"))},
    "aliases that are no map": {"change": changed(('aliases = "@folder@/aliases"', "aliases = 5"))},
    "a misspelt setting": {"change": changed(("recipient_delimiter", "recipients_delimiter"))},
    "misspelt symbols": {
        "change": changed((LIST, 'simbols = ["ANALYSED"]'), ('symbols = ["BY_EVERYONE"', 'symbol = ["BY_EVERYONE"'))
    },
    "misspelt processings": {"change": changed(("\nprocessings {", "\nprocesings {"))},
    "a misspelt setting of learning": {"change": changed(("keys =", "key ="))},
}
"""By what is wrong: half an installation, or settings that cannot be."""


@pytest.mark.parametrize("how", WRONG.values(), ids=WRONG)
def test_a_client_that_cannot_start_shuts_the_gates_and_nothing_else(servers, sceau, how):
    """Half an installation, or settings that cannot be: mail is scanned, exempt analyses run, others do not."""
    with started(sceau, **how) as half:
        symbols, requests = scanned(half, "alice@example.fr", sender="carol@example.fr", User="carol@example.fr")
        assert requests == []
        assert "SPAM_ANALYSIS" in symbols
        assert not symbols & {"ANALYSED", "BY_EVERYONE"}
        assert half.rspamd.learn("spam", Letter(["alice@example.fr"]).raw) == 204
        eventually(lambda: "nothing is analysed" in half.rspamd.log.read_text())
