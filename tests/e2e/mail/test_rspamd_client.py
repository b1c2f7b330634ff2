import contextlib

import pytest

from tests.e2e.mail.letters import OUTSIDER, Letter
from tests.e2e.mail.rspamd import redis, rspamd
from tests.e2e.mail.world import ADS, EVERYONE, TRAINING, Alone, rspamd_files, scratch
from tests.e2e.wiretap import FAILING, answering, tapped
from tests.faults.service import eventually

# Stand-ins for analyses: each is seen in what a scan finds.
_SYMBOLS = """
for _, name in ipairs({ 'ANALYSED', 'BY_EVERYONE', 'BY_BOTH', 'SPAM_ANALYSIS' }) do
  rspamd_config:register_symbol({ name = name, score = 0.0, callback = function() return true, 1.0 end })
end
"""
_MORE = """
recipient_delimiter = "+";
login_domain = "example.fr";
aliases = "@folder@/aliases";
processings {
  "ads-everyone" {
    party_mode = "all_parties";
    elements = ["content"];
    symbols = ["BY_EVERYONE", "BY_BOTH"];
  }
"""
ALIASES = "ventes@example.fr alice@example.fr,carol@example.fr\ncontact@example.fr alice@example.fr\n"


def files_for(sceau, folder, address):
    """The README's settings with stand-ins for analyses, and with the settings that it tells of besides."""
    files = rspamd_files(sceau, folder, address)
    (folder / "aliases").write_text(ALIASES)
    settings = files["local.d/sceau.conf"].replace("processings {", _MORE, 1)
    settings = settings.replace('"EXPORT_METADATA_ads"', '"ANALYSED", "BY_BOTH", "MISSPELT"')
    files["local.d/sceau.conf"] = settings.replace("exempt = true;", 'exempt = true;\n    symbols = ["SPAM_ANALYSIS"];')
    files["lua.local.d/symbols.lua"] = _SYMBOLS
    return files


@pytest.fixture(scope="module")
def rspamd_alone(servers):
    """Start Rspamd alone on settings, until the module ends."""
    with contextlib.ExitStack() as kept:

        def started(sceau, change=lambda files: files, **how):
            folder = kept.enter_context(scratch())
            tap = kept.enter_context(tapped(sceau.address))
            port = kept.enter_context(redis(folder / "redis"))
            files = change(files_for(sceau, folder / "rspamd", tap.address))
            return Alone(kept.enter_context(rspamd(folder / "rspamd", port, files, **how)), tap)

        yield started


@pytest.fixture(scope="module")
def alone(rspamd_alone, sceau):
    """Rspamd with the settings above; Alice and Carol consent to everything, Bob to nothing."""
    for user in ("alice@example.fr", "carol@example.fr"):
        for processing in (ADS, TRAINING, EVERYONE):
            sceau.api.decide(user, processing)
    return rspamd_alone(sceau)


def scanned(alone, *recipients, sender=OUTSIDER, named=None, **headers):
    """What a scan found, and the requests that it led to."""
    mark = len(alone.tap.heard)
    letter = Letter(list(named or recipients), sender=sender)
    found = alone.rspamd.symbols(letter.raw, Rcpt=list(recipients), From=sender, **headers)
    return found, alone.tap.since(mark)


def asked_about(requests):
    """The users that were asked about."""
    (request,) = requests
    return {each["subject"]["id"] for each in request.json["evaluations"]}


def participants(requests, processing):
    """The participants of the questions about a processing, by the user asked about."""
    (request,) = requests
    return {
        each["subject"]["id"]: each["resource"]["properties"].get("participants")
        for each in request.json["evaluations"]
        if each["action"]["name"] == processing
    }


def test_users_are_the_recipients_that_are_ours(alone):
    """Tags are cut off, aliases become their users, capitals do not matter, outsiders are left out."""
    _, requests = scanned(alone, "Alice+News@Example.FR", "ventes@example.fr", "bob@example.fr", OUTSIDER)
    assert asked_about(requests) == {"alice@example.fr", "carol@example.fr", "bob@example.fr"}


def test_who_signed_in_is_a_user(alone):
    """By a whole address, by a name without a domain, or by an alias."""
    for login in ("carol@example.fr", "carol"):
        _, requests = scanned(alone, "bob@example.fr", sender="carol@example.fr", User=login)
        assert asked_about(requests) == {"bob@example.fr", "carol@example.fr"}
    _, requests = scanned(alone, OUTSIDER, sender="contact@example.fr", User="contact@example.fr")
    assert asked_about(requests) == {"alice@example.fr"}


def test_without_a_user_nothing_is_asked_and_nothing_analysed(alone):
    """A message of nobody's here, or of nobody at all: no question, no permit, no analysis."""
    for recipients in ([OUTSIDER], []):
        found, requests = scanned(alone, *recipients)
        assert requests == []
        assert not found & {"ANALYSED", "BY_EVERYONE", "BY_BOTH", "SCEAU_PERMIT"}


def test_symbols_run_by_the_processings_that_they_belong_to(alone):
    """One who consented to one of two processings has the first's symbol run, and not the one of both."""
    found, _ = scanned(alone, "alice@example.fr")
    assert "ANALYSED" in found
    assert not found & {"BY_EVERYONE", "BY_BOTH"}  # an outsider sent it
    found, _ = scanned(alone, "carol@example.fr", sender="alice@example.fr", User="alice@example.fr")
    assert {"ANALYSED", "BY_EVERYONE", "BY_BOTH"} <= found


def test_a_name_that_is_no_symbol_is_told_at_the_start(alone):
    """A misspelt symbol gates nothing, and the log says so; those that exist are not complained about."""
    eventually(lambda: "there is no symbol" in alone.rspamd.log.read_text())
    told = [line for line in alone.rspamd.log.read_text().splitlines() if "there is no symbol" in line]
    assert all("MISSPELT" in line for line in told)


def test_the_client_logs_no_identifiers(alone):
    """What it says of a message names neither a user nor a handle."""
    with alone.tap.fault(FAILING):
        _, (request,) = scanned(alone, "alice@example.fr", "bob@example.fr")
    eventually(lambda: "no usable answer" in alone.rspamd.log.read_text())
    said = [line for line in alone.rspamd.log.read_text().splitlines() if " sceau: " in line]
    handles = {each["resource"]["id"] for each in request.json["evaluations"]}
    assert [line for line in said if "@" in line or any(handle in line for handle in handles)] == []


def test_exempt_analyses_run_whatever_sceau_says(alone):
    """With a permit, a deny or no answer, and for nobody's message: no question names them."""
    for recipient in ("alice@example.fr", "bob@example.fr", OUTSIDER):
        assert "SPAM_ANALYSIS" in scanned(alone, recipient)[0]
    with alone.tap.refusing():
        found, _ = scanned(alone, "alice@example.fr")
    assert {"SPAM_ANALYSIS", "SCEAU_UNKNOWN"} <= found
    assert "ANALYSED" not in found
    assert not alone.tap.hears("spam-filter")


def test_outsiders_are_one_mark_without_a_name(alone):
    """Under `all_parties` Sceau learns that there is an outsider, never who; other modes do not even say that."""
    named = ["alice@example.fr", "un@ailleurs.example", "deux@ailleurs.example"]
    _, requests = scanned(alone, *named, sender="carol@example.fr", User="carol@example.fr")
    mark, carol = {"id": "outsider", "local": False}, {"id": "carol@example.fr", "local": True}
    assert participants(requests, EVERYONE)["alice@example.fr"] == [carol, mark]
    assert participants(requests, ADS)["alice@example.fr"] == [carol]
    assert participants(requests, TRAINING)["alice@example.fr"] is None
    assert b"ailleurs" not in requests[0].raw


def test_a_forged_sender_opens_nothing(alone):
    """Who did not sign in is an outsider, whatever the address; its user is asked as well."""
    found, requests = scanned(alone, "carol@example.fr", sender="alice@example.fr")
    assert asked_about(requests) == {"alice@example.fr", "carol@example.fr"}
    assert "ANALYSED" in found
    assert "BY_EVERYONE" not in found
    found, _ = scanned(alone, "carol@example.fr", sender="bob@example.fr")
    assert "ANALYSED" not in found


def test_parties_whom_only_the_header_names_count(alone):
    """The envelope is for one; the header names another of ours, and an outsider: both narrow what may be done."""
    login = {"sender": "alice@example.fr", "User": "alice@example.fr"}
    found, requests = scanned(alone, "carol@example.fr", named=["carol@example.fr", "bob@example.fr"], **login)
    assert {"id": "bob@example.fr", "local": True} in participants(requests, ADS)["carol@example.fr"]
    assert "ANALYSED" not in found
    found, _ = scanned(alone, "carol@example.fr", named=["carol@example.fr", OUTSIDER], **login)
    assert "ANALYSED" in found
    assert "BY_EVERYONE" not in found


YES = b'{"decision":true,"context":{"valid_until":"2999-01-01T00:00:00Z"}}'


def told(*items):
    """An answer with these items."""
    return b'{"evaluations":[' + b",".join(items) + b"]}"


def test_an_answer_that_permits_all_opens_the_gates(alone):
    """The control of the lies below: three items, all permits."""
    with alone.tap.fault(answering(200, told(YES, YES, YES))):
        found, _ = scanned(alone, "bob@example.fr")
    assert {"ANALYSED", "BY_EVERYONE", "BY_BOTH", "SCEAU_PERMIT"} <= found


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
        found, _ = scanned(alone, "alice@example.fr")
    assert symbol in found
    assert not found & {"ANALYSED", "BY_EVERYONE", "BY_BOTH", "SCEAU_PERMIT"}


def test_a_permit_that_has_ended_opens_nothing(alone):
    """A permit is good until `valid_until`, also while one message is looked at."""
    ended = YES.replace(b"2999", b"2024")
    with alone.tap.fault(answering(200, told(ended, ended, ended))):
        found, _ = scanned(alone, "alice@example.fr")
    assert not found & {"ANALYSED", "BY_EVERYONE", "BY_BOTH"}


def test_more_users_than_a_request_holds_are_not_asked_about(alone):
    """More than a thousand questions: none is sent, nothing is analysed, the scan goes on."""
    found, requests = scanned(alone, *(f"u{number}@example.fr" for number in range(334)), named=["liste@example.fr"])
    assert requests == []
    assert "SCEAU_UNKNOWN" in found
    assert "SPAM_ANALYSIS" in found


def broken(text, instead):
    """Change the settings of the client."""

    def change(files):
        assert text in files["local.d/sceau.conf"]
        return {**files, "local.d/sceau.conf": files["local.d/sceau.conf"].replace(text, instead, 1)}

    return change


@pytest.mark.parametrize(
    "how",
    [
        {"without": "sceau_tokens.lua"},
        {"change": broken("key_file", "no_key_file")},
        {"change": broken("sceau.secret", "nowhere.secret")},
        {"change": broken("local_domains", "no_local_domains")},
        {"change": broken('party_mode = "user_only"', 'party_mode = "nobody"')},
    ],
    ids=["a file missing", "no key", "no secret", "no domains", "an unknown mode"],
)
def test_a_client_that_cannot_start_shuts_the_gates_and_nothing_else(rspamd_alone, sceau, how):
    """Half an installation, or settings that cannot be: mail is scanned, exempt analyses run, others do not."""
    half = rspamd_alone(sceau, **how)
    found, requests = scanned(half, "alice@example.fr", sender="carol@example.fr", User="carol@example.fr")
    assert requests == []
    assert "SPAM_ANALYSIS" in found
    assert not found & {"ANALYSED", "BY_EVERYONE", "BY_BOTH"}
    assert half.rspamd.learn("spam", Letter(["alice@example.fr"]).raw) == 204
    eventually(lambda: "nothing is analysed" in half.rspamd.log.read_text())
