import pytest

from tests.e2e.mail.alone import asked_about, changed, participants, scanned, started
from tests.e2e.mail.letters import OUTSIDER
from tests.e2e.mail.world import ADS, EVERYONE, TRAINING

ANALYSES = {"ANALYSED", "BY_EVERYONE", "BY_BOTH", "SCEAU_PERMIT"}
MARK = {"id": "outsider", "local": False}


def test_users_are_the_recipients_that_are_ours(alone):
    """Tags are cut off, aliases become their users, capitals do not matter, outsiders are left out."""
    _, requests = scanned(alone, "Alice+News@Example.FR", "ventes+x@example.fr", "bob@example.fr", OUTSIDER)
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
        symbols, requests = scanned(alone, *recipients)
        assert requests == []
        assert not symbols & ANALYSES


@pytest.mark.parametrize(
    "recipients",
    [[], ["<bob>"], ["bob%example.fr"], ["<b..b@example.fr>"], ["alice@example.fr", "bob@[127.0.0.1]"]],
    ids=["nobody", "no domain", "percent", "two dots", "an address literal"],
)
def test_whose_message_it_is_must_be_known(alone, recipients):
    """Without a recipient that Rspamd can read, and with one at an address, who signed in does not decide alone."""
    symbols, requests = scanned(
        alone, *recipients, named=[OUTSIDER], sender="alice@example.fr", User="alice@example.fr"
    )
    assert requests == []
    assert not symbols & ANALYSES


def test_every_spelling_of_a_domain_of_ours_is_ours(alone):
    """Capitals with accents and the form of DNS: the user is the one of the domain as the settings have it."""
    for domain in ("xn--caf-dma.example", "CAFÉ.example", "café.EXAMPLE", "XN--CAF-DMA.example"):
        _, requests = scanned(alone, f"Zoé@{domain}", named=["liste@example.fr"])
        assert asked_about(requests) == {"zoé@café.example"}


def test_an_alias_that_leads_elsewhere_is_an_outsider(alone):
    """Its address is not sent to Sceau; that there is an outsider is."""
    _, requests = scanned(alone, "dehors@example.fr", sender="carol@example.fr", User="carol@example.fr")
    assert asked_about(requests) == {"alice@example.fr", "carol@example.fr"}
    assert MARK in participants(requests, EVERYONE)["alice@example.fr"]
    assert b"ailleurs" not in requests[0].raw


def test_in_whose_name_a_message_is_sent_is_asked_too(alone):
    """Who signed in sends as another of ours: both are asked about, and neither is an outsider."""
    symbols, requests = scanned(alone, "carol@example.fr", sender="bob@example.fr", User="alice@example.fr")
    assert asked_about(requests) == {"alice@example.fr", "bob@example.fr", "carol@example.fr"}
    assert MARK not in participants(requests, EVERYONE)["alice@example.fr"]
    assert not symbols & ANALYSES
    _, requests = scanned(alone, "carol@example.fr", named=["carol@example.fr"], sender="", User="alice@example.fr")
    assert asked_about(requests) == {"alice@example.fr", "carol@example.fr"}


@pytest.fixture(scope="module")
def plain(servers, sceau, alone):
    """Rspamd without a delimiter, with a symbol that is no list, and with a mode that is weaker than the register's."""
    change = changed(
        ('recipient_delimiter = "+";\n', ""),
        ('party_mode = "all_parties"', 'party_mode = "all_local_users"'),
        ('["ANALYSED", "BY_BOTH", "MISSPELT"]', '"ANALYSED"'),
    )
    with started(sceau, change) as running:
        yield running


def test_a_tag_is_cut_off_only_where_the_settings_say_so(plain):
    """Rspamd has cut tags off before: without a delimiter the mailbox with the tag is the one asked about."""
    symbols, requests = scanned(plain, "alice+bob@example.fr", sender="carol+x@example.fr")
    assert asked_about(requests) == {"alice+bob@example.fr", "carol+x@example.fr"}
    assert not symbols & ANALYSES
    assert {"id": "carol+x@example.fr", "local": True} in participants(requests, ADS)["alice+bob@example.fr"]
    _, requests = scanned(plain, "alice+bob@example.fr", "alice@example.fr")
    assert asked_about(requests) == {"alice+bob@example.fr", "alice@example.fr"}
    _, requests = scanned(plain, "perso+liste@example.fr")
    assert asked_about(requests) == {"carol@example.fr"}


def test_a_symbol_may_stand_without_a_list(plain):
    """It is gated, and runs on a permit."""
    assert "ANALYSED" in scanned(plain, "alice@example.fr")[0]
    assert "ANALYSED" not in scanned(plain, "bob@example.fr")[0]


def test_a_mode_that_is_weaker_than_the_registers_opens_nothing(plain):
    """The register decides what the other parties matter: it is told of them all the same."""
    login = {"sender": "alice@example.fr", "User": "alice@example.fr"}
    assert "BY_EVERYONE" in scanned(plain, "carol@example.fr", **login)[0]
    assert "BY_EVERYONE" not in scanned(plain, "carol@example.fr", named=["carol@example.fr", OUTSIDER], **login)[0]


def test_outsiders_are_one_mark_without_a_name(alone):
    """Where parties matter Sceau learns that there is an outsider, never who."""
    named = ["alice@example.fr", "un@ailleurs.example", "deux@ailleurs.example"]
    _, requests = scanned(alone, *named, sender="carol@example.fr", User="carol@example.fr")
    carol = {"id": "carol@example.fr", "local": True}
    assert participants(requests, EVERYONE)["alice@example.fr"] == [carol, MARK]
    assert participants(requests, ADS)["alice@example.fr"] == [carol, MARK]
    assert participants(requests, TRAINING)["alice@example.fr"] is None
    assert b"ailleurs" not in requests[0].raw


def test_a_forged_sender_opens_nothing(alone):
    """Who did not sign in is an outsider, whatever the address; its user is asked as well."""
    symbols, requests = scanned(alone, "carol@example.fr", sender="alice@example.fr")
    assert asked_about(requests) == {"alice@example.fr", "carol@example.fr"}
    assert "ANALYSED" in symbols
    assert "BY_EVERYONE" not in symbols
    symbols, _ = scanned(alone, "carol@example.fr", sender="bob@example.fr")
    assert "ANALYSED" not in symbols


def test_parties_whom_only_the_header_names_count(alone):
    """The envelope is for one; the header names another of ours, and an outsider: both narrow what may be done."""
    login = {"sender": "alice@example.fr", "User": "alice@example.fr"}
    symbols, requests = scanned(alone, "carol@example.fr", named=["carol@example.fr", "bob@example.fr"], **login)
    assert {"id": "bob@example.fr", "local": True} in participants(requests, ADS)["carol@example.fr"]
    assert "ANALYSED" not in symbols
    symbols, _ = scanned(alone, "carol@example.fr", named=["carol@example.fr", OUTSIDER], **login)
    assert "ANALYSED" in symbols
    assert "BY_EVERYONE" not in symbols
