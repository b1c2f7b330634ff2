"""What a replica answers from memory is what the primary says, whatever was written in between."""

import json
import random
from collections import Counter
from typing import Any, cast

from app.api.decisions.reading import read_question
from app.auth.callers import key_digest
from app.operations.decisions.from_memory import look, recall
from tests.support.api import BOOTSTRAP, processing, question, running, subject
from tests.support.consents import grant

SUBJECTS = ["alice", "bob", "carol", "Zoë"]
STRANGERS = ["nadia", "noel"]
"""They are asked about, and nothing is recorded of them."""
CREATED = 201
PROCESSINGS = ["own", "local", "all", "spam"]
MODES = {"own": "user_only", "local": "all_local_users", "all": "all_parties"}


def registered(identifier, **more):
    """A processing of IV, or of III for `spam`."""
    if identifier == "spam":
        return processing(identifier, purpose="unsolicited_content_detection", **more)
    return processing(identifier, party_mode=MODES[identifier], **more)


def some_write(chance, latest):
    """One write: method, path, body; a grant is to the latest version. It may be refused."""
    name, identifier = chance.choice(SUBJECTS), chance.choice(PROCESSINGS[:3])
    named = {"subject": subject(name), "processing": identifier}
    elements = chance.choice([{}, {}, {"elements": ["content"]}])
    decided = grant(name, identifier, evidence={"notice_version": latest[identifier]})
    version = {key: value for key, value in registered(identifier).items() if key != "id"}
    material = {"material": chance.random() < 0.7}
    return chance.choice(
        [
            *[("POST", "/v1/consents", {**decided, **elements})] * 6,
            ("POST", "/v1/consents", {**decided, "decision": "refused"}),
            ("POST", "/v1/withdrawals", named),
            ("POST", "/v1/withdrawals", {"subject": subject(name)}),
            ("POST", "/v1/subjects/closures", {"subject": subject(name)}),
            ("POST", f"/v1/processings/{identifier}/versions", {**version, **material}),
            ("PATCH", f"/v1/processings/{identifier}", {"status": "suspended"}),
            ("PATCH", f"/v1/processings/{identifier}", {"status": "active"}),
        ]
    )


def some_question(chance):
    """One question, with other parties or without."""
    properties = chance.choice([{}, {"elements": ["content"]}, {"elements": ["subject_line", "content"]}])
    if chance.random() < 0.6:
        others = [{"id": each, "local": chance.random() < 0.8} for each in chance.sample([*SUBJECTS, *STRANGERS], 2)]
        properties = {**properties, "participants": chance.choice([others, others[:1], []])}
    return question(chance.choice([*SUBJECTS, *STRANGERS]), chance.choice([*PROCESSINGS, "nobody's"]), **properties)


def rounds(seed, api, written_at):
    """Four questions after each of fifty writes, where the processings are registered first."""
    chance = random.Random(seed)
    for identifier in PROCESSINGS:
        api.ok("POST", "/v1/processings", registered(identifier))
    latest = dict.fromkeys(PROCESSINGS, 1)
    for _ in range(50):
        write = some_write(chance, latest)
        if written_at.call(*write).status_code == CREATED and write[1].endswith("/versions"):
            latest[write[1].split("/")[3]] += 1
        yield [some_question(chance) for _ in range(4)]


def without_ids(answer):
    """An answer, or those of a batch, without what differs each time."""
    if "evaluations" in answer:
        return [without_ids(each) for each in answer["evaluations"]]
    return answer["decision"], {key: value for key, value in answer["context"].items() if key != "id"}


def test_memory_and_primary_agree(database):
    """After each of many writes, a leased and a strict process answer the same questions in the same words."""
    with running(database) as leased, running(database, cache="strict") as strict:
        memory = cast("Any", leased.client.app).state.services.memory
        for asked in rounds(1, strict, leased):
            for each in asked:
                path = "/access/v1/evaluation"
                assert without_ids(leased.ok("POST", path, each)) == without_ids(strict.ok("POST", path, each))
            batch = {"evaluations": asked}
            answers = [
                without_ids(each.ok("POST", "/access/v1/evaluations", batch)) for each in (leased, strict, leased)
            ]
            assert answers[0] == answers[1] == answers[2]
        assert memory.hits > 40
        assert memory.misses > 20


def recalled_as_looked(app, key, asked):
    """Whether what is recalled of a caller's question, if anything, is what a look finds; and whether anything is."""
    memory, digest = app.state.services.memory, key_digest(key)
    question = read_question(json.dumps(asked).encode(), app.state.services.deployment.pseudonyms.locator)
    recalled = recall(memory, digest, question)
    if recalled is None:
        return True, False
    caller, remembered, at = recalled
    looked = look(memory, digest, [question])
    if looked is None:
        return False, True
    return looked.caller is caller and looked.judged[0] is remembered.judged and at <= looked.at, True


def test_what_is_recalled_is_what_a_look_finds(database):
    """After each of many writes, and for callers of several rights, the plain look gives that of the general one."""
    recalled: Counter[str] = Counter()
    with running(database) as api:
        client = cast("Any", api.client)
        keys = {
            "of all": BOOTSTRAP,
            "of some": api.new_key("decisions:evaluate", processings=["own"]),
            "of none": api.new_key("register:read"),
        }
        for questions in rounds(2, api, api):
            for question in questions:
                for name, key in keys.items():  # each is held in memory after its own question
                    api.call("POST", "/access/v1/evaluation", question, {"Authorization": f"Bearer {key}"})
                    agrees, found = client.portal.call(recalled_as_looked, client.app, key, question)
                    assert agrees, name
                    recalled[name] += found
    assert recalled["of all"] > recalled["of some"] > 10
    assert recalled["of none"] == 0
