"""What the client sends and reads is what the service documents (its OpenAPI), member by member."""

import json
from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest

from sceau_client import Channel, Decision, Element, HandleMaker, Outcome, Parties, Question, wire
from sceau_client.register import EXEMPT, read_register
from tests.clients.scenes import about, sent
from tests.support.document import document

DOCUMENT = document()
OF_THE_CLIENT = {"outcome", "cause", "local", "status", "retry_after", "request_id"}
"""What a decision says that is not in an answer's body."""
INSTANT = "2199-01-01T00:00:00Z"


def resolved(schema):
    """A schema, or the one that it refers to."""
    if "$ref" in schema:
        return resolved(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    for each in schema.get("anyOf", ()):
        if each != {"type": "null"}:
            return {**schema, **resolved(each)}
    return schema


def body_of(path):
    """The schema of what a POST takes."""
    return resolved(DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"])


def answer_of(path, method="post"):
    """The schema of a good answer."""
    content = DOCUMENT["paths"][path][method]["responses"]["200"]["content"]
    return resolved(content["application/json"]["schema"])


def unknown_to(schema, value, where=""):
    """The members of a value that a schema does not have, and the words that are not of its lists, by their places."""
    schema = resolved(schema)
    if isinstance(value, list):
        return [unknown for each in value for unknown in unknown_to(schema["items"], each, f"{where}[]")]
    if not isinstance(value, dict):
        return [] if value in schema.get("enum", [value]) else [f"{where}={value}"]
    members = schema.get("properties", {})
    return [
        unknown
        for name, each in value.items()
        for unknown in (unknown_to(members[name], each, f"{where}.{name}") if name in members else [f"{where}.{name}"])
    ]


def widest() -> Question:
    """A question that says all that one can."""
    letter = HandleMaker(b"7" * 32).correspondence(
        "1", parties=Parties(["bob"], outsiders=1), channel=Channel.TEXT_MESSAGE, private=False, territory="RE"
    )
    return Question("alice", "ads-mail", letter, elements=list(Element), automated=False, token=True)


def test_every_member_of_a_question_is_documented():
    """The widest question holds nothing that the service does not know, nor a word that is not of its lists."""
    body = sent(widest())
    assert unknown_to(body_of(wire.EVALUATION), body) == []
    assert body.keys() == body_of(wire.EVALUATION)["properties"].keys()
    assert "evaluations" in body_of(wire.EVALUATIONS)["properties"]


@pytest.mark.parametrize(
    "change", [{"colour": 1}, {"context": {"colour": 1}}, {"action": {"properties": {"elements": ["colour"]}}}]
)
def test_a_member_that_is_not_documented_would_be_found(change):
    """The control of the test before."""
    assert len(unknown_to(body_of(wire.EVALUATION), {**sent(widest()), **change})) == 1


def sample(name, schema):
    """A value for a documented member of an answer's context."""
    kinds = resolved(schema)["type"]  # one, or one and null
    return {"id": name} if "object" in kinds else INSTANT if name.endswith(("_at", "_until")) else f"a {name}"


def read(context, *, path=wire.EVALUATION):
    """A permit as the client reads it, alone or in a batch."""
    value: Any = {"decision": True, "context": context}
    body = value if path == wire.EVALUATION else {"evaluations": [value]}
    (decision,) = wire.read_answers(wire.Reply(200, "application/json", None, "r", json.dumps(body).encode()), path, 1)
    return decision


@pytest.mark.parametrize("path", [wire.EVALUATION, wire.EVALUATIONS])
def test_every_member_of_a_decision_is_documented(path):
    """From an answer with all that the document has, the client reads each of its members: it reads no other."""
    schema = answer_of(path)
    if path == wire.EVALUATIONS:
        schema = resolved(schema["properties"]["evaluations"]["items"])
    assert schema["properties"].keys() == {"decision", "context"}
    documented = resolved(schema["properties"]["context"])["properties"]
    decision = read({name: sample(name, each) for name, each in documented.items() if name != "error"}, path=path)
    nothing = Decision(outcome=Outcome.PERMIT)
    unread = {
        each.name for each in fields(Decision) if getattr(decision, each.name) == getattr(nothing, each.name)
    } - OF_THE_CLIENT
    assert decision.outcome is Outcome.PERMIT
    assert unread == set()
    assert decision.valid_until == datetime.fromisoformat(INSTANT)
    assert "error" in documented


def test_a_member_that_is_not_documented_would_not_be_read():
    """The control: without the one that carries tokens, that one is what a decision lacks."""
    assert read({"id": "d1", "token": "t"}).token is None
    assert read({"id": "d1", "decision_token": "t"}).token == "t"


def test_every_member_of_the_register_is_documented():
    """A register made of documented members alone is read, and answers for what is exempt in it."""
    entry = resolved(resolved(answer_of(wire.PROCESSINGS, "get")["properties"]["items"])["items"])
    version = resolved(entry["properties"]["version"])
    needed = {"id": "filter", "purpose": "malware_detection", "paragraph": "L32-3 III", "status": "active"}
    declared = {"elements": ["content"], "automated": True}
    body = {"items": [{**needed, "version": declared}]}
    assert unknown_to(entry, body["items"][0]) == []
    assert read_register(body).answer(about("alice", "filter", elements=[Element.CONTENT])) is EXEMPT
    for member in needed.keys() - {"id"}:
        left = {name: value for name, value in needed.items() if name != member}
        assert read_register({"items": [{**left, "version": declared}]}).answer(about("alice", "filter")) is None
    assert version["properties"].keys() >= declared.keys()
