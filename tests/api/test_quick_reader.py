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
