"""The quick reader of the hot path against the strict one: the same question, or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.api.access_models import EvaluationRequest
from app.api.questions import question_of
from app.api.quick import QuickReader
from app.api.strict_json import BadJsonError, parse
from app.ledger.pseudonym import Pseudonyms
from tests.support.api import question

PSEUDONYMS = Pseudonyms(b"k" * 32)
READER = QuickReader(PSEUDONYMS.ref)
USUAL = {
    **question("alice@example.fr", "ads", elements=["content"], automated=True, channel="online", private=True),
    "context": {},
}


def slowly(body):
    """What the documented route would read."""
    try:
        return question_of(PSEUDONYMS, EvaluationRequest.model_validate(parse(body)))
    except (BadJsonError, ValidationError):
        return None


def quickly(read):
    """What the quick reader has read, with the other parties looked at."""
    return read.request(read.others() if read.others is not None else None) if read is not None else None


def agrees(body):
    """Whether the quick reader read what the strict one does, or nothing."""
    read = quickly(READER.single(body))
    return read is None or read == slowly(body)


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["FR", "content"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
places = st.sampled_from(
    [
        (),
        ("subject",),
        ("subject", "type"),
        ("subject", "id"),
        ("action",),
        ("action", "name"),
        ("action", "properties"),
        ("action", "properties", "elements"),
        ("action", "properties", "automated"),
        ("resource",),
        ("resource", "id"),
        ("resource", "properties"),
        ("resource", "properties", "channel"),
        ("resource", "properties", "private"),
        ("resource", "properties", "territory"),
        ("resource", "properties", "participants"),
        ("context",),
        ("more",),
    ]
)


def changed(value, place, put):
    """A copy with something else in one place."""
    if not place:
        return put
    return {**value, place[0]: changed(value.get(place[0], {}), place[1:], put)}


@given(places, odd, st.booleans())
def test_the_two_readers_agree_on_altered_questions(place, put, ascii_only):
    """Whatever stands in one place, the quick reader reads the same question or none."""
    assert agrees(json.dumps(changed(USUAL, place, put), ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))


@given(st.integers(0, len(json.dumps(USUAL)) - 1), st.text(max_size=3))
def test_the_two_readers_agree_on_altered_texts(at, put):
    """Whatever is written over one character, the quick reader reads the same question or none."""
    text = json.dumps(USUAL)
    assert agrees((text[:at] + put + text[at + 1 :]).encode("utf-8", "surrogatepass"))


def test_the_usual_question_is_read_quickly():
    """The usual question is read, with its correspondence."""
    read = READER.single(json.dumps(USUAL).encode())
    assert read is not None
    assert (read.kind, read.correspondence) == ("correspondence", "handle")


@pytest.mark.parametrize("blanks", [(",", ":"), (", ", ": "), (" , ", " : ")])
def test_a_member_that_stands_twice_is_not_read(blanks):
    """Two members of one name are nobody's question, however the body is spaced."""
    text = json.dumps(USUAL, separators=blanks)
    for name in ("subject", "id", "private", "elements"):
        twice = text.replace(f'"{name}"', f'"{name}"{blanks[1]}null{blanks[0]}"{name}"', 1)
        assert READER.single(twice.encode()) is None
        assert READER.batch(twice[:-1].encode() + b',"evaluations":[{}]}', 9) is None


@pytest.mark.parametrize("first", [": ", " :", "\n: ", "\t:", "\r:"])
@pytest.mark.parametrize("second", [": ", " :"])
def test_a_member_that_stands_twice_is_not_read_whatever_blanks_hide_it(first, second):
    """Nor are they where only one of the two has a blank before its colon."""
    text = json.dumps(USUAL)
    for name in ("subject", "id", "private", "elements", "context"):
        twice = text.replace(f'"{name}": ', f'"{name}"{first}null, "{name}"{second}', 1)
        assert READER.single(twice.encode()) is None
        assert READER.batch(twice[:-1].encode() + b',"evaluations":[{}]}', 9) is None


@given(st.lists(st.tuples(places.filter(bool), odd), max_size=3))
def test_a_batch_is_its_singles(changes):
    """A batch is read as its items in front of its defaults would be, or not at all."""
    items = [{name: value for name, value in changed(USUAL, *each).items() if name == each[0][0]} for each in changes]
    batch = READER.batch(json.dumps({**USUAL, "evaluations": [*items, {}]}).encode(), 9)
    if batch is not None:
        read = [quickly(each) for each in batch[0]]
        assert read == [slowly(json.dumps({**USUAL, **item}).encode()) for item in [*items, {}]]


def test_nesting_beyond_the_bound_is_not_read():
    """A body that the strict reader refuses for its depth is not read."""
    for depth in (5, 40, 2000):
        body = json.dumps(USUAL)[:-1] + ',"more":' + "[" * depth + "]" * depth + "}"
        assert agrees(body.encode())


ids = st.text(max_size=4) | st.sampled_from(["é", "user", "\u0000", "\u007f", "x" * 512, "x" * 513, '"', "\\"])


@given(ids, ids, st.lists(st.tuples(ids, st.booleans()), max_size=2), st.booleans())
def test_ids_are_read_alike_where_the_outline_is_known(subject, resource, others, ascii_only):
    """A body like one that was read before, with other ids, is the question that the strict reader reads, or none."""
    reader = QuickReader(PSEUDONYMS.ref)

    def body(subject, resource, others):
        """A question with these ids."""
        listed = [{"id": name, "local": local} for name, local in others]
        asked = {
            **USUAL,
            "subject": {"type": "user", "id": subject},
            "resource": {"type": "message", "id": resource, "properties": {"participants": listed}},
        }
        return json.dumps(asked, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    for _ in range(8):  # one in a few is learnt
        assert reader.single(body("alice", "handle", [("bob", local) for _, local in others])) is not None
    asked = body(subject, resource, others)
    read = quickly(reader.single(asked))
    assert read is None or read == slowly(asked)
    assert reader.single(body("carol", "other", [("dave", not local) for _, local in others])) is not None


def test_a_body_like_one_before_is_known_by_its_outline():
    """The same bytes with other ids are matched; with another word or a member more, they are not."""
    reader = QuickReader(PSEUDONYMS.ref)
    text = json.dumps(USUAL)
    for _ in range(8):
        reader.single(text.encode())
    other = text.replace("alice@example.fr", "zoe@example.fr")
    assert reader._outlines.match(other.encode()) is not None
    assert reader._outlines.match(text.replace("true", "false").encode()) is None
    assert reader._outlines.match(text.replace('"handle"', '""').encode()) is None
    more = text.replace('"context": {}', '"context": {"ip": "192.0.2.1"}')
    for _ in range(8):
        assert reader.single(more.encode()) is not None
    assert reader._outlines.match(more.encode()) is None


def batch_of(number, **more):
    """A batch about so many subjects, each with other parties, as a mail server would send it."""
    items = [
        {
            "subject": {"type": "user", "id": f"user{each}@example.fr"},
            "resource": {
                "type": "correspondence",
                "id": f"handle-{each}",
                "properties": {"participants": [{"id": f"é{each}", "local": True}, {"id": "eve", "local": False}]},
            },
        }
        for each in range(number)
    ]
    return {"action": {"name": "ads", "properties": {"elements": ["content"]}}, "evaluations": items, **more}


def encoded(body):
    """As bytes, compact."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def taught(*bodies):
    """A reader that has seen bodies often enough to know their outlines."""
    reader = QuickReader(PSEUDONYMS.ref)
    for _ in range(8):
        for body in bodies:
            assert reader.batch(body, 100) is not None
    return reader


def requests_of(read):
    """The questions of a batch as the core takes them, with what the log wants to know."""
    return [(quickly(each), each.kind, each.correspondence) for each in read[0]]


@pytest.mark.parametrize(
    "more", [{}, {"options": {"evaluations_semantic": "deny_on_first_deny"}}, {"subject": {"type": "user", "id": "me"}}]
)
def test_a_batch_of_a_known_outline_is_read_as_any_other(more):
    """With other ids in it, the questions are those that an untaught reader reads, and so are the options."""
    reader = taught(encoded(batch_of(3, **more)))
    other = batch_of(3, **more)
    for number, item in enumerate(other["evaluations"]):
        item["subject"]["id"] = f"someone-else-{number}-ü"
        item["resource"]["properties"]["participants"][0]["id"] = "x" * (number + 1)
    assert reader._batches.match(encoded(other)) is not None
    read, plain = reader.batch(encoded(other), 100), QuickReader(PSEUDONYMS.ref).batch(encoded(other), 100)
    assert requests_of(read) == requests_of(plain)
    assert read is not None
    assert plain is not None
    assert read[1] == plain[1] == more.get("options", {})
    assert reader.batch(encoded(other), 2) is None


@given(st.integers(0, 10_000), st.binary(max_size=4) | st.sampled_from([b'"', b'""', b"\\", b"\n", b'","id":"', b"{}"]))
def test_whatever_is_written_over_a_known_batch_is_read_as_by_an_untaught_reader(at, put):
    """A taught reader never reads anything but what an untaught one reads, or what the strict one refuses too."""
    body = encoded(batch_of(2))
    at %= len(body)
    altered = body[:at] + put + body[at + 1 :]
    read, plain = TAUGHT.batch(altered, 100), QuickReader(PSEUDONYMS.ref).batch(altered, 100)
    assert (read is None) == (plain is None)
    if read is not None:
        assert requests_of(read) == requests_of(plain)


TAUGHT = taught(encoded(batch_of(2)), encoded(batch_of(3)))


@pytest.mark.parametrize("wrong", ["", "x" * 513, "a\tb", "a\nb", "\u200b"])
def test_what_is_no_id_is_not_read_in_a_known_outline_either(wrong):
    """An empty, overlong or unprintable id is left to the documented route, wherever it stands."""
    for path in (("subject", "id"), ("resource", "id"), ("resource", "properties", "participants", 0, "id")):
        body = batch_of(2)
        place = body["evaluations"][1]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = wrong
        assert TAUGHT.batch(encoded(body), 100) is None
