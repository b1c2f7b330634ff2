import time
from dataclasses import replace

import pytest

from tests.e2e.mail.alone import started
from tests.e2e.mail.forgery import Forger, claims_for
from tests.e2e.mail.letters import Letter
from tests.e2e.mail.world import TRAINING, rspamd_files
from tests.e2e.wiretap import FAILING, GARBAGE, answering, held
from tests.faults.service import eventually

WHO = "amelie@example.fr"

# A gate that has a fault of its own, in each way in which a Lua function can have one; and the form that Rspamd's
# documentation suggests, to see what the wrapping of the README is for.
_FAULTS = """
local bayes = require 'lua_bayes_learn'
local sound = bayes.can_learn
bayes.can_learn = function(task, ...)
  if tostring(task:get_request_header('Fault') or '') == 'inside' then error('a fault inside the gate') end
  return sound(task, ...)
end
rspamd_config:add_post_init(function()
  local sound = rspamd_plugins.sceau.learn_condition
  rspamd_plugins.sceau.learn_condition = function(task, is_spam, is_unlearn)
    local fault = tostring(task:get_request_header('Fault') or '')
    if fault == 'raises' then error('a fault of the gate') end
    if fault == 'nil' then return nil end
    if fault == 'none' then return end
    if fault == 'word' then return 'yes' end
    return sound(task, is_spam, is_unlearn)
  end
end)
"""


@pytest.fixture(scope="module")
def alone(servers, sceau):
    """Rspamd alone, whose gate may be given a fault, and which trusts a key of the tests besides Sceau's."""
    forger = Forger()

    def trusting(sceau, folder, address):
        keys = folder.with_name("keys.json")
        keys.write_text(forger.key_set)
        return {**rspamd_files(sceau, folder, address, keys=str(keys)), "lua.local.d/faults.lua": _FAULTS}

    with started(sceau, settings=trusting) as running:
        made = replace(running, forger=forger)

        def learns():
            message = Letter([WHO]).raw
            token = forger.sign(claims_for(WHO, message))
            made.rspamd.learn("spam", message, Sceau_Decision_Token=token, Sceau_User=WHO)
            return made.rspamd.learned()

        eventually(learns)  # what it learns before Redis has its scripts is lost
        yield made


def learned(alone, message, token=None, user=WHO, kind="spam", **headers):
    """Whether the controller learns a message; and the status that it answers."""
    before = alone.rspamd.learned()
    sent = headers if token is None else {"Sceau_Decision_Token": token, "Sceau_User": user, **headers}
    status = alone.rspamd.learn(kind, message, **sent)
    if status == 200:
        eventually(lambda: alone.rspamd.learned() > before)  # Redis is told beside the answer
    return alone.rspamd.learned() - before, status


def test_without_a_token_nothing_is_learned_by_hand(alone):
    """Rspamd's password is not enough, whoever consented; 204 and nothing in Redis."""
    assert learned(alone, Letter([WHO]).raw) == (0, 204)


def test_with_a_valid_token_a_message_is_learned(alone):
    """The control of all refusals here: the same request with a token in order is learned."""
    message = Letter([WHO]).raw
    token = alone.forger.sign(claims_for(WHO, message))
    assert learned(alone, message, token) == (1, 200)


def test_a_token_is_for_one_message_and_one_user(alone):
    """Another message, the same one altered, another user, or no user: not learned."""
    first, second = Letter([WHO]).raw, Letter([WHO]).raw
    token = alone.forger.sign(claims_for(WHO, first))
    assert learned(alone, second, token) == (0, 204)
    assert learned(alone, first + b"\r\n", token) == (0, 204)
    assert learned(alone, first, token, "bruno@example.fr") == (0, 204)
    assert learned(alone, first, None, Sceau_Decision_Token=token) == (0, 204)
    assert learned(alone, first, token) == (1, 200)


def test_a_token_says_what_a_message_is_learned_as(alone):
    """Whoever has a token for spam cannot have the message learned as ham with it."""
    message = Letter([WHO]).raw
    spam, ham = (alone.forger.sign(claims_for(WHO, message, kind)) for kind in ("spam", "ham"))
    assert learned(alone, message, spam, kind="ham") == (0, 204)
    assert learned(alone, message, ham) == (0, 204)
    assert learned(alone, message, ham, kind="ham") == (1, 200)


def test_a_token_is_good_for_one_learning(alone):
    """What Rspamd has learned and was told to forget is not learned again with the same token; with another it is."""
    message = Letter([WHO]).raw
    first, other, again = (alone.forger.sign(claims_for(WHO, message, kind)) for kind in ("spam", "ham", "spam"))
    answers = [
        alone.rspamd.learn(kind, message, Sceau_Decision_Token=token, Sceau_User=WHO)
        for kind, token in (("spam", first), ("ham", other), ("spam", first), ("spam", again))
    ]
    assert answers == [200, 200, 204, 200]


@pytest.mark.parametrize(
    "wrong",
    [
        {"iat": -600, "exp": -540},
        {"iat": 86_400, "exp": 86_460},
        {"exp": 86_400},
        {"exp": None},
        {"iss": "http://127.0.0.1:8081"},
        {"aud": "somebody else"},
        {"aud": None},
        {"jti": None},
        {"processing": "ads-mail"},
        {"elements": ["content"]},
        {"elements": None},
        {"correspondence_sha256": "A" * 43},
        {"correspondence_sha256": None},
        {"subject_sha256": "A" * 43},
        {"subject_sha256": None},
    ],
    ids=lambda wrong: "-".join(f"{name}={value}"[:30] for name, value in wrong.items()),
)
def test_a_token_with_a_wrong_claim_does_not_let_anything_be_learned(alone, wrong):
    """Expired, from the future, for too long, for others, or without a claim: signed well, and refused."""
    message, now = Letter([WHO]).raw, int(time.time())
    changed = {name: now + value if isinstance(value, int) else value for name, value in wrong.items()}
    claims = {name: value for name, value in {**claims_for(WHO, message), **changed}.items() if value is not None}
    assert learned(alone, message, alone.forger.sign(claims)) == (0, 204)


def test_an_altered_token_does_not_let_anything_be_learned(alone):
    """Altered claims, an altered signature, none, another key, another algorithm or type, or no token at all."""
    message = Letter([WHO]).raw
    claims = claims_for(WHO, message)
    head, payload, signed = alone.forger.sign(claims).split(".")
    other = alone.forger.sign({**claims, "exp": claims["exp"] + 1}).split(".")
    for token in (
        f"{head}.{other[1]}.{signed}",
        f"{head}.{payload}.{other[2]}",
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{head}.{payload}.{signed}=",
        f"{head}.{payload}.{signed[:-4]}",
        Forger().sign(claims),
        alone.forger.sign(claims, alg="none"),
        alone.forger.sign(claims, alg="HS256"),
        alone.forger.sign(claims, typ="JWT"),
        "permit",
        "a" * 8000,
    ):
        assert learned(alone, message, token) == (0, 204), token
    assert learned(alone, message, f"{head}.{payload}.{signed}") == (1, 200)


@pytest.mark.parametrize("fault", ["raises", "nil", "none", "word", "inside"])
def test_a_gate_with_a_fault_does_not_learn(alone, fault):
    """A gate that raises, or answers anything but true, is a refusal, though Rspamd would learn for most of these."""
    message = Letter([WHO]).raw
    token = alone.forger.sign(claims_for(WHO, message))
    assert learned(alone, message, token, Fault=fault) == (0, 204)
    assert learned(alone, message, token) == (1, 200)


def test_a_learn_condition_without_the_readmes_wrapping_would_learn(servers, sceau):
    """Rspamd learns when its condition raises: what the README's three lines are for."""
    unwrapped = "learn_condition = <<EOD\nreturn function() error('no') end\nEOD\n"
    with started(
        sceau, lambda files: {**files, "local.d/classifier-bayes.conf": unwrapped}, settings=rspamd_files
    ) as alone:
        naive = alone.rspamd
        eventually(lambda: naive.learn("spam", Letter([WHO]).raw) == 200 and naive.learned() > 0)


def test_what_a_scan_learns_by_itself_needs_every_users_consent(alone, sceau):
    """Learning in a scan goes by the scan's own answer: one who did not consent is enough to stop it."""
    sceau.api.decide("bernard@example.fr", TRAINING)
    before = alone.rspamd.learned()
    alone.rspamd.scan(Letter(["bernard@example.fr"]).raw, Rcpt=["bernard@example.fr", "colette@example.fr"])
    assert alone.rspamd.learned() == before
    alone.rspamd.scan(Letter(["bernard@example.fr"]).raw, Rcpt="bernard@example.fr")
    eventually(lambda: alone.rspamd.learned() == before + 1)


def test_a_scan_that_got_no_answer_is_not_learned_even_with_a_token(alone):
    """Once a scan has asked, its answer counts; what a client adds to it does not."""
    message = Letter([WHO]).raw
    before = alone.rspamd.learned()
    token = alone.forger.sign(claims_for(WHO, message))
    for fault in (held, FAILING, GARBAGE, answering(200, b'{"evaluations": []}')):
        with alone.tap.fault(fault):
            alone.rspamd.scan(message, Rcpt=WHO, Sceau_Decision_Token=token, Sceau_User=WHO)
    assert alone.rspamd.learned() == before
