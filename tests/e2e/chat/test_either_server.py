"""What Synapse and Prosody with their modules do alike; what reached Sceau is read off the wire."""

import secrets

import pytest

from tests.e2e.chat.faults import CLEAR, UNCLEAR, UNUSABLE, deciding
from tests.e2e.chat.register import ADS, BROKEN, STATISTICS


def test_a_message_is_analysed_when_all_its_local_users_consent(chat):
    """Alice and Carol consent: the message arrives, and its words are counted."""
    assert chat.exchange(chat.alice, chat.carol) == chat.permit


def test_a_message_is_not_analysed_when_one_of_its_local_users_does_not_consent(chat):
    """Bob never consented: messages arrive both ways, and neither is analysed."""
    assert chat.exchange(chat.alice, chat.bob) == "denied"
    assert chat.exchange(chat.bob, chat.alice) == "denied"


def test_the_next_message_after_a_withdrawal_is_not_analysed(chat):
    """Dora consents, and is analysed; she withdraws, and the next message is not."""
    dora = chat.newcomer("dora")
    chat.register.grant(dora.id, ADS)
    assert chat.exchange(dora, chat.carol) == chat.permit
    chat.register.withdraw(dora.id, ADS)
    assert chat.exchange(dora, chat.carol) == "denied"


@pytest.mark.parametrize("behaviour", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_answer_turns_analysis_off_and_delivers(chat, behaviour):
    """The message arrives and is not analysed, and the filter, which is exempt, has seen it all the same."""
    body = secrets.token_hex(8)
    with chat.wire.fault(behaviour) if behaviour else chat.wire.refusing():
        assert chat.exchange(chat.alice, chat.carol, body=body) == "unusable"
    assert {"body": body} in chat.server.written("filtered.jsonl")
    assert chat.is_analysed()


@pytest.mark.parametrize("decision", UNCLEAR.values(), ids=UNCLEAR)
def test_only_a_clear_permit_is_one(chat, decision):
    """An answer to this very question that does not say yes, or not until when, is a deny."""
    with chat.wire.fault(deciding(**decision)):
        assert chat.exchange(chat.alice, chat.carol) == "denied"


@pytest.mark.parametrize(
    "context", [CLEAR, {"reason": "exempt"}, {"reason": "not_governed"}], ids=lambda it: it["reason"]
)
def test_a_clear_permit_is_used(chat, context):
    """The control of the cases before: what says yes, to this very question, is a permit."""
    with chat.wire.fault(deciding(decision=True, context={"id": "x", **context})):
        assert chat.exchange(chat.alice, chat.carol) == chat.permit


def test_a_permit_that_has_ended_is_not_used(chat):
    """A permit is none from its end on."""
    with chat.wire.fault(deciding(decision=True, context={**CLEAR, "valid_until": "2026-01-01T00:00:00Z"})):
        assert chat.exchange(chat.alice, chat.carol) == "lapsed"


def test_each_message_is_one_request_and_the_connection_is_used_again(chat):
    """Five messages make five requests, on fewer connections: a slow machine lets one stand idle until it is closed."""
    mark = len(chat.wire.heard)
    assert [chat.is_analysed() for _ in range(5)] == [True] * 5
    heard = chat.wire.since(mark)
    assert [each.path for each in heard] == ["/access/v1/evaluations"] * 5
    assert len({each.connection for each in heard}) < len(heard)


def test_handles_tell_nobody_that_two_users_had_one_message(chat):
    """Each user's questions about a message have a handle of their own, and the next message has others."""
    mark = len(chat.wire.heard)
    assert [chat.is_analysed() for _ in range(2)] == [True, True]
    items = [item for each in chat.wire.since(mark) for item in each.json["evaluations"]]
    handles = {(item["subject"]["id"], item["resource"]["id"]) for item in items}
    assert len(items) == 2 * 2 * 3
    assert len(handles) == len({handle for _, handle in handles}) == 4


def test_an_analysis_that_raises_harms_nothing(chat):
    """It is counted as failed; the message arrives, and the other processings' analyses run."""
    broken, others = chat.server.outcomes(BROKEN), chat.server.outcomes(STATISTICS)
    assert chat.is_analysed()
    assert chat.server.outcomes_since(BROKEN, broken, 1) == ["analysis_failed"]
    assert chat.server.outcomes_since(STATISTICS, others, 1) == [chat.permit]
